/** Integer instructions of SSE4.1 that are more than one packed operation: PTEST, the extensions, MPSADBW, PHMINPOSUW. */
import { FLAG_CF, FLAG_ZF, setArithmeticFlags } from "./flags";
import { readXmm, source128, sourceUnaligned, writeXmm } from "./sse-access";
import { bail, immediate } from "./state";

/** PTEST xmm, xmm/m128: ZF when no bit is common, CF when no source bit is missing in the destination. */
export function ssePtest(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const a = readXmm(op);
  const b = v128.load(source);
  const common: u64 = v128.any_true(v128.and(a, b)) ? 0 : FLAG_ZF;
  const missing: u64 = v128.any_true(v128.andnot(b, a)) ? 0 : FLAG_CF;
  setArithmeticFlags(common | missing);
  return 0;
}

/** PMOVSXBW xmm, xmm/m64. */
export function ssePmovsxbw(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.extend_low_i8x16_s(v128.load64_zero(source)));
}

/** PMOVSXBD xmm, xmm/m32. */
export function ssePmovsxbd(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(source))));
}

/** PMOVSXBQ xmm, xmm/m16. */
export function ssePmovsxbq(op: u32): i32 {
  const source = sourceUnaligned(op, 2);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(i32x4.splat(load<u16>(source))))));
}

/** PMOVSXWD xmm, xmm/m64. */
export function ssePmovsxwd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.extend_low_i16x8_s(v128.load64_zero(source)));
}

/** PMOVSXWQ xmm, xmm/m32. */
export function ssePmovsxwq(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(v128.load32_zero(source))));
}

/** PMOVSXDQ xmm, xmm/m64. */
export function ssePmovsxdq(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_s(v128.load64_zero(source)));
}

/** PMOVZXBW xmm, xmm/m64. */
export function ssePmovzxbw(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.extend_low_i8x16_u(v128.load64_zero(source)));
}

/** PMOVZXBD xmm, xmm/m32. */
export function ssePmovzxbd(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(source))));
}

/** PMOVZXBQ xmm, xmm/m16. */
export function ssePmovzxbq(op: u32): i32 {
  const source = sourceUnaligned(op, 2);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(load<u16>(source))))));
}

/** PMOVZXWD xmm, xmm/m64. */
export function ssePmovzxwd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.extend_low_i16x8_u(v128.load64_zero(source)));
}

/** PMOVZXWQ xmm, xmm/m32. */
export function ssePmovzxwq(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(v128.load32_zero(source))));
}

/** PMOVZXDQ xmm, xmm/m64. */
export function ssePmovzxdq(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.extend_low_i32x4_u(v128.load64_zero(source)));
}

/** PHMINPOSUW xmm, xmm/m128: the least unsigned word and the index of its first place. */
export function ssePhminposuw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  let least: u32 = load<u16>(source);
  let place: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) {
    const value: u32 = load<u16>(source + (i << 1));
    if (value < least) { least = value; place = i; }
  }
  return writeXmm(op, i32x4.replace_lane(i64x2.splat(0), 0, least | (place << 16)));
}

/**
 * MPSADBW xmm, xmm/m128, imm8: eight sums of absolute differences of a four-byte block of the source (imm bits 1..0) with
 * the eight four-byte windows of the destination that begin at byte 0 or 4 (imm bit 2).
 */
export function sseMpsadbw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const select = u32(immediate(op));
  const bytes = i32x4.splat(load<i32>(source + ((select & 3) << 2)));
  const window = (select & 4) != 0 ? v128.shuffle<u32>(readXmm(op), readXmm(op), 1, 2, 3, 3) : readXmm(op);
  const low = i16x8.add(windowDifference(window, bytes, 0), windowDifference(window, bytes, 1));
  const high = i16x8.add(windowDifference(window, bytes, 2), windowDifference(window, bytes, 3));
  return writeXmm(op, i16x8.add(low, high));
}

/** Differences of byte `n` of the block with byte i + n of the window, for i in 0..7, as words. */
function windowDifference(window: v128, bytes: v128, n: i32): v128 {
  const index = i8x16.add(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(i8(n)));
  const moved = i8x16.swizzle(window, index);
  const byte = i8x16.swizzle(bytes, i8x16.splat(i8(n)));
  return i16x8.extend_low_i8x16_u(v128.or(i8x16.sub_sat_u(moved, byte), i8x16.sub_sat_u(byte, moved)));
}
