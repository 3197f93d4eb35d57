/**
 * Where host-memory keeps its shared words, as indices of 32-bit words of the host memory.
 *
 * Host header (one page is used):     magic, sizes, frame pool.
 * VM block, bytes 0x0000 to 0xffff:   locks and counters, memslot sets, reader slots, invalidation buckets.
 */
import { BLOCK_TABLE_BASE, FRAMES_BASE, FRAME_TABLE_BASE, HOST_HEADER_BASE, HVA_ROOT_BASE, MEMORY_BLOCK_SIZE, NPT_ROOT_BASE,
  PAGE_SIZE, VM_BLOCK_BASE } from "../abi/layout.js";

const header = (byteOffset: number): number => (HOST_HEADER_BASE + byteOffset) >>> 2;
const vm = (byteOffset: number): number => (VM_BLOCK_BASE + byteOffset) >>> 2;

/** "UNPN" in little endian: the memory has been laid out by `HostMemory.create`. */
export const HOST_MAGIC = 0x4e504e55;
/** Bumped when a shared layout of this room changes. */
export const HOST_LAYOUT_VERSION = 1;

/** Immutable after create. */
export const WORD_MAGIC = header(0x00);
export const WORD_LAYOUT_VERSION = header(0x04);
export const WORD_BLOCK_COUNT = header(0x08);
export const WORD_VCPU_COUNT = header(0x0c);
export const WORD_GUEST_PAGES_MAX = header(0x10);
/** Lock of the frame pool: frame table, block table, WORD_POOL_HINT. Leaf lock. */
export const WORD_POOL_LOCK = header(0x40);
/** Block where the last frame was found. Protected by WORD_POOL_LOCK. */
export const WORD_POOL_HINT = header(0x44);

/** Serialises whatever takes mappings away: memslot changes, discard, move. Taken before WORD_MMU_LOCK. May be held for long. */
export const WORD_MUTATION_LOCK = vm(0x00);
/** Guards address-space and NPT entries and the publication of memslots. Held shortly; never while waiting for a reader or a vCPU. */
export const WORD_MMU_LOCK = vm(0x40);
/** Bumped after a migration entry was replaced; threads that hit one sleep on it. */
export const WORD_MIGRATION_DONE = vm(0x44);
/** Which memslot set is current (low bit) and how many were published. Changed under WORD_MMU_LOCK. */
export const WORD_MEMSLOT_GENERATION = vm(0x80);
/** Bumped when an invalidation ends; refreshers that met one sleep on it. */
export const WORD_INVALIDATION_ENDS = vm(0xc0);
/** Counters; atomic. */
export const WORD_GUEST_PAGES_PRESENT = vm(0x100);
export const WORD_TABLE_FRAMES = vm(0x104);
export const WORD_INVALIDATIONS = vm(0x108);
export const WORD_FRAMES_MOVED = vm(0x10c);

/** Two memslot sets: a count, then, from word MEMSLOT_HEADER_WORDS on, entries sorted by base gfn. */
export const WORD_MEMSLOT_SETS = vm(0x1000);
export const MEMSLOT_SET_STRIDE_WORDS = 0x1000 >>> 2;
export const MEMSLOT_HEADER_WORDS = 4;
/** One entry: base gfn, page count, first hva page, id. */
export const MEMSLOT_ENTRY_WORDS = 4;
export const MEMSLOT_COUNT_MAX = 128;

export const WORD_READER_SLOTS = vm(0x4000);
export const READER_SLOT_COUNT = 64;
export const READER_SLOT_STRIDE_WORDS = 16;

/** Buckets of (sequence, active count). */
export const WORD_INVALIDATION_BUCKETS = vm(0x6000);
export const INVALIDATION_BUCKET_COUNT = 1024;

export const WORD_NPT_ROOT = NPT_ROOT_BASE >>> 2;
export const WORD_HVA_ROOT = HVA_ROOT_BASE >>> 2;
export const WORD_FRAME_TABLE = FRAME_TABLE_BASE >>> 2;
export const WORD_BLOCK_TABLE = BLOCK_TABLE_BASE >>> 2;
/** One entry of the block table: state, first free frame, freed frames, next never used frame, frames in use. */
export const BLOCK_ENTRY_WORDS = 8;

export const FRAMES_PER_BLOCK = MEMORY_BLOCK_SIZE / PAGE_SIZE;
/** Index of the block of the first frame; a block's index is its address / MEMORY_BLOCK_SIZE. */
export const FIRST_BLOCK = FRAMES_BASE / MEMORY_BLOCK_SIZE;
/** One past the last block that a 32-bit address reaches. */
export const BLOCK_INDEX_END = 0x1_0000_0000 / MEMORY_BLOCK_SIZE;
/** Page counts of guest-physical and of host-virtual space: 40 bits each. */
export const ADDRESS_SPACE_PAGES = 0x1000_0000;
