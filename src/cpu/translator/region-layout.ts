/** Parameters and locals of a region's function. */
import { VCPU } from "../../abi/layout.js";

/** Local indices. The parameters: which block to begin with, budget, address of the TLB, of the PC cache (with CACHES_SHUT: not to be used), of its epoch. */
export const LOCAL = {
  entry: 0, remaining: 1, tlb: 2, pcCache: 3, pcEpoch: 4,
  /** i32: where the interpreter goes on, an op of the trace of a block; the entry of a TLB; a host address; a trace; a count; where the flags come from (see flag-state.ts);
   * the place in the table of the region that goes on, 0 = the interpreter does. */
  exitOp: 5, exitBlock: 6, tlbEntry: 7, pointer: 8, trace: 9, count: 10, flagNote: 11, link: 12,
  /** i32: the branch whose link is to lead to what the PC cache has, 0 = none. */
  linkOp: 13,
  /** i32: address of the vCPU's state. */
  base: 14,
  /** i32: where the windows of a block begin (page-windows.ts), WINDOWS of them; addends of the pages that a loop keeps (kept-pages.ts), KEPT_PAGES of them. */
  windows: 15, keptAddends: 19,
  /** i64: the general registers RAX to R15. */
  registers: 25,
  flagResult: 41, flagAux: 42, flagExtra: 43,
  /** A linear address; a value; the target of a jump; what the address micro-operation found; the linear address at which a window begins. */
  address: 44, value: 45, target: 46, microAddress: 47, windowAddress: 48,
  /** Linear addresses of the pages that a loop keeps, -1 = none. */
  keptPages: 49,
  /** Two sets of four, see flag-state.ts. */
  flagSets: 55,
  scratch: 63, scratch2: 64, scratch3: 65, scratch4: 66,
  /** v128: a result, the operands it comes from, and one of them without its signs. */
  vector: 67, left: 68, right: 69, magnitude: 70,
} as const;
export const I32_LOCALS = 20;
export const I64_LOCALS = 42;
export const V128_LOCALS = 4;
export const WINDOWS = 4;
export const KEPT_PAGES = 6;
/** In LOCAL.exitOp: the region is left because the TLB does not have the window of that op, and of others. */
export const WINDOW_MISSED = 0x100;
export const EXIT_OP_MASK = WINDOW_MISSED - 1;
export const REGISTER_COUNT = 16;
const REGISTER_BYTES = 8;
/** Number of the stack pointer's register. */
export const RSP = 4;

/** What a region imports besides functions and memory, by index; immutable i32. The code depends on no address: it is the same for all vCPUs, and for another machine. */
export const GLOBAL = {
  /** Address of the vCPU's state; of the list of the region's traces, u32 each; the region's place in the core's table. */
  base: 0, traces: 1, slot: 2,
} as const;
export const TRACE_ADDRESS_SIZE = 4;
export const TRACE_ADDRESS_SIZE_SHIFT = 2;

/** Number and byte of a general register. */
interface Register { readonly number: number; readonly high: boolean }

/** The general register that an op's operand, an offset in the vCPU's state, is (a part of); undefined = it is something else. */
export function registerAt(operand: number): Register | undefined {
  const offset = operand - VCPU.gpr;
  if (offset < 0 || offset >= REGISTER_COUNT * REGISTER_BYTES || offset % REGISTER_BYTES > 1) return undefined;
  return { number: Math.floor(offset / REGISTER_BYTES), high: offset % REGISTER_BYTES === 1 };
}
