/** Parameters and locals of a region's function. */

/** Local indices. The parameters: which block to begin with, budget, address of the TLB, of the PC cache (0 = not to be used), of its epoch. */
export const LOCAL = {
  entry: 0, remaining: 1, tlb: 2, pcCache: 3, pcEpoch: 4,
  /** i32: where the interpreter goes on; the entry of a TLB; a host address; a trace; a count; where the flags come from (see flag-state.ts);
   * the place in the table of the region that goes on, 0 = the interpreter does. */
  exitOp: 5, exitTrace: 6, tlbEntry: 7, pointer: 8, trace: 9, count: 10, flagNote: 11, link: 12,
  /** i32: the PC cache's epoch when the region was entered; the entry of the trace behind the last call. */
  epoch: 13, returnEntry: 14,
  /** i64: the general registers RAX to R15. */
  registers: 15,
  flagResult: 31, flagAux: 32, flagExtra: 33,
  /** A linear address; a value; the target of a jump; what the address micro-operation found. */
  address: 34, value: 35, target: 36, microAddress: 37,
  /** Two sets of four, see flag-state.ts. */
  flagSets: 38,
  scratch: 46, scratch2: 47, scratch3: 48, scratch4: 49,
  /** Where the last call of the region will return to. */
  returnTarget: 50,
  /** v128: a result, the operands it comes from, and one of them without its signs. */
  vector: 51, left: 52, right: 53, magnitude: 54,
} as const;
export const I32_LOCALS = 10;
export const I64_LOCALS = 36;
export const V128_LOCALS = 4;
export const REGISTER_COUNT = 16;
/** Number of the stack pointer's register. */
export const RSP = 4;
