/** Packing, unpacking, horizontal sums and byte shuffles. */
import {
  addHorizontal16, addHorizontal32, addHorizontalSaturated16, subtractHorizontal16, subtractHorizontal32, subtractHorizontalSaturated16,
} from "./sse-lanes";
import { readXmm, source128, writeXmm } from "./sse-access";
import { bail } from "./state";

/** PACKSSWB xmm, xmm/m128. */
export function ssePacksswb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.narrow_i16x8_s(readXmm(op), v128.load(source)));
}

/** PACKUSWB xmm, xmm/m128. */
export function ssePackuswb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.narrow_i16x8_u(readXmm(op), v128.load(source)));
}

/** PACKSSDW xmm, xmm/m128. */
export function ssePackssdw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.narrow_i32x4_s(readXmm(op), v128.load(source)));
}

/** PACKUSDW xmm, xmm/m128. */
export function ssePackusdw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.narrow_i32x4_u(readXmm(op), v128.load(source)));
}

/** PUNPCKLBW xmm, xmm/m128. */
export function ssePunpcklbw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.shuffle(readXmm(op), v128.load(source), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
}

/** PUNPCKLWD xmm, xmm/m128. */
export function ssePunpcklwd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u16>(readXmm(op), v128.load(source), 0, 8, 1, 9, 2, 10, 3, 11));
}

/** PUNPCKLDQ xmm, xmm/m128 and UNPCKLPS. */
export function ssePunpckldq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u32>(readXmm(op), v128.load(source), 0, 4, 1, 5));
}

/** PUNPCKLQDQ xmm, xmm/m128 and UNPCKLPD. */
export function ssePunpcklqdq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u64>(readXmm(op), v128.load(source), 0, 2));
}

/** PUNPCKHBW xmm, xmm/m128. */
export function ssePunpckhbw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.shuffle(readXmm(op), v128.load(source), 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
}

/** PUNPCKHWD xmm, xmm/m128. */
export function ssePunpckhwd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u16>(readXmm(op), v128.load(source), 4, 12, 5, 13, 6, 14, 7, 15));
}

/** PUNPCKHDQ xmm, xmm/m128 and UNPCKHPS. */
export function ssePunpckhdq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u32>(readXmm(op), v128.load(source), 2, 6, 3, 7));
}

/** PUNPCKHQDQ xmm, xmm/m128 and UNPCKHPD. */
export function ssePunpckhqdq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.shuffle<u64>(readXmm(op), v128.load(source), 1, 3));
}

/** PSHUFB xmm, xmm/m128. */
export function ssePshufb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.swizzle(readXmm(op), v128.and(v128.load(source), i8x16.splat(i8(0x8f)))));
}

/** PHADDW xmm, xmm/m128. */
export function ssePhaddw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, addHorizontal16(readXmm(op), v128.load(source)));
}

/** PHADDD xmm, xmm/m128. */
export function ssePhaddd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, addHorizontal32(readXmm(op), v128.load(source)));
}

/** PHADDSW xmm, xmm/m128. */
export function ssePhaddsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, addHorizontalSaturated16(readXmm(op), v128.load(source)));
}

/** PHSUBW xmm, xmm/m128. */
export function ssePhsubw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, subtractHorizontal16(readXmm(op), v128.load(source)));
}

/** PHSUBD xmm, xmm/m128. */
export function ssePhsubd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, subtractHorizontal32(readXmm(op), v128.load(source)));
}

/** PHSUBSW xmm, xmm/m128. */
export function ssePhsubsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, subtractHorizontalSaturated16(readXmm(op), v128.load(source)));
}
