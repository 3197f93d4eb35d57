/**
 * Data races on plain accesses, by vector clocks (Flanagan and Freund, "FastTrack", 2009, with a vector for reads and for writes): two
 * accesses of one word by different threads, one of them a store, not both meant to be shared (atomic or volatile), and no order between
 * them. Order comes from a thread's own steps and from a value: who reads a word by an atomic or volatile access comes behind the one who wrote
 * it; so do locks, and the frame allocator.
 */
import type { Machine } from "./machine.js";
import type { Operation } from "./model.js";

/** How an access shares: what it conflicts with. */
const PLAIN = 0;
const SHARED = 1;

/** Operations in which a thread may stand still for a word. */
const STANDS: ReadonlySet<Operation["kind"]> = new Set(["await", "lock", "read-lock", "write-lock"]);

/** The clocks of a machine. They lie in its regions. */
export class DataRaces {
  readonly #machine: Machine;
  readonly #threads: number;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#threads = machine.layout.threadCount;
  }

  /** A thread's own time is 1 at its start. */
  begin(thread: number): void {
    this.#machine.slab[this.#clock(thread) + thread] = 1;
  }

  /** An atomic access, which hands on what happened before it (`releases`), or comes behind what was handed on (`acquires`). */
  atomic(thread: number, cell: number, acquires: boolean, releases: boolean): void {
    this.#access(thread, cell, releases, SHARED);
    if (acquires) this.#join(this.#clock(thread), this.#released(cell));
    if (releases) this.#release(thread, cell);
  }

  /** A plain access. */
  plain(thread: number, cell: number, isStore: boolean, isVolatile: boolean): void {
    this.#access(thread, cell, isStore, isVolatile ? SHARED : PLAIN);
    if (!isVolatile) {
      if (isStore && !this.#machine.layout.isTso) this.#passWaiting(thread, cell);
      return;
    }
    if (!isStore) this.#join(this.#clock(thread), this.#released(cell));
    else if (!this.#machine.layout.isTso) this.#release(thread, cell);
    // What comes behind a delayed store is not handed on with it.
    else this.#machine.slab[this.#clock(thread) + thread]!++;
  }

  /** A delayed store reaches memory: from here on, who reads it comes behind the step that made it (`event`, negative: not volatile). */
  drain(thread: number, cell: number, event: number): void {
    if (event <= 0) {
      this.#passWaiting(thread, cell);
      return;
    }
    const { slab, layout } = this.#machine;
    const then = event * layout.length + layout.clocks + thread * this.#threads;
    slab.copyWithin(this.#released(cell), then, then + this.#threads);
    slab[this.#released(cell) + thread]!--;
  }

  /** The allocator is one atomic word. */
  allocator(thread: number): void {
    const { wordCount } = this.#machine.layout;
    this.#join(this.#clock(thread), this.#released(wordCount));
    this.#release(thread, wordCount);
  }

  #access(thread: number, cell: number, isStore: boolean, how: typeof PLAIN | typeof SHARED): void {
    const { slab } = this.#machine;
    const clock = this.#clock(thread);
    const at = this.#accesses(cell);
    for (let other = 0; other < this.#threads; other++) {
      if (other === thread) continue;
      const known = slab[clock + other]!;
      // Stores conflict with everything; what is shared on both sides does not.
      const isRace = slab[at + other]! > known || (isStore && slab[at + this.#threads + other]! > known) ||
        (how === PLAIN && (slab[at + 2 * this.#threads + other]! > known || (isStore && slab[at + 3 * this.#threads + other]! > known)));
      if (isRace) this.#report(thread, other, cell);
    }
    slab[at + (2 * how + (isStore ? 0 : 1)) * this.#threads + thread] = slab[clock + thread]!;
  }

  /** A plain store reaches memory: whoever stands still for the word looks at it at the same time, even if it never goes on. */
  #passWaiting(thread: number, cell: number): void {
    const { slab, depth } = this.#machine;
    const stored = slab[this.#accesses(cell) + thread]!;
    for (let other = 0; other < this.#threads; other++) {
      const operation = other === thread ? undefined : this.#machine.pendingAt(depth - 1, other);
      if (operation === undefined || !("cell" in operation) || operation.cell !== cell) continue;
      if (STANDS.has(operation.kind) && slab[this.#clock(other) + thread]! < stored) this.#report(thread, other, cell);
    }
  }

  #report(thread: number, other: number, cell: number): void {
    const { threadNames, wordNames, checks } = this.#machine;
    if (!checks.findsRaces) return;
    this.#machine.report("data-race", raceText(threadNames[thread]!, threadNames[other]!, wordNames[cell]!));
  }

  #release(thread: number, cell: number): void {
    const { slab } = this.#machine;
    const clock = this.#clock(thread);
    slab.copyWithin(this.#released(cell), clock, clock + this.#threads);
    slab[clock + thread]!++;
  }

  #join(into: number, from: number): void {
    const { slab } = this.#machine;
    for (let thread = 0; thread < this.#threads; thread++) {
      if (slab[from + thread]! > slab[into + thread]!) slab[into + thread] = slab[from + thread]!;
    }
  }

  #clock(thread: number): number {
    return this.#machine.base + this.#machine.layout.clocks + thread * this.#threads;
  }

  #released(cell: number): number {
    return this.#machine.base + this.#machine.layout.clocks + (this.#threads + cell) * this.#threads;
  }

  /** Four vectors: plain stores and loads, shared stores and loads. */
  #accesses(cell: number): number {
    const { layout, base } = this.#machine;
    return base + layout.clocks + (this.#threads + layout.wordCount + 1 + 4 * cell) * this.#threads;
  }
}

/** A data race in words. The order in which the two are named does not depend on who came first. */
export function raceText(one: string, other: string, word: string): string {
  const [first, second] = [one, other].sort();
  return `${first} and ${second} access ${word} at the same time, with plain accesses`;
}
