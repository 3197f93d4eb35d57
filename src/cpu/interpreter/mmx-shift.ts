/** Packed shifts of MMX registers, by a register or memory count and by an immediate. Counts beyond the lane give 0, or the sign. */
import { mmxRefused, mmxSource, readMmx, writeMmx, writeMmxSlot } from "./mmx-access";
import {
  shiftRight16, shiftRight32, shiftRight64, shiftLeft16, shiftLeft32, shiftLeft64, shiftRightSigned16, shiftRightSigned32,
} from "./sse-lanes";
import { bail, immediate, rmAddress } from "./state";

// @ts-ignore: decorator
@inline function immediateCount(op: u32): u64 { return u64(immediate(op)) & 0xff; }

/** PSRLW mm, mm/m64. */
export function mmxPsrlw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftRight16(readMmx(op), load<u64>(source)));
}

/** PSRLW mm, imm8. */
export function mmxPsrlwImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftRight16(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSRLD mm, mm/m64. */
export function mmxPsrld(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftRight32(readMmx(op), load<u64>(source)));
}

/** PSRLD mm, imm8. */
export function mmxPsrldImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftRight32(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSRLQ mm, mm/m64. */
export function mmxPsrlq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftRight64(readMmx(op), load<u64>(source)));
}

/** PSRLQ mm, imm8. */
export function mmxPsrlqImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftRight64(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSLLW mm, mm/m64. */
export function mmxPsllw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftLeft16(readMmx(op), load<u64>(source)));
}

/** PSLLW mm, imm8. */
export function mmxPsllwImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftLeft16(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSLLD mm, mm/m64. */
export function mmxPslld(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftLeft32(readMmx(op), load<u64>(source)));
}

/** PSLLD mm, imm8. */
export function mmxPslldImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftLeft32(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSLLQ mm, mm/m64. */
export function mmxPsllq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftLeft64(readMmx(op), load<u64>(source)));
}

/** PSLLQ mm, imm8. */
export function mmxPsllqImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftLeft64(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSRAW mm, mm/m64. */
export function mmxPsraw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftRightSigned16(readMmx(op), load<u64>(source)));
}

/** PSRAW mm, imm8. */
export function mmxPsrawImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftRightSigned16(v128.load64_zero(register), immediateCount(op)), 0));
}

/** PSRAD mm, mm/m64. */
export function mmxPsrad(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, shiftRightSigned32(readMmx(op), load<u64>(source)));
}

/** PSRAD mm, imm8. */
export function mmxPsradImmediate(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  return writeMmxSlot(register, i64x2.extract_lane(shiftRightSigned32(v128.load64_zero(register), immediateCount(op)), 0));
}
