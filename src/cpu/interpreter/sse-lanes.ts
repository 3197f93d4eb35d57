/** Packed operations that WebAssembly lacks, shared by the MMX and XMM forms. MMX callers use the low half of the result. */

/** High halves of the products of signed words (PMULHW). */
export function multiplyHighSigned16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

/** High halves of the products of unsigned words (PMULHUW). */
export function multiplyHighUnsigned16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

/** Products of the even unsigned doublewords (PMULUDQ). */
export function multiplyEvenUnsigned32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_u(v128.shuffle<u32>(a, a, 0, 2, 0, 2), v128.shuffle<u32>(b, b, 0, 2, 0, 2));
}

/** Products of the even signed doublewords (PMULDQ). */
export function multiplyEvenSigned32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_s(v128.shuffle<u32>(a, a, 0, 2, 0, 2), v128.shuffle<u32>(b, b, 0, 2, 0, 2));
}

/** Rounded high products of signed words (PMULHRSW); -1 times -1 wraps to 8000h, where q15mulr saturates. */
export function multiplyRoundScale16(a: v128, b: v128): v128 {
  const lowest = i16x8.splat(-32768);
  return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, lowest), i16x8.eq(b, lowest)));
}

/** Saturated sums of pairs of products, unsigned bytes of `a` by signed bytes of `b` (PMADDUBSW). */
export function multiplyAddUnsignedSigned8(a: v128, b: v128): v128 {
  const even = i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8));
  const odd = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return i16x8.add_sat_s(even, odd);
}

/** Sum of the absolute differences of the bytes of each half (PSADBW). */
export function sumAbsoluteDifferences8(a: v128, b: v128): v128 {
  const differences = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const sums = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(differences));
  return i64x2.add(v128.and(sums, i64x2.splat(0xffff_ffff)), i64x2.shr_u(sums, 32));
}

/** `a` negated, kept or cleared by the sign of the bytes of `b` (PSIGNB). */
export function applySign8(a: v128, b: v128): v128 {
  const negative = i8x16.shr_s(b, 7);
  return i8x16.sub(v128.xor(v128.andnot(a, i8x16.eq(b, i8x16.splat(0))), negative), negative);
}

/** As applySign8, for words (PSIGNW). */
export function applySign16(a: v128, b: v128): v128 {
  const negative = i16x8.shr_s(b, 15);
  return i16x8.sub(v128.xor(v128.andnot(a, i16x8.eq(b, i16x8.splat(0))), negative), negative);
}

/** As applySign8, for doublewords (PSIGND). */
export function applySign32(a: v128, b: v128): v128 {
  const negative = i32x4.shr_s(b, 31);
  return i32x4.sub(v128.xor(v128.andnot(a, i32x4.eq(b, i32x4.splat(0))), negative), negative);
}

// @ts-ignore: decorator
@inline function evenWords(a: v128, b: v128): v128 { return v128.shuffle<u16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
// @ts-ignore: decorator
@inline function oddWords(a: v128, b: v128): v128 { return v128.shuffle<u16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }
// @ts-ignore: decorator
@inline function evenDoublewords(a: v128, b: v128): v128 { return v128.shuffle<u32>(a, b, 0, 2, 4, 6); }
// @ts-ignore: decorator
@inline function oddDoublewords(a: v128, b: v128): v128 { return v128.shuffle<u32>(a, b, 1, 3, 5, 7); }

/** Sums of neighbouring words (PHADDW). */
export function addHorizontal16(a: v128, b: v128): v128 { return i16x8.add(evenWords(a, b), oddWords(a, b)); }
/** Sums of neighbouring doublewords (PHADDD). */
export function addHorizontal32(a: v128, b: v128): v128 { return i32x4.add(evenDoublewords(a, b), oddDoublewords(a, b)); }
/** Saturated sums of neighbouring words (PHADDSW). */
export function addHorizontalSaturated16(a: v128, b: v128): v128 { return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b)); }
/** Differences of neighbouring words, low minus high (PHSUBW). */
export function subtractHorizontal16(a: v128, b: v128): v128 { return i16x8.sub(evenWords(a, b), oddWords(a, b)); }
/** Differences of neighbouring doublewords (PHSUBD). */
export function subtractHorizontal32(a: v128, b: v128): v128 { return i32x4.sub(evenDoublewords(a, b), oddDoublewords(a, b)); }
/** Saturated differences of neighbouring words (PHSUBSW). */
export function subtractHorizontalSaturated16(a: v128, b: v128): v128 { return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b)); }

/** The low halves of two vectors side by side: an MMX pair seen as one vector. */
// @ts-ignore: decorator
@inline export function pairLow(a: v128, b: v128): v128 { return v128.shuffle<u64>(a, b, 0, 2); }

/** 16 bytes of `high:low` from byte `count` (0..255) on, zeros shifted in (PALIGNR). */
export function shiftPairRight(high: v128, low: v128, count: u32): v128 {
  if (count >= 32) return i64x2.splat(0);
  const index = i8x16.add(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(i8(count)));
  return v128.or(i8x16.swizzle(low, index), i8x16.swizzle(high, i8x16.sub(index, i8x16.splat(16))));
}

/** Words of `a` shifted right, 0 from a count of 16 on (PSRLW). */
export function shiftRight16(a: v128, count: u64): v128 { return count > 15 ? i64x2.splat(0) : i16x8.shr_u(a, i32(count)); }
/** Doublewords of `a` shifted right, 0 from a count of 32 on (PSRLD). */
export function shiftRight32(a: v128, count: u64): v128 { return count > 31 ? i64x2.splat(0) : i32x4.shr_u(a, i32(count)); }
/** Quadwords of `a` shifted right, 0 from a count of 64 on (PSRLQ). */
export function shiftRight64(a: v128, count: u64): v128 { return count > 63 ? i64x2.splat(0) : i64x2.shr_u(a, i32(count)); }
/** Words of `a` shifted left, 0 from a count of 16 on (PSLLW). */
export function shiftLeft16(a: v128, count: u64): v128 { return count > 15 ? i64x2.splat(0) : i16x8.shl(a, i32(count)); }
/** Doublewords of `a` shifted left, 0 from a count of 32 on (PSLLD). */
export function shiftLeft32(a: v128, count: u64): v128 { return count > 31 ? i64x2.splat(0) : i32x4.shl(a, i32(count)); }
/** Quadwords of `a` shifted left, 0 from a count of 64 on (PSLLQ). */
export function shiftLeft64(a: v128, count: u64): v128 { return count > 63 ? i64x2.splat(0) : i64x2.shl(a, i32(count)); }
/** Words of `a` shifted right with the sign (PSRAW). */
export function shiftRightSigned16(a: v128, count: u64): v128 { return i16x8.shr_s(a, i32(min<u64>(count, 15))); }
/** Doublewords of `a` shifted right with the sign (PSRAD). */
export function shiftRightSigned32(a: v128, count: u64): v128 { return i32x4.shr_s(a, i32(min<u64>(count, 31))); }
