/**
 * The instruction table's row: the one source of the decoder, the dispatcher, the support list in docs/ and the
 * differential tests.
 *
 * `opcode` is the opcode column of the Intel SDM, vol 2: hexadecimal bytes in order, led by the mandatory prefix where there is one
 * ("NP", "66", "F3", "F2"; none means that prefixes do not select the row) and by "REX.W" or "REX.0" where W selects it, then
 * "+r" glued to the last byte when its low three bits name a register, and "/r" or "/0".."/7" when a ModRM byte follows. A byte
 * behind the opcode that is itself a whole ModRM byte is written as one more byte: "0F 01 D9", "D9 E0"; with "+i" glued to it
 * it stands for eight, low bits naming ST(i): "D8 C0+i".
 *
 * `form` is the mnemonic and the operands, in the letters of SDM vol 2 appendix A.2:
 *   E general register or memory by ModRM.rm     G general register by ModRM.reg      M memory only     R register only (rm)
 *   Z general register by the low opcode bits    S segment register (reg)  C control register (reg)  D debug register (reg)
 *   P MMX register (reg)  Q MMX register or memory (rm)  N MMX register only (rm)
 *   V XMM register (reg)  W XMM register or memory (rm)  U XMM register only (rm)
 *   I immediate   J relative branch   O absolute offset   A far pointer   X string at rSI   Y string at rDI
 * followed by the size:
 *   b 8  w 16  d 32  q 64  v 16/32/64 by operand size  z 16/32 (immediates sign extend to 64)  y 32/64  dq/x 128  ps pd 128  ss 32  sd 64
 *   t 80  p far pointer 16:16/32/64  s pseudo-descriptor  a pair  fe FPU environment  fs FPU state (94/108)  fx FXSAVE area (512)  n no size (LEA, INVLPG)
 * or fixed names: AL AX eAX rAX CL DX 1 3 ST0 STi ES CS SS DS FS GS. Ibs is an 8-bit immediate that is sign extended to the operand size.
 *
 * `run` names the handler. "name" is an exported function `name(op: u32): i32` of the interpreter, answering 0 or BAIL_*;
 * "{s}" in it becomes the operand size (8, 16, 32, 64), "{f}" becomes "r" or "m" (register or memory form). A name that starts
 * with "hot:" is a template of the generator, inlined in the dispatch loop.
 */
export interface InstructionRow {
  readonly opcode: string;
  readonly form: string;
  readonly run: string;
  readonly options: InstructionOptions;
}

export interface InstructionOptions {
  /** Arithmetic flags that the SDM leaves undefined, of "OF SF ZF AF PF CF". */
  readonly undefinedFlags?: string;
  /** May carry a LOCK prefix with a memory destination. */
  readonly lock?: boolean;
  /** Operand size is 64 bits in 64-bit mode without REX.W, and 32 cannot be encoded ("d64" of the SDM). */
  readonly default64?: boolean;
  /** #UD in 64-bit mode. */
  readonly not64?: boolean;
  /** #UD outside 64-bit mode. */
  readonly only64?: boolean;
  /** Only at CPL 0, or otherwise not executable by a user program on the host (left out of the differential tests). */
  readonly system?: boolean;
  /** Handler outside 64-bit mode, and for 16-bit operands in it, where `run` is one of the hot templates for 64-bit mode only. */
  readonly legacyRun?: string;
  /** Ends the trace: what follows may not be decoded ahead (branches, mode changes). */
  readonly endsTrace?: boolean;
  /** Result depends on the host or the moment (RDTSC, CPUID, RDRAND), or the row needs a test of its own: why. */
  readonly noDifferential?: string;
  /** CPUID feature that offers it, e.g. "SSE4.1"; absent for the base set. */
  readonly feature?: string;
  /** Operand is read with this many bytes aligned, else #GP: 16 for MOVAPS and for SSE memory operands of 128 bits. Documentation and tests only. */
  readonly aligned?: number;
}

/** Makes a row; see the file head for the grammar. */
export function row(opcode: string, form: string, run: string, options: InstructionOptions = {}): InstructionRow {
  return { opcode, form, run, options };
}
