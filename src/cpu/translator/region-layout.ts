/** Parameters and locals of a region's function. */

/** Local indices. The parameters: which block to begin with, budget, address of the TLB, of the PC cache (0 = not to be used), of its epoch. */
export const LOCAL = {
  entry: 0, remaining: 1, tlb: 2, pcCache: 3, pcEpoch: 4,
  /** i32: where the interpreter goes on; the entry of a TLB; a host address; a trace; a count; where the flags come from (see flag-state.ts);
   * the place in the table of the region that goes on, 0 = the interpreter does. */
  exitOp: 5, exitTrace: 6, tlbEntry: 7, pointer: 8, trace: 9, count: 10, flagNote: 11, link: 12,
  /** i64: the general registers RAX to R15. */
  registers: 13,
  flagResult: 29, flagAux: 30, flagExtra: 31,
  /** A linear address; a value; the target of a jump; what the address micro-operation found. */
  address: 32, value: 33, target: 34, microAddress: 35,
  /** Two sets of four, see flag-state.ts. */
  flagSets: 36,
  scratch: 44, scratch2: 45, scratch3: 46, scratch4: 47,
  /** v128: a result, the operands it comes from, and one of them without its signs. */
  vector: 48, left: 49, right: 50, magnitude: 51,
} as const;
export const I32_LOCALS = 8;
export const I64_LOCALS = 35;
export const V128_LOCALS = 4;
export const REGISTER_COUNT = 16;
