/**
 * The frames of the host: who has which one, and which are free, per memory block.
 *
 * Frame table entry: word 0 reference count (0 = free), word 1 state in the block, word 2 first owner (hva page), word 3 next free
 * frame of the block. All protected by WORD_POOL_LOCK, which is a leaf lock. Every page that has the frame holds a reference, and so
 * does a user of a page that pins it; the last one to let go frees it.
 * A frame that was never used is known to be zero (fresh memory) and costs the operating system nothing until then; so
 * freed frames are handed out first, the last one freed first of all.
 */
import { atomicAdd, atomicLoad, atomicStore, withLock } from "#sync";
import type { SharedWords } from "#sync";
import { pfnOf } from "../abi/address.js";
import type { HvaPage, Pfn } from "../abi/address.js";
import { FRAME_ENTRY_SIZE } from "../abi/layout.js";
import { assert } from "./errors.js";
import type { HostViews } from "./host-views.raw.js";
import { BLOCK_ENTRY_WORDS, FIRST_BLOCK, FRAMES_PER_BLOCK, WORD_BLOCK_COUNT, WORD_BLOCK_TABLE, WORD_FRAMES_IN_USE, WORD_FRAMES_ONLINE, WORD_FRAME_LIMIT,
  WORD_FRAME_TABLE, WORD_POOL_HINT, WORD_POOL_LOCK } from "./layout.js";

const BLOCK_ABSENT = 0;
const BLOCK_ONLINE = 1;
const BLOCK_OFFLINE = 2;
/** Still has frames in use, but gives none any more. */
const BLOCK_ISOLATED = 3;
/** Words of a block table entry. */
const STATE = 0;
const FREE_HEAD = 1;
const FREED_COUNT = 2;
const UNTOUCHED_NEXT = 3;
const IN_USE = 4;
/** Words of a frame table entry. */
const REFERENCES = 0;
const OWNER = 2;
const NEXT_FREE = 3;

/** One memory block, as statistics show it. */
export interface BlockStatistics {
  /** Address of the block / 16 MiB. */
  readonly index: number;
  /** A block that is being emptied counts as online. */
  readonly state: "online" | "offline";
  readonly framesTotal: number;
  readonly framesInUse: number;
  /** Frames that were never used since the memory was reserved. */
  readonly framesUntouched: number;
}

/** Whether an allocation may pass the frame limit: a move does for a moment, a page's first frame does not. */
export type LimitRule = "within-limit" | "beyond-limit";

/** Number of the memory block that a frame is in. */
export function blockOf(pfn: Pfn): number {
  return pfn >>> 12;
}

/** Allocates and frees frames; any thread. */
export class FramePool {
  readonly #views: HostViews;
  readonly #words: SharedWords;

  constructor(views: HostViews) {
    this.#views = views;
    this.#words = views.words;
  }

