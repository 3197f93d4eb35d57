/**
 * Short read sections that a writer can wait for: SRCU's contract with one slot a thread.
 *
 * A slot is two words: an epoch (odd = its thread is inside a section) and a claim. A section never waits for anybody, so
 * `synchronizeReaders` ends after the longest section that was open when it began.
 *
 *     reader                                   writer
 *     enter: epoch = odd                       retract what readers check
 *     check what the writer retracts           synchronizeReaders: read every epoch
 *
 * Each side writes, then reads the other's word, all sequentially consistent: either the reader sees the retraction,
 * or the writer sees the odd epoch and waits.
 */
import { atomicCompareExchange, atomicLoad, atomicStore, waitUntilChanged } from "./atomics.js";
import type { SharedWords } from "./atomics.js";
import type { SectionSteps } from "./section-steps.js";

/** Where the slots of one domain are. Immutable. */
export interface ReaderDomain {
  readonly words: SharedWords;
  /** Index of the first slot's epoch; its claim is the next word. */
  readonly firstIndex: number;
  /** Words from slot to slot; a cache line keeps threads from disturbing each other. */
  readonly strideWords: number;
  readonly slotCount: number;
  /** The steps on the memory of `words`; without them the accesses are made one by one. */
  readonly steps?: SectionSteps | undefined;
}

/** One thread's place in a reader domain. Use by the claiming thread only. */
export class ReaderSlot {
  readonly #words: SharedWords;
  readonly #index: number;
  readonly #steps: SectionSteps | undefined;
  #epoch: number;
  #depth = 0;

  private constructor({ words, steps }: ReaderDomain, index: number) {
    this.#words = words;
    this.#index = index;
    this.#steps = steps;
    this.#epoch = atomicLoad(words, index);
  }

  /** Claims a free slot; undefined = all are taken. */
  static claim(domain: ReaderDomain): ReaderSlot | undefined {
    for (let slot = 0; slot < domain.slotCount; slot++) {
      const index = domain.firstIndex + slot * domain.strideWords;
      if (atomicCompareExchange(domain.words, index + 1, 0, 1) === 0) return new ReaderSlot(domain, index);
    }
    return undefined;
  }

  /** Opens a section. Sections nest; they may neither sleep nor take a lock. */
  enter(): void {
    if (this.#depth++ !== 0) return;
    this.#epoch = (this.#epoch + 1) | 0;
    atomicStore(this.#words, this.#index, this.#epoch);
  }

  /** Opens a section, then reads the word at `index`: what the writer retracts. */
  enterAndLook(index: number): number {
    if (this.#depth++ !== 0) return atomicLoad(this.#words, index);
    this.#epoch = (this.#epoch + 1) | 0;
    return this.#storeThenLook(index);
  }

  /** Closes the section opened last. Orders all that this thread wrote before all that it reads afterwards, nested sections too. */
  leave(): void {
    if (--this.#depth === 0) this.#epoch = (this.#epoch + 1) | 0;
    if (this.#steps !== undefined) this.#steps.store(this.#index << 2, this.#epoch);
    else atomicStore(this.#words, this.#index, this.#epoch);
  }

  /** Closes the section opened last, then reads the word at `index`. */
  leaveAndLook(index: number): number {
    if (--this.#depth === 0) this.#epoch = (this.#epoch + 1) | 0;
    return this.#storeThenLook(index);
  }

  #storeThenLook(index: number): number {
    if (this.#steps !== undefined) return this.#steps.storeThenLoad(this.#index << 2, this.#epoch, index << 2);
    atomicStore(this.#words, this.#index, this.#epoch);
    return atomicLoad(this.#words, index);
  }

  /** Orders what this thread wrote before what it reads afterwards. */
  order(): void {
    atomicStore(this.#words, this.#index, this.#epoch);
  }

  /** Whether this thread is inside a section. */
  get isInside(): boolean {
    return this.#depth !== 0;
  }

  /** Gives the slot back. Precondition: outside every section; the slot is not used afterwards. */
  release(): void {
    if (this.#depth !== 0) throw new Error(`reader slot: expected release outside a section, depth is ${this.#depth}`);
    atomicStore(this.#words, this.#index + 1, 0);
  }
}

/**
 * Returns when every section that was open at the call has been closed; does not wait for later ones. Returns whether there was one.
 * May sleep, unless `mustNotSleep`: then it spins, which ends because sections are short and never wait for anybody.
 * Precondition: the calling thread is outside its own sections.
 */
export function synchronizeReaders(domain: ReaderDomain, mustNotSleep = false): boolean {
  let waited = false;
  for (let slot = 0; slot < domain.slotCount; slot++) {
    const index = domain.firstIndex + slot * domain.strideWords;
    const epoch = atomicLoad(domain.words, index);
    if ((epoch & 1) === 0) continue;
    waited = true;
    waitUntilChanged(domain.words, index, epoch, mustNotSleep);
  }
  return waited;
}
