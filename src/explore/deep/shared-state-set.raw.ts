/**
 * A set of states in memory that threads share. Two halves of a digest a place: who changes the first half of a free place from 0 owns it and
 * then writes the second. Who looks in between sees a place that is somebody else's and goes on to the next: the same state may so be
 * in the set twice, and is then explored twice; a state that is not in it is never taken for one that is. A full set takes no more.
 */
import type { Machine } from "../machine.js";
import type { Visited } from "../schedulers/states.js";
import { digestOf } from "../state-set.js";

/** Places that are looked at before a state counts as not there. */
const PROBES_MAX = 256;

/** The set, over a buffer that `sharedStates` made. */
export class SharedStateSet implements Visited {
  readonly #halves: Int32Array;
  readonly #mask: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#halves = new Int32Array(buffer);
    this.#mask = this.#halves.length / 2 - 1;
  }

  add(machine: Machine, current: number): boolean {
    const { low, high } = digestOf(machine, current);
    return this.addDigest(low === 0 ? 1 : low, high === 0 ? 1 : high);
  }

  /** Adds a state by its digest, of which no half is 0; false: it is there. */
  addDigest(low: number, high: number): boolean {
    for (let probe = 0, at = (low ^ (high >>> 7)) & this.#mask; probe < PROBES_MAX; probe++, at = (at + 1) & this.#mask) {
      let seen = Atomics.load(this.#halves, 2 * at);
      if (seen === 0) {
        seen = Atomics.compareExchange(this.#halves, 2 * at, 0, low);
        if (seen === 0) {
          Atomics.store(this.#halves, 2 * at + 1, high);
          return true;
        }
      }
      if (seen === low && Atomics.load(this.#halves, 2 * at + 1) === high) return false;
    }
    return true;
  }
}

/** Memory for a set of at least so many states. */
export function sharedStates(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * 2 ** Math.ceil(Math.log2(count)));
}
