/**
 * The frames of the host: who has which one, and which are free, per memory block.
 *
 * Frame table entry: word 0 reference count, word 1 use (FRAME_*), word 2 owner (hva page of a guest frame, number of the
 * root entry of a table frame), word 3 next free frame of the block. All protected by WORD_POOL_LOCK, which is a leaf lock.
 * A frame that was never used is known to be zero (fresh memory) and costs the operating system nothing until then; so
 * freed frames are handed out first.
 */
import { atomicAdd, atomicLoad, atomicStore, withLock } from "#sync";
import type { SharedWords } from "#sync";
import { pfnOf } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { FRAME_ENTRY_SIZE } from "../abi/layout.js";
import { assert } from "./errors.js";
import type { HostViews } from "./host-views.raw.js";
import { BLOCK_ENTRY_WORDS, FIRST_BLOCK, FRAMES_PER_BLOCK, WORD_BLOCK_COUNT, WORD_BLOCK_TABLE, WORD_FRAME_TABLE, WORD_POOL_HINT,
  WORD_POOL_LOCK, WORD_TABLE_FRAMES } from "./layout.js";

/** What a frame is used for. */
export const FRAME_FREE = 0;
export const FRAME_GUEST = 1;
export const FRAME_TABLE = 2;
export type FrameUse = typeof FRAME_GUEST | typeof FRAME_TABLE;

const BLOCK_ABSENT = 0;
const BLOCK_ONLINE = 1;
const BLOCK_OFFLINE = 2;
/** Words of a block table entry. */
const STATE = 0;
const FREE_HEAD = 1;
const FREED_COUNT = 2;
const UNTOUCHED_NEXT = 3;
const IN_USE = 4;
/** Words of a frame table entry. */
const REFERENCES = 0;
const USE = 1;
const OWNER = 2;
const NEXT_FREE = 3;

/** One memory block, as statistics show it. */
export interface BlockStatistics {
  /** Address of the block / 16 MiB. */
  readonly index: number;
  readonly state: "online" | "offline";
  readonly framesTotal: number;
  readonly framesInUse: number;
  /** Frames that were never used since the memory was reserved. */
  readonly framesUntouched: number;
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
    for (let block = FIRST_BLOCK; block < FIRST_BLOCK + blockCount; block++) this.#setBlock(block, STATE, BLOCK_ONLINE);
  }

  /** Memory blocks of this host, whatever their state. */
  get blockCount(): number {
    return atomicLoad(this.#words, WORD_BLOCK_COUNT);
  }

  /** Takes a frame filled with zeroes; undefined = no online block has one. */
  allocateZeroed(use: FrameUse, owner: number): Pfn | undefined {
    const taken = this.#take(use, owner);
    if (taken === undefined) return undefined;
    if (!taken.untouched) this.#views.clearFrame(taken.pfn);
    return taken.pfn;
  }

  /** Takes a frame with unknown contents, for a caller who overwrites all of it; undefined = no online block has one. */
  allocateUncleared(use: FrameUse, owner: number): Pfn | undefined {
    return this.#take(use, owner)?.pfn;
  }

  /** Gives a frame back. Precondition: the caller holds its only reference and nobody can reach it any more. */
  release(pfn: Pfn): void {
    withLock(this.#words, WORD_POOL_LOCK, () => {
      const use = this.#frame(pfn, USE);
      assert(use !== FRAME_FREE && this.#frame(pfn, REFERENCES) === 1, "expected a frame with one reference, got", pfn, use);
      const block = pfn >>> 12;
      this.#setFrame(pfn, REFERENCES, 0);
      this.#setFrame(pfn, USE, FRAME_FREE);
      this.#setFrame(pfn, NEXT_FREE, this.#block(block, FREE_HEAD));
      this.#setBlock(block, FREE_HEAD, pfn);
      this.#setBlock(block, FREED_COUNT, this.#block(block, FREED_COUNT) + 1);
      this.#setBlock(block, IN_USE, this.#block(block, IN_USE) - 1);
      if (use === FRAME_TABLE) atomicAdd(this.#words, WORD_TABLE_FRAMES, -1);
    });
  }

  /** Takes a block out of use; "in-use" = it still has frames somebody uses, and nothing was changed. */
  offlineBlock(block: number): "offline" | "in-use" {
    return withLock(this.#words, WORD_POOL_LOCK, () => {
      this.#assertBlock(block);
      if (this.#block(block, IN_USE) !== 0) return "in-use";
      this.#setBlock(block, STATE, BLOCK_OFFLINE);
      return "offline";
    });
  }

  /** Puts a block into use again. */
  onlineBlock(block: number): void {
    withLock(this.#words, WORD_POOL_LOCK, () => {
      this.#assertBlock(block);
      this.#setBlock(block, STATE, BLOCK_ONLINE);
    });
  }

  /** What a frame is used for and who owns it. */
  describe(pfn: Pfn): { readonly use: number; readonly owner: number; readonly references: number } {
    return withLock(this.#words, WORD_POOL_LOCK, () =>
      ({ use: this.#frame(pfn, USE), owner: this.#frame(pfn, OWNER), references: this.#frame(pfn, REFERENCES) }));
  }

  /** A consistent picture of every block. */
  blocks(): BlockStatistics[] {
    return withLock(this.#words, WORD_POOL_LOCK, () =>
      Array.from({ length: this.blockCount }, (_, offset) => this.#describeBlock(FIRST_BLOCK + offset)));
  }

  #describeBlock(index: number): BlockStatistics {
    return {
      index,
      state: this.#block(index, STATE) === BLOCK_ONLINE ? "online" : "offline",
      framesTotal: FRAMES_PER_BLOCK,
      framesInUse: this.#block(index, IN_USE),
      framesUntouched: FRAMES_PER_BLOCK - this.#block(index, UNTOUCHED_NEXT),
    };
  }

  #take(use: FrameUse, owner: number): { pfn: Pfn; untouched: boolean } | undefined {
    return withLock(this.#words, WORD_POOL_LOCK, () => {
      const block = this.#findBlockLocked();
      if (block === undefined) return undefined;
      const untouched = this.#block(block, FREED_COUNT) === 0;
      const pfn = untouched ? this.#takeUntouchedLocked(block) : this.#takeFreedLocked(block);
      this.#setFrame(pfn, REFERENCES, 1);
      this.#setFrame(pfn, USE, use);
      this.#setFrame(pfn, OWNER, owner);
      this.#setBlock(block, IN_USE, this.#block(block, IN_USE) + 1);
      if (use === FRAME_TABLE) atomicAdd(this.#words, WORD_TABLE_FRAMES, 1);
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
