/** A set of states by digests of 64 bits, each with the least cost (fewest preemptions, say) at which it was reached. Open addressing, linear probing. */
import type { Machine } from "./machine.js";
import { FLAG_QUEUED } from "./region.js";

const SIZE_START = 1 << 12;

/** Digest of a state: two halves. */
export interface StateDigest {
  low: number;
  high: number;
}

const digest: StateDigest = { low: 0, high: 0 };

/** Digest of the machine's present state, and of the thread whose turn it is where that matters. The object is used again. */
export function digestOf(machine: Machine, current: number): StateDigest {
  const { slab, base, layout } = machine;
  // Mixed before the first word is: otherwise 2 with a first word of 1 would be 1 with a first word of 2.
  let a = Math.imul(current + 0x51ed27, 0x9e3779b1);
  let b = Math.imul(current + 0x2f0b4f, 0x85ebca6b);
  a ^= a >>> 15;
  b ^= b >>> 13;
  const end = base + layout.hashedLength;
  const firstFlags = base + layout.flags(0);
  const behindFlags = base + layout.framesAllocated;
  for (let at = base; at < end; at++) {
    let value = slab[at]!;
    // Of a thread's flags, all but this one follow from what it has seen, once it has gone on.
    if (at >= firstFlags && at < behindFlags && (at - firstFlags) % 3 === 0) value = (value & FLAG_QUEUED);
    const low = value | 0;
    a = Math.imul(a ^ low, 0x9e3779b1);
    b = Math.imul(b + low, 0x85ebca6b);
    if (low !== value) {
      const high = Math.floor(value / 2 ** 32) | 0;
      a = Math.imul(a ^ high, 0xc2b2ae35);
      b = Math.imul(b + high, 0x27d4eb2f) ^ 1;
    }
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  digest.low = (a ^ (a >>> 16)) | 0;
  digest.high = (Math.imul(b ^ (b >>> 16), 0x2c1b3c6d)) | 0;
  return digest;
}

/** States that were reached. */
export class StateSet {
  #mask = SIZE_START - 1;
  /** Pairs of halves; both 0 = free. */
  #halves = new Int32Array(2 * SIZE_START);
  #costs = new Uint32Array(SIZE_START);
  #count = 0;

  /** How many states are in it. */
  get size(): number {
    return this.#count;
  }

  /** Adds the present state; false: it was reached before at no greater cost. */
  add(machine: Machine, current: number, cost: number): boolean {
    const { low, high } = digestOf(machine, current);
    return this.addDigest(low, high === 0 && low === 0 ? 1 : high, cost);
  }

  /** Adds a state by its digest; both halves 0 is no digest. */
  addDigest(low: number, high: number, cost: number): boolean {
    let at = low & this.#mask;
    while (this.#halves[2 * at] !== 0 || this.#halves[2 * at + 1] !== 0) {
      if (this.#halves[2 * at] === low && this.#halves[2 * at + 1] === high) {
        if (this.#costs[at]! <= cost) return false;
        this.#costs[at] = cost;
        return true;
      }
      at = (at + 1) & this.#mask;
    }
    this.#put(at, low, high, cost);
    if (++this.#count * 2 > this.#mask) this.#grow();
    return true;
  }

  #put(at: number, low: number, high: number, cost: number): void {
    this.#halves[2 * at] = low;
    this.#halves[2 * at + 1] = high;
    this.#costs[at] = cost;
  }

  #grow(): void {
    const halves = this.#halves;
    const cost = this.#costs;
    this.#mask = this.#mask * 2 + 1;
    this.#halves = new Int32Array(2 * (this.#mask + 1));
    this.#costs = new Uint32Array(this.#mask + 1);
    for (let from = 0; from < cost.length; from++) {
      const low = halves[2 * from]!;
      const high = halves[2 * from + 1]!;
      if (low === 0 && high === 0) continue;
      let at = low & this.#mask;
      while (this.#halves[2 * at] !== 0 || this.#halves[2 * at + 1] !== 0) at = (at + 1) & this.#mask;
      this.#put(at, low, high, cost[from]!);
    }
  }
}