  /** Puts `blockCount` fresh blocks online. Precondition: memory just reserved, no other thread knows it. */
  initialise(blockCount: number): void {
    atomicStore(this.#words, WORD_BLOCK_COUNT, blockCount);
    atomicStore(this.#words, WORD_POOL_HINT, FIRST_BLOCK);
    atomicStore(this.#words, WORD_FRAMES_ONLINE, blockCount * FRAMES_PER_BLOCK);
    for (let block = FIRST_BLOCK; block < FIRST_BLOCK + blockCount; block++) this.#setBlock(block, STATE, BLOCK_ONLINE);
  }

  /** Frames of all blocks that are not offline. */
  get framesOnline(): number {
    return atomicLoad(this.#words, WORD_FRAMES_ONLINE);
  }

  /** Memory blocks of this host, whatever their state. */
  get blockCount(): number {
    return atomicLoad(this.#words, WORD_BLOCK_COUNT);
  }

  /** Whether `block` is the number of a block of this host. */
  hasBlock(block: number): boolean {
    return Number.isInteger(block) && block >= FIRST_BLOCK && block < FIRST_BLOCK + this.blockCount;
  }

  /** Frames in use in all blocks. */
  get framesInUse(): number {
    return atomicLoad(this.#words, WORD_FRAMES_IN_USE);
  }

  /** Takes a frame filled with zeroes; undefined = no online block has one, or the limit is reached. */
  allocateZeroed(owner: HvaPage): Pfn | undefined {
    const taken = this.#take(owner, "within-limit");
    if (taken === undefined) return undefined;
    if (!taken.untouched) this.#views.clearFrame(taken.pfn);
    return taken.pfn;
  }

  /** Takes a frame with unknown contents, for a caller who overwrites all of it; undefined as above. */
  allocateUncleared(owner: HvaPage, rule: LimitRule): Pfn | undefined {
    return this.#take(owner, rule)?.pfn;
  }

  /**
   * Takes a frame with unknown contents for each of `owners`, in their order, limit or not; fewer if the online blocks have no more. It
   * costs a fraction of so many calls of allocateUncleared.
   */
  allocateBatch(owners: readonly HvaPage[]): Pfn[] {
    const frames: Pfn[] = [];
    withLock(this.#words, WORD_POOL_LOCK, () => {
      while (frames.length < owners.length) {
        const block = this.#findBlockLocked();
        if (block === undefined) break;
        this.#takeRunLocked(block, owners, frames);
      }
      atomicAdd(this.#words, WORD_FRAMES_IN_USE, frames.length);
    });
    return frames;
  }

  /** Takes as many frames of a block as it has and `owners` still need; the block's words are written once. */
  #takeRunLocked(block: number, owners: readonly HvaPage[], frames: Pfn[]): void {
    const inUse = this.#block(block, IN_USE);
    const freed = this.#block(block, FREED_COUNT);
    const untouched = this.#block(block, UNTOUCHED_NEXT);
    let head = this.#block(block, FREE_HEAD);
    const count = Math.min(owners.length - frames.length, FRAMES_PER_BLOCK - inUse);
    const fromFreed = Math.min(count, freed);
    for (let step = 0; step < count; step++) {
      const pfn = pfnOf(step < fromFreed ? head : block * FRAMES_PER_BLOCK + untouched + step - fromFreed);
      if (step < fromFreed) head = this.#frame(pfn, NEXT_FREE);
      this.#setFrame(pfn, REFERENCES, 1);
      this.#setFrame(pfn, OWNER, owners[frames.length]!);
      frames.push(pfn);
    }
    this.#setBlock(block, FREE_HEAD, head);
    this.#setBlock(block, FREED_COUNT, freed - fromFreed);
    this.#setBlock(block, UNTOUCHED_NEXT, untouched + count - fromFreed);
    this.#setBlock(block, IN_USE, inUse + count);
  }

  /** Adds a reference to a frame in use. */
  addReference(pfn: Pfn): void {
    withLock(this.#words, WORD_POOL_LOCK, () => {
      const references = this.#frame(pfn, REFERENCES);
      assert(references > 0, "expected a frame in use, got", pfn);
      this.#setFrame(pfn, REFERENCES, references + 1);
    });
  }

  /** References of a frame, 0 = free. A moment later it may be another number, unless the caller keeps all others out. */
  references(pfn: Pfn): number {
    return this.#frame(pfn, REFERENCES);
  }

  /**
   * Lets go of one reference of each frame; a frame without any is free. Precondition: the caller holds the references, and
   * nobody can reach a frame by them any more.
   */
  release(frames: readonly Pfn[]): void {
    if (frames.length === 0) return;
    withLock(this.#words, WORD_POOL_LOCK, () => {
      for (let from = 0; from < frames.length;) from = this.#releaseRunLocked(frames, from);
    });
  }

  /** Lets go of frames from place `from` on that are in one block, whose words are written once. Returns where those of another begin. */
  #releaseRunLocked(frames: readonly Pfn[], from: number): number {
    const block = blockOf(frames[from]!);
    let head = this.#block(block, FREE_HEAD);
    let freed = 0;
    let at = from;
    for (; at < frames.length && blockOf(frames[at]!) === block; at++) {
      const pfn = frames[at]!;
      const references = this.#frame(pfn, REFERENCES);
      assert(references > 0, "expected a frame with a reference, got", pfn);
      this.#setFrame(pfn, REFERENCES, references - 1);
      if (references > 1) continue;
      this.#setFrame(pfn, NEXT_FREE, head);
      head = pfn;
      freed++;
    }
    this.#setBlock(block, FREE_HEAD, head);
    this.#setBlock(block, FREED_COUNT, this.#block(block, FREED_COUNT) + freed);
    this.#setBlock(block, IN_USE, this.#block(block, IN_USE) - freed);
    atomicAdd(this.#words, WORD_FRAMES_IN_USE, -freed);
    return at;
  }

  /** Has a block give no more frames. Returns false if it was offline or isolated already. */
  isolateBlock(block: number): boolean {
    return this.#changeState(block, BLOCK_ONLINE, BLOCK_ISOLATED);
  }

  /** Undoes `isolateBlock`. */
  cancelIsolation(block: number): void {
    this.#changeState(block, BLOCK_ISOLATED, BLOCK_ONLINE);
  }

  /** Takes a block out of use; "in-use" = it still has frames somebody uses, and nothing was changed. */
  offlineBlock(block: number): "offline" | "in-use" {
    return withLock(this.#words, WORD_POOL_LOCK, () => {
      this.#assertBlock(block);
      if (this.#block(block, IN_USE) !== 0) return "in-use";
      if (this.#block(block, STATE) !== BLOCK_OFFLINE) atomicAdd(this.#words, WORD_FRAMES_ONLINE, -FRAMES_PER_BLOCK);
      this.#setBlock(block, STATE, BLOCK_OFFLINE);
      return "offline";
    });
  }

  /** Puts a block into use again. Returns false if it was online. */
  onlineBlock(block: number): boolean {
    return this.#changeState(block, BLOCK_OFFLINE, BLOCK_ONLINE);
  }

  #changeState(block: number, from: number, to: number): boolean {
    return withLock(this.#words, WORD_POOL_LOCK, () => {
      this.#assertBlock(block);
      if (this.#block(block, STATE) !== from) return false;
      if (from === BLOCK_OFFLINE) atomicAdd(this.#words, WORD_FRAMES_ONLINE, FRAMES_PER_BLOCK);
      this.#setBlock(block, STATE, to);
      return true;
    });
  }

  /** Who was the first to own a frame, and how many references it has. */
  describe(pfn: Pfn): { readonly owner: number; readonly references: number } {
    return withLock(this.#words, WORD_POOL_LOCK, () => ({ owner: this.#frame(pfn, OWNER), references: this.#frame(pfn, REFERENCES) }));
  }

  /** A consistent picture of every block. */
  blocks(): BlockStatistics[] {
    return withLock(this.#words, WORD_POOL_LOCK, () =>
      Array.from({ length: this.blockCount }, (_, offset) => this.#describeBlock(FIRST_BLOCK + offset)));
  }

  #describeBlock(index: number): BlockStatistics {
    return {
      index,
      state: this.#block(index, STATE) === BLOCK_OFFLINE ? "offline" : "online",
      framesTotal: FRAMES_PER_BLOCK,
      framesInUse: this.#block(index, IN_USE),
      framesUntouched: FRAMES_PER_BLOCK - this.#block(index, UNTOUCHED_NEXT),
    };
  }

  #take(owner: HvaPage, rule: LimitRule): { pfn: Pfn; untouched: boolean } | undefined {
    return withLock(this.#words, WORD_POOL_LOCK, () => {
      const limit = atomicLoad(this.#words, WORD_FRAME_LIMIT);
      if (rule === "within-limit" && limit !== 0 && this.framesInUse >= limit) return undefined;
      const block = this.#findBlockLocked();
      if (block === undefined) return undefined;
      const untouched = this.#block(block, FREED_COUNT) === 0;
      const pfn = untouched ? this.#takeUntouchedLocked(block) : this.#takeFreedLocked(block);
      this.#setFrame(pfn, REFERENCES, 1);
      this.#setFrame(pfn, OWNER, owner);
      this.#setBlock(block, IN_USE, this.#block(block, IN_USE) + 1);
      atomicAdd(this.#words, WORD_FRAMES_IN_USE, 1);
      return { pfn, untouched };
    });
  }

  /** An online block with a free frame, looked for from the last one on. */
  #findBlockLocked(): number | undefined {
    const count = this.blockCount;
    const hint = atomicLoad(this.#words, WORD_POOL_HINT) - FIRST_BLOCK;
    for (let step = 0; step < count; step++) {
      const block = FIRST_BLOCK + ((hint + step) % count);
      if (this.#block(block, STATE) !== BLOCK_ONLINE || this.#block(block, IN_USE) === FRAMES_PER_BLOCK) continue;
      atomicStore(this.#words, WORD_POOL_HINT, block);
      return block;
    }
    return undefined;
  }

  #takeUntouchedLocked(block: number): Pfn {
    const index = this.#block(block, UNTOUCHED_NEXT);
    this.#setBlock(block, UNTOUCHED_NEXT, index + 1);
    return pfnOf(block * FRAMES_PER_BLOCK + index);
  }

  #takeFreedLocked(block: number): Pfn {
    const pfn = pfnOf(this.#block(block, FREE_HEAD));
    this.#setBlock(block, FREE_HEAD, this.#frame(pfn, NEXT_FREE));
    this.#setBlock(block, FREED_COUNT, this.#block(block, FREED_COUNT) - 1);
    return pfn;
  }

  #assertBlock(block: number): void {
    assert(block >= FIRST_BLOCK && block < FIRST_BLOCK + this.blockCount && this.#block(block, STATE) !== BLOCK_ABSENT,
      "expected a memory block of this host, got", block);
  }

  #block(block: number, field: number): number {
    return atomicLoad(this.#words, WORD_BLOCK_TABLE + block * BLOCK_ENTRY_WORDS + field);
  }

  #setBlock(block: number, field: number, value: number): void {
    atomicStore(this.#words, WORD_BLOCK_TABLE + block * BLOCK_ENTRY_WORDS + field, value);
  }

  #frame(pfn: Pfn, field: number): number {
    return atomicLoad(this.#words, WORD_FRAME_TABLE + pfn * (FRAME_ENTRY_SIZE >>> 2) + field);
  }

  #setFrame(pfn: Pfn, field: number, value: number): void {
    atomicStore(this.#words, WORD_FRAME_TABLE + pfn * (FRAME_ENTRY_SIZE >>> 2) + field, value);
  }
}
