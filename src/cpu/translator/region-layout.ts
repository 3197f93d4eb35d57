/** Parameters and locals of a region's function. */

/** Local indices. The parameters: which block to begin with, budget, address of the TLB, of the PC cache (0 = not to be used), of its epoch. */
export const LOCAL = {
  entry: 0, remaining: 1, tlb: 2, pcCache: 3, pcEpoch: 4,
  /** i32: where the interpreter goes on; the entry of a TLB; a host address; a trace; a count; where the flags come from (see flag-state.ts);
   * the place in the table of the region that goes on, 0 = the interpreter does. */
  exitOp: 5, exitTrace: 6, tlbEntry: 7, pointer: 8, trace: 9, count: 10, flagNote: 11, link: 12,
  /** i32: the PC cache's epoch when the region was entered; the entry of the trace behind the last call. */
  epoch: 13, returnEntry: 14,
  /** i32: the branch whose link is to lead to what the PC cache has, 0 = none. */
  linkOp: 15,
  /** i64: the general registers RAX to R15. */
  registers: 16,
  flagResult: 32, flagAux: 33, flagExtra: 34,
  /** A linear address; a value; the target of a jump; what the address micro-operation found. */
  address: 35, value: 36, target: 37, microAddress: 38,
  /** Two sets of four, see flag-state.ts. */
  flagSets: 39,
  scratch: 47, scratch2: 48, scratch3: 49, scratch4: 50,
  /** Where the last call of the region will return to. */
  returnTarget: 51,
  /** v128: a result, the operands it comes from, and one of them without its signs. */
  vector: 52, left: 53, right: 54, magnitude: 55,
} as const;
export const I32_LOCALS = 11;
export const I64_LOCALS = 36;
export const V128_LOCALS = 4;
export const REGISTER_COUNT = 16;
/** Number of the stack pointer's register. */
export const RSP = 4;
