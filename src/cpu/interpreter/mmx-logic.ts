/** Packed integer logic and comparison, on MMX registers. */
import { mmxSource, readMmx, writeMmx } from "./mmx-access";
import { bail } from "./state";

/** PAND mm, mm/m64. */
export function mmxPand(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.and(readMmx(op), v128.load64_zero(source)));
}

/** PANDN mm, mm/m64. */
export function mmxPandn(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.andnot(v128.load64_zero(source), readMmx(op)));
}

/** POR mm, mm/m64. */
export function mmxPor(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.or(readMmx(op), v128.load64_zero(source)));
}

/** PXOR mm, mm/m64. */
export function mmxPxor(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.xor(readMmx(op), v128.load64_zero(source)));
}

/** PCMPEQB mm, mm/m64. */
export function mmxPcmpeqb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.eq(readMmx(op), v128.load64_zero(source)));
}

/** PCMPEQW mm, mm/m64. */
export function mmxPcmpeqw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.eq(readMmx(op), v128.load64_zero(source)));
}

/** PCMPEQD mm, mm/m64. */
export function mmxPcmpeqd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.eq(readMmx(op), v128.load64_zero(source)));
}

/** PCMPGTB mm, mm/m64. */
export function mmxPcmpgtb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.gt_s(readMmx(op), v128.load64_zero(source)));
}

/** PCMPGTW mm, mm/m64. */
export function mmxPcmpgtw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.gt_s(readMmx(op), v128.load64_zero(source)));
}

/** PCMPGTD mm, mm/m64. */
export function mmxPcmpgtd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.gt_s(readMmx(op), v128.load64_zero(source)));
}
