/**
 * Where host-memory keeps its shared words, as indices of 32-bit words of the host memory.
 *
 * Host header (one page is used):     magic, sizes, frame pool, swap.
 * VM block, bytes 0x0000 to 0xffff:   locks and counters, memslot sets, reader slots, invalidation buckets.
 * Above the code log:                 swap map, references held by page users, mapped pages.
 */
import { BLOCK_TABLE_BASE, FRAMES_BASE, FRAME_TABLE_BASE, HOST_HEADER_BASE, HVA_ROOT_BASE, LOCK_STEP_EVERY_ADDRESS, LOCK_STEP_HOLDER_ADDRESS, MAPPED_PAGES_BASE, MEMORY_BLOCK_SIZE,
  NPT_ROOT_BASE, PAGE_SIZE, PIN_TABLE_BASE, READER_SLOTS, READER_SLOTS_BASE, READER_SLOT_SIZE, SWAP_MAP_BASE, TABLE_AREA_BASE, VM_BLOCK_BASE } from "../abi/layout.js";

const header = (byteOffset: number): number => (HOST_HEADER_BASE + byteOffset) >>> 2;
const vm = (byteOffset: number): number => (VM_BLOCK_BASE + byteOffset) >>> 2;

/** "UNPN" in little endian: the memory has been laid out by `HostMemory.create`. */
export const HOST_MAGIC = 0x4e504e55;
/** Bumped when a shared layout of this room changes. */
export const HOST_LAYOUT_VERSION = 2;

/** Immutable after create. */
export const WORD_MAGIC = header(0x00);
export const WORD_LAYOUT_VERSION = header(0x04);
export const WORD_BLOCK_COUNT = header(0x08);
export const WORD_VCPU_COUNT = header(0x0c);
export const WORD_GUEST_PAGES_MAX = header(0x10);
/** Lock of the frame pool: frame table, block table, WORD_POOL_HINT, WORD_FRAMES_IN_USE, WORD_FRAME_LIMIT. Leaf lock. */
export const WORD_POOL_LOCK = header(0x40);
/** Block where the last frame was found. Protected by WORD_POOL_LOCK. */
export const WORD_POOL_HINT = header(0x44);
/** Frames in use in all blocks. Changed under WORD_POOL_LOCK. */
export const WORD_FRAMES_IN_USE = header(0x48);
/** Frames of all blocks that are not offline. Changed under WORD_POOL_LOCK. */
export const WORD_FRAMES_ONLINE = header(0x50);
/** Most frames in use that an ordinary allocation may reach, 0 = no limit. Written by whoever sets the limit. Atomic. */
export const WORD_FRAME_LIMIT = header(0x4c);
/** Lock of the swap map. Leaf lock. */
export const WORD_SWAP_LOCK = header(0x80);
/** Slots of the swap file (0 = there is none), slots in use, a slot below which none is free. Changed under WORD_SWAP_LOCK. */
export const WORD_SWAP_SLOTS = header(0x84);
export const WORD_SWAP_USED = header(0x88);
export const WORD_SWAP_HINT = header(0x8c);
/** Bumped when frames were freed or room came; threads that wait for memory sleep on it. */
export const WORD_MEMORY_FREED = header(0xc0);
/** Bumped when the background reclaimer or another worker of the memory has something to do; it sleeps on it. */
export const WORD_MEMORY_WORK = header(0xc4);
/** 1 = the VM ends: nobody waits for memory any more. */
export const WORD_STOPPING = header(0xc8);
/** Length of the text that says why the guest waits for memory, 0 = it does not; and the text, UTF-8. */
export const WORD_STALL_LENGTH = header(0x100);
export const STALL_TEXT_BASE = HOST_HEADER_BASE + 0x104;
export const STALL_TEXT_LENGTH_MAX = 0xfc;
/** Counters of counters.ts: i64 each. */
export const LONG_COUNTERS = (HOST_HEADER_BASE + 0x400) >>> 3;
export const LONG_COUNTER_COUNT_MAX = 64;
/** Counters by user of guest pages: PAGE_USER_COUNT_MAX rows of i32. */
export const WORD_USER_COUNTERS = header(0x800);
export const USER_COUNTER_STRIDE_WORDS = 8;

