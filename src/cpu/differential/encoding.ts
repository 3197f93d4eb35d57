/** One concrete instruction of a row, and how the states it runs in are made. */

/** What fills XMM and x87 registers and the memory operand. */
export const PROFILES = ["integer", "lanes", "f32", "f64", "mixed", "f80", "decimal", "text"] as const;
export type Profile = (typeof PROFILES)[number];

/**
 * What an instruction needs of its state beyond a valid memory operand, applied by case-state.ts:
 *
 *   count            RCX small                      divide           RDX:RAX such that most quotients fit
 *   compare          RAX (RDX:RAX) equal to the destination now and then     string   RSI, RDI in the window, RCX small
 *   stack            RSP, RBP in the window         return           as stack, with a code address on top
 *   return-far       as return, then a selector     interrupt-return a whole frame on the stack
 *   pop-flags        as stack, no trap flag in what is popped                bit-offset   register `argument` is a small bit offset
 *   branch           the operand is a code address  branch-far       the operand is a far pointer
 *   selector         the operand is a selector      far-pointer      the operand is an offset and a selector
 *   pop-selector     as stack, a selector on top    rdi, rbx         the register points into the window
 *   lengths          RAX, RDX small                 mxcsr            the operand is a valid MXCSR most of the time
 *   fpu-control, fpu-environment, fpu-state, fx-state    the operand is such an image      segment-base   RAX..R15 canonical most of the time
 *   bound            operand is a pair of bounds     mmx             x87 registers hold packed integers
 *   vector-count     the operand is a small shift count                      mmx-count, mmx-rdi   both of the two
 */
export const SPECIALS = [
  "none", "count", "divide", "compare", "string", "stack", "return", "return-far", "interrupt-return", "pop-flags", "bit-offset", "branch",
  "branch-far", "selector", "far-pointer", "pop-selector", "rdi", "rbx", "lengths", "mxcsr", "fpu-control", "fpu-environment", "fpu-state",
  "fx-state", "segment-base", "bound", "mmx", "vector-count", "mmx-count", "mmx-rdi",
] as const;
export type Special = (typeof SPECIALS)[number];

/** The trap flag is set: #DB behind the instruction, or behind one iteration of a repeated one. */
export const ARGUMENT_SINGLE_STEP = 0x100_0000;

/** One instruction in bytes, with what its cases are made from. */
export interface Encoding {
  /** 64-bit mode, or 32-bit compatibility mode. */
  readonly mode: 64 | 32;
  readonly bytes: Uint8Array;
  /** Offset of the instruction in the code pages. */
  readonly codeOffset: number;
  readonly profile: Profile;
  /** Profile of the memory operand's bytes. */
  readonly memoryProfile: Profile;
  readonly special: Special;
  /** Meaning by `special`: operand size in bytes in bits 7..0, a register number in bits 15..8 (0xff none), bits 23..16 by special; bit 24: ARGUMENT_SINGLE_STEP. */
  readonly argument: number;
  /** Linear address of the memory operand, 0 when there is none. */
  readonly target: number;
  /** Registers that must have these values for the operand to be at `target`. */
  readonly fixups: readonly (readonly [register: number, value: bigint])[];
  readonly seed: number;
  readonly caseCount: number;
}

/** Bytes as a reader writes them: "48 01 c8". */
export function bytesText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

const LEGACY_PREFIXES = [0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x66, 0x67];

/** Whether `prefix` stands among the legacy prefixes of an instruction. */
export function hasLegacyPrefix(bytes: Uint8Array, prefix: number): boolean {
  for (const byte of bytes) {
    if (byte === prefix) return true;
    if (!LEGACY_PREFIXES.includes(byte)) return false;
  }
  return false;
}
