/** Operations by name, for scenarios: `const value = yield load(FLAG);`. What each means is said in model.ts. */
import type { Cell, Operation } from "./model.js";

export const load = (cell: Cell): Operation => ({ kind: "load", cell });
export const store = (cell: Cell, value: number): Operation => ({ kind: "store", cell, value });
export const update = (cell: Cell, by: (value: number) => number): Operation => ({ kind: "update", cell, by });
export const add = (cell: Cell, count: number): Operation => ({ kind: "update", cell, by: (value) => value + count });
export const plainLoad = (cell: Cell): Operation => ({ kind: "plain-load", cell });
export const plainStore = (cell: Cell, value: number): Operation => ({ kind: "plain-store", cell, value });
/** As the kernel's READ_ONCE and WRITE_ONCE. */
export const readOnce = (cell: Cell): Operation => ({ kind: "plain-load", cell, volatile: true });
export const writeOnce = (cell: Cell, value: number): Operation => ({ kind: "plain-store", cell, value, volatile: true });
export const fence = (): Operation => ({ kind: "fence" });
/** Stands still until the word is as wanted, spinning; `sleepUntil` sleeps. */
export const spinUntil = (cell: Cell, until: (value: number) => boolean): Operation => ({ kind: "await", cell, until, sleeps: false });
export const sleepUntil = (cell: Cell, until: (value: number) => boolean): Operation => ({ kind: "await", cell, until, sleeps: true });
/** A sleeping lock; `spinLock` may be taken where sleeping is forbidden. */
export const lock = (cell: Cell): Operation => ({ kind: "lock", cell, sleeps: true });
export const spinLock = (cell: Cell): Operation => ({ kind: "lock", cell, sleeps: false });
export const tryLock = (cell: Cell): Operation => ({ kind: "try-lock", cell });
export const unlock = (cell: Cell): Operation => ({ kind: "unlock", cell });
export const readLock = (cell: Cell, fair = true): Operation => ({ kind: "read-lock", cell, sleeps: true, fair });
export const writeLock = (cell: Cell, fair = true): Operation => ({ kind: "write-lock", cell, sleeps: true, fair });
export const readUnlock = (cell: Cell): Operation => ({ kind: "read-unlock", cell });
export const writeUnlock = (cell: Cell): Operation => ({ kind: "write-unlock", cell });
export const allocate = (): Operation => ({ kind: "allocate" });
export const free = (frame: number): Operation => ({ kind: "free", frame });
export const use = (frame: number): Operation => ({ kind: "use", frame });
export const useWrite = (frame: number): Operation => ({ kind: "use-write", frame });
export const noSleep = (begins: boolean): Operation => ({ kind: "no-sleep", begins });
export const retry = (why: string): Operation => ({ kind: "retry", why });
export const claim = (holds: boolean, says: string): Operation => ({ kind: "claim", holds, says });
export const note = (cell: Cell, value: number): Operation => ({ kind: "note", cell, value });