/** Serialises whatever takes mappings away: memslot changes, discard, move, swap, merge. Taken before WORD_MMU_LOCK. May be held for long. */
export const WORD_MUTATION_LOCK = vm(0x00);
/** Guards address-space and NPT entries, the pin table and the publication of memslots. Held shortly; never while waiting for a reader or a vCPU. */
export const WORD_MMU_LOCK = vm(0x40);
/** Bumped after a BUSY entry was replaced; threads that hit one sleep on it. */
export const WORD_BUSY_DONE = vm(0x44);
/** Which memslot set is current (low bit) and how many were published. Changed under WORD_MMU_LOCK. */
export const WORD_MEMSLOT_GENERATION = vm(0x80);
/** Where the clock of the reclaimer stands, in pages of all memslots. Under WORD_MUTATION_LOCK. */
export const WORD_CLOCK_HAND = vm(0x84);
/** One past the entries of the pin table that were ever in use. Under WORD_MMU_LOCK. */
export const WORD_PIN_END = vm(0x88);
/** Bumped when an invalidation ends; refreshers that met one sleep on it. */
export const WORD_INVALIDATION_ENDS = vm(0xc0);
/** Pages with a frame of their own or a share of one; leaf tables; pages in the swap file. Atomic. */
export const WORD_GUEST_PAGES_PRESENT = vm(0x100);
export const WORD_TABLE_FRAMES = vm(0x104);

/** Two memslot sets: a count, then, from word MEMSLOT_HEADER_WORDS on, entries sorted by base gfn. */
export const WORD_MEMSLOT_SETS = vm(0x1000);
export const MEMSLOT_SET_STRIDE_WORDS = 0x1000 >>> 2;
export const MEMSLOT_HEADER_WORDS = 4;
/** One entry: base gfn, page count, first hva page, id. */
export const MEMSLOT_ENTRY_WORDS = 4;
export const MEMSLOT_COUNT_MAX = 128;

export const WORD_READER_SLOTS = READER_SLOTS_BASE >>> 2;
export const READER_SLOT_COUNT = READER_SLOTS;
/** Every how manyth entry into translated code is checked (immutable after create), and the vCPU that checks. */
export const WORD_LOCK_STEP_EVERY = LOCK_STEP_EVERY_ADDRESS >>> 2;
export const WORD_LOCK_STEP_HOLDER = LOCK_STEP_HOLDER_ADDRESS >>> 2;
export const READER_SLOT_STRIDE_WORDS = READER_SLOT_SIZE >>> 2;

/** Buckets of (sequence, active count). */
export const WORD_INVALIDATION_BUCKETS = vm(0x6000);
export const INVALIDATION_BUCKET_COUNT = 1024;

export const WORD_SWAP_MAP = SWAP_MAP_BASE >>> 2;
/** References held by users of pages: pfn + 1 (0 = free), user number, count. Protected by WORD_MMU_LOCK. */
export const WORD_PIN_TABLE = PIN_TABLE_BASE >>> 2;
export const PIN_ENTRY_WORDS = 4;
export const PIN_ENTRY_COUNT = 1024;
/** Pages that users have mapped: gfn + 1 (0 = free), user number. Claimed by compare and exchange. */
export const WORD_MAPPED_PAGES = MAPPED_PAGES_BASE >>> 2;
export const MAPPED_PAGE_WORDS = 2;
export const MAPPED_PAGE_COUNT = 4096;

export const WORD_NPT_ROOT = NPT_ROOT_BASE >>> 2;
export const WORD_HVA_ROOT = HVA_ROOT_BASE >>> 2;
export const WORD_FRAME_TABLE = FRAME_TABLE_BASE >>> 2;
export const WORD_BLOCK_TABLE = BLOCK_TABLE_BASE >>> 2;
/** One entry of the block table: state, first free frame, freed frames, next never used frame, frames in use. */
export const BLOCK_ENTRY_WORDS = 8;

/** Leaf tables that fit. */
export const TABLE_COUNT_MAX = (FRAMES_BASE - TABLE_AREA_BASE) / PAGE_SIZE;

export const FRAMES_PER_BLOCK = MEMORY_BLOCK_SIZE / PAGE_SIZE;
/** Index of the block of the first frame; a block's index is its address / MEMORY_BLOCK_SIZE. */
export const FIRST_BLOCK = FRAMES_BASE / MEMORY_BLOCK_SIZE;
/** One past the last block that a 32-bit address reaches. */
export const BLOCK_INDEX_END = 0x1_0000_0000 / MEMORY_BLOCK_SIZE;
/** Page counts of guest-physical and of host-virtual space: 40 bits each. */
export const ADDRESS_SPACE_PAGES = 0x1000_0000;
