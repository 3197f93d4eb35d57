/**
 * How a change of host pages and the users of those pages keep out of each other's way, across threads.
 *
 * Pages are hashed into buckets of (sequence, active count). A user of a page remembers the sequence under which it
 * looked its frame up; a different sequence means: look it up again. Uses are short read sections.
 *
 *     invalidator                              refresher                        user
 *     begin: active++ in all buckets           s = sequence                     enter section
 *            sequence++                        look the frame up                sequence still s? otherwise leave
 *            wait for open sections            active not 0: wait, again        use the frame
 *     change page tables, flush TLBs, copy     sequence not s: again            leave section
 *     end:   sequence++                        publish (s, frame)
 *            active--
 *     free the old frame
 *
 * - A user that enters after begin's sequence++ sees it and leaves; one that entered before is waited for. So between
 *   begin and end nobody uses a frame that was looked up before begin.
 * - A refresher that samples between begin and end is stopped by active (it tests active *before* the sequence: if active
 *   is 0 because end has passed, then end's sequence++ has passed too and the second test fails).
 * - Two pages that share a bucket disturb each other, they never break each other.
 */
import { ReaderSlot, atomicAdd, atomicLoad, notifyWaiters, synchronizeReaders, waitWhile } from "#sync";
import type { ReaderDomain, SectionSteps, SharedWords } from "#sync";
import type { HvaPage } from "../abi/address.js";
import { HostMemoryError, assert } from "./errors.js";
import { INVALIDATION_BUCKET_COUNT, READER_SLOT_COUNT, READER_SLOT_STRIDE_WORDS, WORD_INVALIDATION_BUCKETS, WORD_INVALIDATION_ENDS, WORD_READER_SLOTS } from "./layout.js";
import type { InvalidationRange } from "./mmu-notifier.js";

/** One thread's view of the invalidations of a host. */
export class Invalidations {
  readonly #words: SharedWords;
  readonly #domain: ReaderDomain;
  readonly #slot: ReaderSlot;

  constructor(words: SharedWords, steps?: SectionSteps) {
    this.#words = words;
    this.#domain = { words, firstIndex: WORD_READER_SLOTS, strideWords: READER_SLOT_STRIDE_WORDS, slotCount: READER_SLOT_COUNT, steps };
    const slot = ReaderSlot.claim(this.#domain);
    if (slot === undefined) throw new HostMemoryError("too-many-threads", `no more than ${READER_SLOT_COUNT} users of one host memory`);
    this.#slot = slot;
  }

  /** Index of the word that holds the sequence of a page's bucket; stays the same for ever. */
  sequenceIndex(page: HvaPage): number {
    return WORD_INVALIDATION_BUCKETS + 2 * bucketOf(page);
  }

  /** The sequence in a word found by `sequenceIndex`. */
  sequence(index: number): number {
    return atomicLoad(this.#words, index);
  }

  /** Opens a read section: pages whose sequence is checked inside it stay until `leave`. No sleeping, no locks inside. */
  enter(): void {
    this.#slot.enter();
  }

  /** As `enter`, and then reads the sequence in a word found by `sequenceIndex`. */
  enterAndLook(index: number): number {
    return this.#slot.enterAndLook(index);
  }

  /** Closes the section opened last. */
  leave(): void {
    this.#slot.leave();
  }

  /** As `leave`, and then reads the word at `index`. */
  leaveAndLook(index: number): number {
    return this.#slot.leaveAndLook(index);
  }

  /** Orders what this thread wrote before what it reads afterwards; `leave` does so too. */
  order(): void {
    this.#slot.order();
  }

  /** Whether this thread is inside a section. */
  protected get isInside(): boolean {
    return this.#slot.isInside;
  }

  /** Stops the VM if this thread is inside a section: what follows may wait for an invalidation, which waits for sections. */
  assertOutside(): void {
    assert(!this.#slot.isInside, "expected no open guest page section here: its callback may neither sleep nor open, refresh or fault");
  }

  /**
   * Whether a frame looked up under `sequence` may be published. False = look it up again; sleeps first while an
   * invalidation of the bucket is active.
   */
  mayPublish(index: number, sequence: number): boolean {
    const ends = atomicLoad(this.#words, WORD_INVALIDATION_ENDS);
    if (atomicLoad(this.#words, index + 1) !== 0) {
      waitWhile(this.#words, WORD_INVALIDATION_ENDS, ends);
      return false;
    }
    return atomicLoad(this.#words, index) === sequence;
  }

  /**
   * Begins an invalidation of all ranges. On return nobody uses a frame of a range that was looked up before. Returns whether a
   * reader had to be waited for. May sleep, unless `mustNotSleep`: then it spins until the open sections, which are short, are over.
   */
  begin(ranges: readonly InvalidationRange[], mustNotSleep = false): boolean {
    this.assertOutside();
    forEachBucket(ranges, (index) => {
      atomicAdd(this.#words, index + 1, 1);
      atomicAdd(this.#words, index, 1);
    });
    return synchronizeReaders(this.#domain, mustNotSleep);
  }

  /** Ends the invalidation that `begin` opened with the same ranges. Precondition: the page tables show the new state. Never sleeps. */
  end(ranges: readonly InvalidationRange[]): void {
    forEachBucket(ranges, (index) => {
      atomicAdd(this.#words, index, 1);
      const active = atomicAdd(this.#words, index + 1, -1);
      assert(active > 0, "expected an invalidation to end that was begun, active count was", active);
    });
    atomicAdd(this.#words, WORD_INVALIDATION_ENDS, 1);
    notifyWaiters(this.#words, WORD_INVALIDATION_ENDS);
  }

  /** Gives this thread's place back. */
  detach(): void {
    this.#slot.release();
  }
}

/** Neighbouring pages have different buckets; memslots, which start at multiples of 1024, are spread by the factor. */
function bucketOf(page: number): number {
  return (page + (page >>> 10) * 37) & (INVALIDATION_BUCKET_COUNT - 1);
}

/** Calls `use` with the sequence index of each page's bucket; a range of many pages names each bucket once. */
function forEachBucket(ranges: readonly InvalidationRange[], use: (index: number) => void): void {
  for (const range of ranges) {
    if (range.pageCount >= INVALIDATION_BUCKET_COUNT) {
      for (let bucket = 0; bucket < INVALIDATION_BUCKET_COUNT; bucket++) use(WORD_INVALIDATION_BUCKETS + 2 * bucket);
      continue;
    }
    for (let page = 0; page < range.pageCount; page++) use(WORD_INVALIDATION_BUCKETS + 2 * bucketOf(range.firstHvaPage + page));
  }
}
