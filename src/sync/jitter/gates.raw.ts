/** An interposer that stops its thread before named accesses until somebody lets it go on: for one interleaving, exactly. */
import type { Interposer, SharedView } from "./paused-atomics.raw.js";

/** Before the `count`-th access (from 1) of 32-bit word `index`, or of byte `index` as such, counted from the start. */
export interface Gate {
  readonly index: number;
  readonly count: number;
  readonly isByte?: boolean;
}

/** Words of the line between a thread and its controller: stops reached, stops left, whether it sleeps or has ended. */
const REACHED = 0;
const LEFT = 1;
const RESTING = 2;

/** Makes the line. */
export function createGateLine(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(12));
}

/** The thread's side. */
export function gatedInterposer(line: Int32Array, gates: readonly Gate[]): Interposer {
  const counts = { words: new Map<number, number>(), bytes: new Map<number, number>() };
  const stopped = new Set<Gate>();
  return {
    beforeAccess: (array: SharedView, index: number) => {
      const isByte = array instanceof Uint8Array;
      if (!isByte && !(array instanceof Int32Array)) return;
      const seen = isByte ? counts.bytes : counts.words;
      const count = (seen.get(index) ?? 0) + 1;
      seen.set(index, count);
      const gate = gates.find((other) => other.index === index && other.count === count && (other.isByte ?? false) === isByte && !stopped.has(other));
      if (gate === undefined) return;
      stopped.add(gate);
      stand(line);
    },
    wait: (view, index, expected, timeoutMs) => {
      rest(line, true);
      const result = Atomics.wait(view, index, expected, timeoutMs);
      rest(line, false);
      return result;
    },
  };
}

/** Stands at the next gate until it is opened. */
export function stand(line: Int32Array): void {
  const reached = Atomics.add(line, REACHED, 1) + 1;
  Atomics.notify(line, REACHED);
  while (Atomics.load(line, LEFT) < reached) Atomics.wait(line, LEFT, Atomics.load(line, LEFT), 50);
}

/** Says that the thread sleeps for good, or has ended. */
export function rest(line: Int32Array, isResting: boolean): void {
  Atomics.store(line, RESTING, isResting ? 1 : 0);
  Atomics.notify(line, RESTING);
}

/** The controller's side: waits until the thread stands at its gate number `count` (from 1), or rests. False = neither within 20 s. */
export function awaitGate(line: Int32Array, count: number): boolean {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (Atomics.load(line, REACHED) >= count || Atomics.load(line, RESTING) !== 0) return true;
    Atomics.wait(line, REACHED, Atomics.load(line, REACHED), 1);
  }
  return false;
}

/** As awaitGate, for a thread that may be resting still and is about to wake up. */
export function awaitGateAwake(line: Int32Array, count: number): boolean {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (Atomics.load(line, REACHED) >= count) return true;
    Atomics.wait(line, REACHED, Atomics.load(line, REACHED), 1);
  }
  return false;
}

/** Waits until the thread sleeps or has ended. */
export function awaitRest(line: Int32Array): boolean {
  return awaitGate(line, Infinity);
}

/** Lets the thread go on from gate number `count`. */
export function openGate(line: Int32Array, count: number): void {
  Atomics.store(line, LEFT, count);
  Atomics.notify(line, LEFT);
}
