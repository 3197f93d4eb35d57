/** Packed integer logic and comparison, and the bitwise instructions on packed floats, which are the same. */
import { readXmm, source128, writeXmm } from "./sse-access";
import { bail } from "./state";

/** PAND xmm, xmm/m128, ANDPS and ANDPD. */
export function ssePand(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.and(readXmm(op), v128.load(source)));
}

/** PANDN xmm, xmm/m128, ANDNPS and ANDNPD. */
export function ssePandn(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.andnot(v128.load(source), readXmm(op)));
}

/** POR xmm, xmm/m128, ORPS and ORPD. */
export function ssePor(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.or(readXmm(op), v128.load(source)));
}

/** PXOR xmm, xmm/m128, XORPS and XORPD. */
export function ssePxor(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.xor(readXmm(op), v128.load(source)));
}

/** PCMPEQB xmm, xmm/m128. */
export function ssePcmpeqb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.eq(readXmm(op), v128.load(source)));
}

/** PCMPEQW xmm, xmm/m128. */
export function ssePcmpeqw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.eq(readXmm(op), v128.load(source)));
}

/** PCMPEQD xmm, xmm/m128. */
export function ssePcmpeqd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.eq(readXmm(op), v128.load(source)));
}

/** PCMPEQQ xmm, xmm/m128. */
export function ssePcmpeqq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.eq(readXmm(op), v128.load(source)));
}

/** PCMPGTB xmm, xmm/m128. */
export function ssePcmpgtb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.gt_s(readXmm(op), v128.load(source)));
}

/** PCMPGTW xmm, xmm/m128. */
export function ssePcmpgtw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.gt_s(readXmm(op), v128.load(source)));
}

/** PCMPGTD xmm, xmm/m128. */
export function ssePcmpgtd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.gt_s(readXmm(op), v128.load(source)));
}

/** PCMPGTQ xmm, xmm/m128. */
export function ssePcmpgtq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.gt_s(readXmm(op), v128.load(source)));
}
