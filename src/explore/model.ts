/**
 * What the explorer explores: threads that are generator functions and yield every access to shared memory as an operation, words of
 * shared memory with names, and what must hold. The scheduler decides which thread's operation is carried out next; its result is what
 * the yield expression gives back. Between two yields a thread touches only what is its own, so these are all the interleavings there are.
 */

/** Place of a word of shared memory in a scenario, 0 .. words.length - 1. */
export type Cell = number;

/** One access to shared memory, or a point where a thread may have to stand still. The result of each is a number. */
export type Operation =
  /** Sequentially consistent accesses, as JavaScript's Atomics. load: the value; store: 0; update: the value from before. */
  | { readonly kind: "load"; readonly cell: Cell }
  | { readonly kind: "store"; readonly cell: Cell; readonly value: number }
  | { readonly kind: "update"; readonly cell: Cell; readonly by: (value: number) => number }
  /**
   * Plain accesses: checked for data races, and stores may be delayed where the memory model is TSO. `volatile`: meant to race, as the
   * kernel's READ_ONCE and WRITE_ONCE; not a data race with another volatile or atomic access, but delayed all the same.
   */
  | { readonly kind: "plain-load"; readonly cell: Cell; readonly volatile?: boolean }
  | { readonly kind: "plain-store"; readonly cell: Cell; readonly value: number; readonly volatile?: boolean }
  /** Drains this thread's delayed stores. */
  | { readonly kind: "fence" }
  /** Stands still until the word's value satisfies `until`; the value. `sleeps`: a thread that must not sleep may not do this. */
  | { readonly kind: "await"; readonly cell: Cell; readonly until: (value: number) => boolean; readonly sleeps: boolean }
  /** A lock: the cell is 0 or 1 + the number of the holder. lock stands still (and sleeps, if `sleeps`); try-lock: 1 = taken. */
  | { readonly kind: "lock"; readonly cell: Cell; readonly sleeps: boolean }
  | { readonly kind: "try-lock"; readonly cell: Cell }
  | { readonly kind: "unlock"; readonly cell: Cell }
  /**
   * Reader-writer lock, fair (a waiting writer keeps new readers out) or not. The cell is the number of readers, or -(1 + the number of
   * the writer). Where the lock is fair, a writer that cannot have it at once takes one step more, to queue.
   */
  | { readonly kind: "read-lock" | "write-lock"; readonly cell: Cell; readonly sleeps: boolean; readonly fair: boolean }
  | { readonly kind: "read-unlock" | "write-unlock"; readonly cell: Cell }
  /** Frames: allocate gives a number from 1 on, the one freed last first; use of a frame that is not allocated is a finding. */
  | { readonly kind: "allocate" }
  | { readonly kind: "free" | "use" | "use-write"; readonly frame: number }
  // What follows are no steps of their own: they happen together with the step before them.
  /** From here on this thread may not sleep / may again. Nests. */
  | { readonly kind: "no-sleep"; readonly begins: boolean }
  /**
   * One round of a retry loop that another thread's activity made necessary. A thread that has made more of them than the bound stands
   * still from there on and the path counts as cut; if it still retries with nobody else able to go on, that is a livelock.
   */
  | { readonly kind: "retry"; readonly why: string }
  /** Something must hold here and now; false is a finding. */
  | { readonly kind: "claim"; readonly holds: boolean; readonly says: string }
  /** Writes a word that exists only for invariants (a ghost): the step before it and this are one. */
  | { readonly kind: "note"; readonly cell: Cell; readonly value: number };

/** A thread of a scenario. */
export interface ScenarioThread {
  readonly name: string;
  /** A daemon may be left standing at the end. */
  readonly isDaemon?: boolean;
  run(): Generator<Operation, void, number>;
}

/** What an invariant sees: the words, by place, after a step. */
export interface ModelView {
  value(cell: Cell): number;
  isAllocated(frame: number): boolean;
  /** Frames that are allocated. */
  readonly framesInUse: number;
}

/**
 * Something to explore; made anew for each execution, so it may have state of its own per execution. What threads share must be in the
 * words: state of the scenario's own may be written by one thread each, from its own results, and read by that thread and by `atEnd`.
 * An invariant decides by its view alone (a thread tells it by `note` what it needs to know): the reductions rely on it.
 */
export interface Scenario {
  /** Names of the words and their values at the start. */
  readonly words: readonly { readonly name: string; readonly value: number }[];
  readonly threads: readonly ScenarioThread[];
  /** Asked after every step; a text is a finding. */
  readonly invariant?: (view: ModelView) => string | undefined;
  /** Asked when all threads have ended; a text is a finding. */
  readonly atEnd?: (view: ModelView) => string | undefined;
  /** Frames that are allocated at the start: 1 .. framesAtStart. */
  readonly framesAtStart?: number;
  /** How many frames may be in use when all have ended; more are a leak. Default: as many as at the start. */
  readonly framesAtEnd?: number;
}

/** A scenario by name, with the variants that are faults. */
export interface ScenarioDescription {
  /** Lower-case words with hyphens. */
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly says: string;
  /** What exploring it must find: nothing, or a finding of this kind. */
  readonly expected: "holds" | Finding["kind"];
  /** Names of faults that can be planted. */
  readonly mutations?: readonly string[];
  create(mutation?: string): Scenario;
}

/** What went wrong. */
export interface Finding {
  readonly kind:
    | "use-after-free" | "deadlock" | "sleep-in-no-sleep" | "data-race" | "invariant" | "claim" | "leak" | "livelock" | "double-free" | "end";
  readonly says: string;
}
