/** Parameters and locals of a region's function. */

/** Local indices. The parameters: which block to begin with, budget, address of the TLB, of the PC cache (0 = not to be used), of its epoch. */
export const LOCAL = {
  entry: 0, remaining: 1, tlb: 2, pcCache: 3, pcEpoch: 4,
  /** i32: where the interpreter goes on; the entry of a TLB; a host address; a trace; a count; what FlagTracker.note
   * said where the region was left. */
  exitOp: 5, exitTrace: 6, tlbEntry: 7, pointer: 8, trace: 9, count: 10, flagNote: 11,
  /** i64: the general registers RAX to R15. */
  registers: 12,
  flagResult: 28, flagAux: 29, flagExtra: 30,
  /** A linear address; a value; the target of a jump; what the address micro-operation found. */
  address: 31, value: 32, target: 33, microAddress: 34,
  /** Two sets of four, see flag-state.ts. */
  flagSets: 35,
  scratch: 43, scratch2: 44, scratch3: 45, scratch4: 46,
  /** v128. */
  vector: 47,
} as const;
export const I32_LOCALS = 7;
export const I64_LOCALS = 35;
export const REGISTER_COUNT = 16;
export const FLAG_NOTE_SET_SHIFT = 18;
