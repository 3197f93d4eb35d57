/** Bits of control registers that translated code looks at (Intel SDM vol 3 §2.5, vol 1 §3.4.3). */
export const CR4_SMAP = 0x20_0000;
export const RFLAGS_AC = 0x4_0000;
export const RFLAGS_IF = 0x200;
/** OP_BITS: the operand that ModRM.rm names is in memory (interpreter/op.ts). */
export const OP_BITS_MEMORY = 0x80;
/** OP_BITS: log2 of the operand size in bytes. */
export const OP_BITS_SIZE_MASK = 3;
/** No x87 unit; its state belongs to another task; the operating system saves SSE state. */
export const CR0_EM = 4;
export const CR0_TS = 8;
export const CR4_OSFXSR = 0x200;
/** MXCSR: round to nearest, precision exception masked and its flag set already (interpreter/sse-float.ts, nativeAllowed). */
export const MXCSR_NATIVE_BITS = 0x7020;
export const MXCSR_NATIVE = 0x1020;
