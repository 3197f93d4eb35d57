/** What VCPU_AREA.lockStep of layout.ts holds: what the check of translated code keeps of a vCPU, and finds. All values are bytes. */

/**
 * Parts of VCPU_AREA.lockStep. A stretch is what is run twice: from the entry of a region to the first thing that cannot be run twice. See
 * src/cpu/interpreter/lock-step.ts.
 */
export const LOCK_STEP = {
  /** Three copies of the vCPU's state (VCPU, to LOCK_STEP_STATE_SIZE): at the start; behind translated code; behind the interpreter. */
  start: 0x0000,
  translated: 0x0800,
  interpreted: 0x1000,
  /** Counters, u64 each: stretches that were compared and their instructions; then by STRETCH_END how they ended, and what was not checked and why. */
  checked: 0x1800,
  instructions: 0x1808,
  ends: 0x1880,
  skipped: 0x1900,
  /**
   * The difference that stopped the vCPU: u64 RIP of the region's entry; u32 instructions and STRETCH_END of both runs, translated first;
   * whether it was narrowed down to the blocks below; how many memory words follow.
   */
  entryRip: 0x1988,
  translatedCount: 0x1994,
  interpretedCount: 0x1998,
  translatedEnd: 0x199c,
  interpretedEnd: 0x19a0,
  narrowed: 0x19a4,
  wordCount: 0x19a8,
  /** u32: 1 when there is such a difference. */
  differences: 0x19ac,
  /** Differing words of memory, LOCK_STEP_WORDS_MAX: gpa, from translated code, from the interpreter, u64 each. */
  words: 0x19b0,
  /** The blocks of code in which the two differ, LOCK_STEP_BLOCKS_MAX: u64 RIP, u32 bytes, 16 bytes apart; and how many there are, u32. */
  blockCount: 0x1b38,
  blocks: 0x1b40,
  /** Pages that the stretch writes to: u32 frame address, u32 gfn. */
  pages: 0x2000,
  /** TLB entries that have been given write tags, u32 each. */
  writeTags: 0x3000,
  /** A copy of `translated` that is left as it is when a difference is looked into. */
  told: 0x7000,
  /** The pages' contents at the start, and behind one of the two runs. */
  oldPages: 0x8000,
  newPages: 0x4_0000,
} as const;
/** Bytes of a vCPU's state that are kept: what is behind is shared with others. */
export const LOCK_STEP_STATE_SIZE = 0x680;
export const LOCK_STEP_WORDS_MAX = 16;
export const LOCK_STEP_BLOCKS_MAX = 16;
export const LOCK_STEP_PAGES_MAX = 56;
export const LOCK_STEP_TAGS_MAX = 4096;
/** Instructions of one stretch at most. */
export const LOCK_STEP_INSTRUCTIONS = 400;

/** Why a stretch ended, or could not begin; STRETCH_END_NAMES has the same order. */
export const STRETCH_END = {
  full: 0, fetch: 1, fault: 2, exit: 3, request: 4, time: 5, system: 6, code: 7, pageTable: 8, apic: 9, pages: 10, shadow: 11, trap: 12, device: 13,
} as const;
export const STRETCH_END_NAMES = [
  "its length", "code not decoded yet", "an exception", "an exit", "a request", "the time", "a system instruction", "a store to code", "marks in page tables",
  "the local APIC", "many pages written", "interrupts held back", "a trap", "a device's answer",
] as const;
