/**
 * The op record: one decoded instruction (or a micro-operation that prepares one), 32 bytes.
 *
 *   0   u16 handler        2   u16 ripOffset: start of the instruction, from the start of its trace
 *   4   u32 reg            address of the register named by ModRM.reg, or by the low opcode bits
 *   8   u32 rm             address of the register named by ModRM.rm, or of the base register of the memory operand
 *   12  u32 index          address of the index register, or of VCPU.zero
 *   16  i32 displacement
 *   20  u8 scale (shift)   21  u8 segment (0..5)     22  u8 length of the instruction     23  u8 OP_* bits
 *   24  i64 immediate      (branches: u32 link to the target's trace; then the key it holds under, or of a Jcc the instructions behind it)
 *
 * A memory operand's linear address is always load(rm) + (load(index) << scale) + displacement. Where that does not
 * say it all (segment base, 16 or 32-bit addresses, limits) the decoder puts an address micro-operation in front, which leaves the
 * linear address in VCPU.temporaryAddress, and lets rm point there.
 */
export const OP_SIZE: u32 = 32;
export const OP_HANDLER: u32 = 0;
export const OP_RIP_OFFSET: u32 = 2;
export const OP_REG: u32 = 4;
export const OP_RM: u32 = 8;
export const OP_INDEX: u32 = 12;
export const OP_DISPLACEMENT: u32 = 16;
export const OP_SCALE: u32 = 20;
export const OP_SEGMENT: u32 = 21;
export const OP_LENGTH: u32 = 22;
export const OP_BITS: u32 = 23;
export const OP_IMMEDIATE: u32 = 24;

/** OP_BITS: bits 1..0 log2 of the operand size in bytes (0..3), bits 3..2 address size (0 16-bit, 1 32-bit, 2 64-bit). */
export const OP_BITS_SIZE_MASK: u32 = 3;
export const OP_BITS_ADDRESS_SHIFT: u32 = 2;
export const OP_BITS_LOCK: u32 = 0x10;
export const OP_BITS_REP: u32 = 0x20;
export const OP_BITS_REPNE: u32 = 0x40;
export const OP_BITS_MEMORY: u32 = 0x80;

/** OP_BITS of an address micro-operation: the operand is written. */
export const ADDRESS_WRITES: u32 = 0x10;

/** Trace header, 32 bytes in front of its ops. */
export const TRACE_RIP: u32 = 0;
export const TRACE_GFN: u32 = 8;
/** u32: how often the trace was found about to run (HEAT_OF_SAMPLE for each sample), until it is asked to be translated (TRACE_HEAT_ASKED). */
export const TRACE_HEAT: u32 = 12;
export const TRACE_HASH_NEXT: u32 = 16;
export const TRACE_INSTRUCTIONS: u32 = 20;
export const TRACE_BYTES: u32 = 22;
export const TRACE_KEY: u32 = 24;
export const TRACE_SECOND_GFN: u32 = 28;
export const TRACE_HEADER_SIZE: u32 = 32;

/** TRACE_HEAT of a trace that the translator has been asked for. */
export const TRACE_HEAT_ASKED: u32 = 0xffff_ffff;
/** The op in front of a translated trace: u32 at 4 the slot of the region's function in the table, u32 at 8 the entry of the trace in it, u32 at 12 how often a window was missed in it, u32 at 16 the slot of
 * the region in which that has become too often, 0 = none. */
export const OP_REGION_SLOT: u32 = 4;
export const OP_REGION_ENTRY: u32 = 8;
export const OP_REGION_WINDOWS_MISSED: u32 = 12;
export const OP_REGION_MISSED_IN: u32 = 16;

/** What a handler or a slow path answers: 0 go on with the next op, anything else leaves the trace. */
export const BAIL_NONE: i32 = 0;
/** An exception is pending; the instruction did not happen. */
export const BAIL_FAULT: i32 = 1;
/** The run loop must act; RIP stays at the instruction, which runs again or is skipped by the run loop. */
export const BAIL_EXIT: i32 = 2;
/** The instruction is complete, but code, mode or interrupt state changed: go on at the next instruction by a new look-up. */
export const BAIL_NEXT: i32 = 3;
/** The instruction is complete and has set VCPU.rip itself. */
export const BAIL_JUMP: i32 = 4;
/** As BAIL_EXIT, but the instruction is complete: RIP moves behind it before the run loop acts (HLT). */
export const BAIL_EXIT_NEXT: i32 = 5;
/** As BAIL_JUMP, and a trap (vector 1) is pending behind the instruction. */
export const BAIL_TRAP: i32 = 6;
