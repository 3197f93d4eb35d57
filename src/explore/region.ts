/**
 * Where a scenario's state lies: one region of numbers for each step of the current path, so that going back is free. The first part of
 * a region is what two paths must have in common to be in the same state; the second follows from the path.
 *
 *     words | waiting writers | threads: digest, digest, flags | frames | store buffers || no-sleep, retries, steps, ... | clocks
 *     <------------------------------- hashed ------------------------------------------>
 */

/** Frames that can be in use at once. */
export const FRAMES_MAX = 24;
/** Stores that wait in one thread's buffer. */
export const BUFFER_MAX = 8;

/** Bits of a thread's flags. */
export const FLAG_ENDED = 1;
export const FLAG_PARKED = 2;
export const FLAG_QUEUED = 4;
export const FLAG_STEPS_DONE = 8;

const THREAD_HASHED = 3;
const THREAD_KEPT = 5;

/** What a region must have room for. */
export interface RegionNeeds {
  readonly wordCount: number;
  readonly threadCount: number;
  readonly isTso: boolean;
  /** Whether data races are found by vector clocks. */
  readonly hasClocks: boolean;
}

/** Offsets in a region, in numbers. Immutable. */
export class RegionLayout {
  readonly wordCount: number;
  readonly threadCount: number;
  readonly isTso: boolean;
  readonly hasClocks: boolean;
  readonly waitingWriters: number;
  readonly threads: number;
  /** Bit n: frame n is allocated. */
  readonly framesAllocated: number;
  /** Highest frame number that was ever given. */
  readonly framesHighest: number;
  readonly freeCount: number;
  readonly freeFrames: number;
  readonly buffers: number;
  /** Length of the part that makes two states the same. */
  readonly hashedLength: number;
  readonly kept: number;
  readonly bufferEvents: number;
  readonly clocks: number;
  readonly length: number;

  constructor({ wordCount, threadCount, isTso, hasClocks }: RegionNeeds) {
    this.wordCount = wordCount;
    this.threadCount = threadCount;
    this.isTso = isTso;
    this.hasClocks = hasClocks;
    let next = wordCount;
    const take = (count: number): number => (next += count) - count;
    this.waitingWriters = take(wordCount);
    this.threads = take(threadCount * THREAD_HASHED);
    this.framesAllocated = take(1);
    this.framesHighest = take(1);
    this.freeCount = take(1);
    this.freeFrames = take(FRAMES_MAX);
    this.buffers = take(isTso ? threadCount * (1 + 2 * BUFFER_MAX) : 0);
    this.hashedLength = next;
    this.kept = take(threadCount * THREAD_KEPT);
    this.bufferEvents = take(isTso ? threadCount * BUFFER_MAX : 0);
    // A clock for each thread, a release clock for each word and the allocator, last plain writes and reads of each word by thread.
    this.clocks = take(hasClocks ? threadCount * (threadCount + (wordCount + 1) + 4 * wordCount) : 0);
    this.length = next;
  }

  /** First of a thread's two digests of the results it has got. */
  digest(thread: number): number {
    return this.threads + thread * THREAD_HASHED;
  }

  flags(thread: number): number {
    return this.threads + thread * THREAD_HASHED + 2;
  }

  /** How deep a thread is in no-sleep sections. */
  noSleep(thread: number): number {
    return this.kept + thread * THREAD_KEPT;
  }

  retries(thread: number): number {
    return this.kept + thread * THREAD_KEPT + 1;
  }

  steps(thread: number): number {
    return this.kept + thread * THREAD_KEPT + 2;
  }

  /** 1 + the step that made room in a full store buffer, 0 once the room is used. */
  roomMadeBy(thread: number): number {
    return this.kept + thread * THREAD_KEPT + 3;
  }

  /** Number of delayed stores; then pairs of cell and value, the oldest first. */
  buffer(thread: number): number {
    return this.buffers + thread * (1 + 2 * BUFFER_MAX);
  }

  /** Step at which each delayed store was made. */
  bufferEvent(thread: number): number {
    return this.bufferEvents + thread * BUFFER_MAX;
  }
}
