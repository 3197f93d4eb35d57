/**
 * What every MMX instruction does before and after its arithmetic: the availability checks, the operands and the change
 * of the x87 state.
 *
 * Text followed: Intel SDM vol 1 §9.5 and vol 3 §12: any MMX instruction other than EMMS sets TOP to 0 and
 * marks all registers valid; a written register gets ones in the sign and exponent.
 */
import * as L from "./generated/layout";
import { readPointer } from "./memory";
import { CR0_EM, CR0_TS, isMemory } from "./sse-access";
import { cpu, effectiveAddress, raise, regAddress, rmAddress, VECTOR_MF, VECTOR_NM, VECTOR_UD } from "./state";

const FPU_EXCEPTIONS: u32 = 0x3f;
const FPU_TOP: u32 = 0x3800;

/** Raises #UD, #NM or a pending #MF, whichever forbids MMX now; 0 when nothing does. */
export function mmxRefused(): i32 {
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
  if ((cr0 & CR0_EM) != 0) return raise(VECTOR_UD);
  if ((cr0 & CR0_TS) != 0) return raise(VECTOR_NM);
  const pending = load<u32>(cpu + L.VCPU_fpuStatus) & ~load<u32>(cpu + L.VCPU_fpuControl) & FPU_EXCEPTIONS;
  return pending != 0 ? raise(VECTOR_MF) : 0;
}

/** Puts the x87 state into MMX use: TOP 0, no register empty. Called once nothing of the instruction can fail any more. */
// @ts-ignore: decorator
@inline export function enterMmx(): void {
  const c = cpu;
  store<u32>(c + L.VCPU_fpuStatus, load<u32>(c + L.VCPU_fpuStatus) & ~FPU_TOP);
  store<u32>(c + L.VCPU_fpuTag, 0xff);
}

/**
 * Host address of the rm operand of `op`, MMX register or `size` bytes (2, 4, 8) of memory, after the availability checks.
 * 0: a fault or exit is recorded and `bail` is to be returned.
 */
export function mmxSource(op: u32, size: u32): u32 {
  if (mmxRefused() != 0) return 0;
  if (!isMemory(op)) return rmAddress(op);
  return readPointer(effectiveAddress(op), size);
}

/** The MMX register named by ModRM.reg, in the low half of a vector. */
// @ts-ignore: decorator
@inline export function readMmx(op: u32): v128 { return v128.load64_zero(regAddress(op)); }

/** Replaces the MMX register at `slot`; the instruction is done. */
// @ts-ignore: decorator
@inline export function writeMmxSlot(slot: u32, value: u64): i32 {
  store<u64>(slot, value);
  store<u16>(slot + 8, 0xffff);
  enterMmx();
  return 0;
}

/** Replaces the MMX register named by ModRM.reg by the low half of `value`; the instruction is done. */
// @ts-ignore: decorator
@inline export function writeMmx(op: u32, value: v128): i32 { return writeMmxSlot(regAddress(op), i64x2.extract_lane(value, 0)); }
