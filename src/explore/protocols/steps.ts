/**
 * What scenarios are written with: words with names, one function for each operation of the model, and the type of a scenario that says
 * what each of its planted faults must lead to.
 */
import type { Cell, Finding, Operation, ScenarioDescription, ScenarioThread } from "../model.js";

/** Steps of a thread: yields operations, is given their results. */
export type Steps<T = void> = Generator<Operation, T, number>;

/** A kind of finding. */
export type FindingKind = Finding["kind"];

/** A scenario that knows what each of its variants must lead to. */
export interface ProtocolScenario extends ScenarioDescription {
  /** What exploring a variant must lead to, by the variant's name. A variant is a planted fault, or another environment. */
  readonly variants: Readonly<Record<string, FindingKind | "holds">>;
  /** Stores may be delayed by the processor; otherwise accesses are sequentially consistent. */
  readonly isTso?: boolean;
  /** Most preemptions that an ordinary run tries, for variants ("" = none) whose schedules are too many; a deep run tries all. */
  readonly bounds?: Readonly<Record<string, number>>;
}

/** Makes a scenario; the names of its variants are its mutations. */
export function protocol(parts: Omit<ProtocolScenario, "mutations">): ProtocolScenario {
  return { ...parts, mutations: Object.keys(parts.variants) };
}

/** The words of one scenario, in the order in which they are named. */
export class Words {
  readonly list: { readonly name: string; readonly value: number }[] = [];

  /** Adds a word and returns its place. */
  word(name: string, value = 0): Cell {
    this.list.push({ name, value });
    return this.list.length - 1;
  }
}

/** A thread of a scenario. */
export function thread(name: string, run: () => Steps, isDaemon = false): ScenarioThread {
  return { name, run, isDaemon };
}

export const load = (cell: Cell): Operation => ({ kind: "load", cell });
export const store = (cell: Cell, value: number): Operation => ({ kind: "store", cell, value });
export const update = (cell: Cell, by: (value: number) => number): Operation => ({ kind: "update", cell, by });
export const add = (cell: Cell, amount: number): Operation => update(cell, (value) => value + amount);
export const setBits = (cell: Cell, bits: number): Operation => update(cell, (value) => value | bits);
export const clearBits = (cell: Cell, bits: number): Operation => update(cell, (value) => value & ~bits);
export const exchange = (cell: Cell, value: number): Operation => update(cell, () => value);
/** As the kernel's READ_ONCE and WRITE_ONCE: no data race, but the store may be delayed. */
export const readOnce = (cell: Cell): Operation => ({ kind: "plain-load", cell, volatile: true });
export const writeOnce = (cell: Cell, value: number): Operation => ({ kind: "plain-store", cell, value, volatile: true });
export const fence = (): Operation => ({ kind: "fence" });
/** Sleeps until the word is as wanted. */
export const sleepUntil = (cell: Cell, until: (value: number) => boolean): Operation => ({ kind: "await", cell, until, sleeps: true });
/** Spins until the word is as wanted: allowed where sleeping is not. */
export const spinUntil = (cell: Cell, until: (value: number) => boolean): Operation => ({ kind: "await", cell, until, sleeps: false });
/** Takes a lock whose waiters sleep. */
export const lock = (cell: Cell): Operation => ({ kind: "lock", cell, sleeps: true });
/** Takes a lock whose waiters spin. */
export const spinLock = (cell: Cell): Operation => ({ kind: "lock", cell, sleeps: false });
export const tryLock = (cell: Cell): Operation => ({ kind: "try-lock", cell });
export const unlock = (cell: Cell): Operation => ({ kind: "unlock", cell });
/** Reader-writer spin locks, not fair as Linux's are not to readers in interrupts. */
export const readLock = (cell: Cell): Operation => ({ kind: "read-lock", cell, sleeps: false, fair: false });
export const readUnlock = (cell: Cell): Operation => ({ kind: "read-unlock", cell });
export const writeLock = (cell: Cell): Operation => ({ kind: "write-lock", cell, sleeps: false, fair: false });
export const writeUnlock = (cell: Cell): Operation => ({ kind: "write-unlock", cell });
/** Reader-writer semaphores: sleep, and a waiting writer keeps new readers out. */
export const readDown = (cell: Cell): Operation => ({ kind: "read-lock", cell, sleeps: true, fair: true });
export const writeDown = (cell: Cell): Operation => ({ kind: "write-lock", cell, sleeps: true, fair: true });
export const allocate = (): Operation => ({ kind: "allocate" });
export const free = (frame: number): Operation => ({ kind: "free", frame });
export const use = (frame: number): Operation => ({ kind: "use", frame });
export const useWrite = (frame: number): Operation => ({ kind: "use-write", frame });
export const noSleep = (): Operation => ({ kind: "no-sleep", begins: true });
export const maySleep = (): Operation => ({ kind: "no-sleep", begins: false });
export const retry = (why: string): Operation => ({ kind: "retry", why });
export const claim = (holds: boolean, says: string): Operation => ({ kind: "claim", holds, says });
