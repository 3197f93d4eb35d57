/** Packing, unpacking, horizontal sums and byte shuffles, on MMX registers. */
import {
  addHorizontal16, addHorizontal32, addHorizontalSaturated16, subtractHorizontal16, subtractHorizontal32, subtractHorizontalSaturated16, pairLow,
} from "./sse-lanes";
import { mmxSource, readMmx, writeMmx } from "./mmx-access";
import { bail } from "./state";

/** PACKSSWB mm, mm/m64. */
export function mmxPacksswb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, i8x16.narrow_i16x8_s(pair, pair));
}

/** PACKUSWB mm, mm/m64. */
export function mmxPackuswb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, i8x16.narrow_i16x8_u(pair, pair));
}

/** PACKSSDW mm, mm/m64. */
export function mmxPackssdw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, i16x8.narrow_i32x4_s(pair, pair));
}

/** PUNPCKLBW mm, mm/m32. */
export function mmxPunpcklbw(op: u32): i32 {
  const source = mmxSource(op, 4);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.shuffle(readMmx(op), v128.load32_zero(source), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
}

/** PUNPCKLWD mm, mm/m32. */
export function mmxPunpcklwd(op: u32): i32 {
  const source = mmxSource(op, 4);
  if (source == 0) return bail;
  return writeMmx(op, v128.shuffle<u16>(readMmx(op), v128.load32_zero(source), 0, 8, 1, 9, 2, 10, 3, 11));
}

/** PUNPCKLDQ mm, mm/m32. */
export function mmxPunpckldq(op: u32): i32 {
  const source = mmxSource(op, 4);
  if (source == 0) return bail;
  return writeMmx(op, v128.shuffle<u32>(readMmx(op), v128.load32_zero(source), 0, 4, 1, 5));
}

/** PUNPCKHBW mm, mm/m64. */
export function mmxPunpckhbw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.shuffle(readMmx(op), v128.load64_zero(source), 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27));
}

/** PUNPCKHWD mm, mm/m64. */
export function mmxPunpckhwd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.shuffle<u16>(readMmx(op), v128.load64_zero(source), 2, 10, 3, 11, 4, 12, 5, 13));
}

/** PUNPCKHDQ mm, mm/m64. */
export function mmxPunpckhdq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, v128.shuffle<u32>(readMmx(op), v128.load64_zero(source), 1, 5, 2, 6));
}

/** PSHUFB mm, mm/m64. */
export function mmxPshufb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.swizzle(readMmx(op), v128.and(v128.load64_zero(source), i8x16.splat(i8(0x87)))));
}

/** PHADDW mm, mm/m64. */
export function mmxPhaddw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, addHorizontal16(pair, pair));
}

/** PHADDD mm, mm/m64. */
export function mmxPhaddd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, addHorizontal32(pair, pair));
}

/** PHADDSW mm, mm/m64. */
export function mmxPhaddsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, addHorizontalSaturated16(pair, pair));
}

/** PHSUBW mm, mm/m64. */
export function mmxPhsubw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, subtractHorizontal16(pair, pair));
}

/** PHSUBD mm, mm/m64. */
export function mmxPhsubd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, subtractHorizontal32(pair, pair));
}

/** PHSUBSW mm, mm/m64. */
export function mmxPhsubsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(readMmx(op), v128.load64_zero(source));
  return writeMmx(op, subtractHorizontalSaturated16(pair, pair));
}
