/**
 * A stand-in for `Atomics` that lets somebody else decide what happens before each access: the second implementation of the seam, for
 * tests. The tests' copies of the compiled code (guest-page/testing/mutant-tree.ts) import it by the name `Atomics` into the very files
 * of sync/real, so locks and read sections are the shipped ones, with pauses between all their steps.
 *
 *     shipped    #sync -> sync/real/atomics.js, lock.js, reader-slots.js -> Atomics
 *     copy       #sync -> sync/real/atomics.js, lock.js, reader-slots.js -> here -> interposer, then Atomics
 */

/** A typed array of shared memory. */
export type SharedView = Int32Array | BigInt64Array | Uint8Array;
/** What became of a sleep. */
export type WaitResult = "ok" | "not-equal" | "timed-out";

/** Whoever decides. One a thread. */
export interface Interposer {
  /** Called before an access of element `index` of `view`. May take its time, and may let other threads run. */
  beforeAccess(view: SharedView, index: number): void;
  /** Instead of Atomics.wait. */
  wait(view: Int32Array, index: number, expected: number, timeoutMs: number): WaitResult;
}

const absent: Interposer = {
  beforeAccess: () => undefined,
  wait: (view, index, expected, timeoutMs) => Atomics.wait(view, index, expected, timeoutMs),
};
let interposer = absent;

/** Sets this thread's interposer; undefined = none, accesses are as they are in `Atomics`. */
export function setInterposer(next: Interposer | undefined): void {
  interposer = next ?? absent;
}

/* The views' element types are those of the operands in every call of sync/real and page-view.raw.ts. */
type Operation = (view: never, index: number, ...operands: never[]) => never;

function paused<T>(operation: T): T {
  const run = operation as Operation;
  const interposed = (view: never, index: number, ...operands: never[]): never => {
    interposer.beforeAccess(view, index);
    return run(view, index, ...operands);
  };
  return interposed as T;
}

const pausedAtomics = {
  load: paused(Atomics.load),
  store: paused(Atomics.store),
  add: paused(Atomics.add),
  or: paused(Atomics.or),
  and: paused(Atomics.and),
  exchange: paused(Atomics.exchange),
  compareExchange: paused(Atomics.compareExchange),
  notify: paused(Atomics.notify),
  wait: (view: Int32Array, index: number, expected: number, timeoutMs = Infinity): WaitResult =>
    interposer.wait(view, index, expected, timeoutMs),
};

export { pausedAtomics as Atomics };
