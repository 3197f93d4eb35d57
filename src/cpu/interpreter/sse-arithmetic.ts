/** Packed integer addition, subtraction, multiplication, average, minimum, maximum and sum of differences of SSE2 to SSE4.1. */
import {
  applySign8, applySign16, applySign32, multiplyHighSigned16, multiplyHighUnsigned16, multiplyEvenUnsigned32, multiplyEvenSigned32,
  multiplyRoundScale16, multiplyAddUnsignedSigned8, sumAbsoluteDifferences8,
} from "./sse-lanes";
import { readXmm, source128, writeXmm } from "./sse-access";
import { bail } from "./state";

/** PADDB xmm, xmm/m128. */
export function ssePaddb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.add(readXmm(op), v128.load(source)));
}

/** PADDW xmm, xmm/m128. */
export function ssePaddw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.add(readXmm(op), v128.load(source)));
}

/** PADDD xmm, xmm/m128. */
export function ssePaddd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.add(readXmm(op), v128.load(source)));
}

/** PADDQ xmm, xmm/m128. */
export function ssePaddq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.add(readXmm(op), v128.load(source)));
}

/** PADDSB xmm, xmm/m128. */
export function ssePaddsb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.add_sat_s(readXmm(op), v128.load(source)));
}

/** PADDSW xmm, xmm/m128. */
export function ssePaddsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.add_sat_s(readXmm(op), v128.load(source)));
}

/** PADDUSB xmm, xmm/m128. */
export function ssePaddusb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.add_sat_u(readXmm(op), v128.load(source)));
}

/** PADDUSW xmm, xmm/m128. */
export function ssePaddusw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.add_sat_u(readXmm(op), v128.load(source)));
}

/** PSUBB xmm, xmm/m128. */
export function ssePsubb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.sub(readXmm(op), v128.load(source)));
}

/** PSUBW xmm, xmm/m128. */
export function ssePsubw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.sub(readXmm(op), v128.load(source)));
}

/** PSUBD xmm, xmm/m128. */
export function ssePsubd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.sub(readXmm(op), v128.load(source)));
}

/** PSUBQ xmm, xmm/m128. */
export function ssePsubq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i64x2.sub(readXmm(op), v128.load(source)));
}

/** PSUBSB xmm, xmm/m128. */
export function ssePsubsb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.sub_sat_s(readXmm(op), v128.load(source)));
}

/** PSUBSW xmm, xmm/m128. */
export function ssePsubsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.sub_sat_s(readXmm(op), v128.load(source)));
}

/** PSUBUSB xmm, xmm/m128. */
export function ssePsubusb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.sub_sat_u(readXmm(op), v128.load(source)));
}

/** PSUBUSW xmm, xmm/m128. */
export function ssePsubusw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.sub_sat_u(readXmm(op), v128.load(source)));
}

/** PMULLW xmm, xmm/m128. */
export function ssePmullw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.mul(readXmm(op), v128.load(source)));
}

/** PMULHW xmm, xmm/m128. */
export function ssePmulhw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyHighSigned16(readXmm(op), v128.load(source)));
}

/** PMULHUW xmm, xmm/m128. */
export function ssePmulhuw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyHighUnsigned16(readXmm(op), v128.load(source)));
}

/** PMADDWD xmm, xmm/m128. */
export function ssePmaddwd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.dot_i16x8_s(readXmm(op), v128.load(source)));
}

/** PMULUDQ xmm, xmm/m128. */
export function ssePmuludq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyEvenUnsigned32(readXmm(op), v128.load(source)));
}

/** PMULDQ xmm, xmm/m128. */
export function ssePmuldq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyEvenSigned32(readXmm(op), v128.load(source)));
}

/** PMULLD xmm, xmm/m128. */
export function ssePmulld(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.mul(readXmm(op), v128.load(source)));
}

/** PMULHRSW xmm, xmm/m128. */
export function ssePmulhrsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyRoundScale16(readXmm(op), v128.load(source)));
}

/** PMADDUBSW xmm, xmm/m128. */
export function ssePmaddubsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, multiplyAddUnsignedSigned8(readXmm(op), v128.load(source)));
}

/** PAVGB xmm, xmm/m128. */
export function ssePavgb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.avgr_u(readXmm(op), v128.load(source)));
}

/** PAVGW xmm, xmm/m128. */
export function ssePavgw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.avgr_u(readXmm(op), v128.load(source)));
}

/** PSADBW xmm, xmm/m128. */
export function ssePsadbw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, sumAbsoluteDifferences8(readXmm(op), v128.load(source)));
}

/** PMINUB xmm, xmm/m128. */
export function ssePminub(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.min_u(readXmm(op), v128.load(source)));
}

/** PMAXUB xmm, xmm/m128. */
export function ssePmaxub(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.max_u(readXmm(op), v128.load(source)));
}

/** PMINSW xmm, xmm/m128. */
export function ssePminsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.min_s(readXmm(op), v128.load(source)));
}

/** PMAXSW xmm, xmm/m128. */
export function ssePmaxsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.max_s(readXmm(op), v128.load(source)));
}

/** PMINSB xmm, xmm/m128. */
export function ssePminsb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.min_s(readXmm(op), v128.load(source)));
}

/** PMINSD xmm, xmm/m128. */
export function ssePminsd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.min_s(readXmm(op), v128.load(source)));
}

/** PMINUW xmm, xmm/m128. */
export function ssePminuw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.min_u(readXmm(op), v128.load(source)));
}

/** PMINUD xmm, xmm/m128. */
export function ssePminud(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.min_u(readXmm(op), v128.load(source)));
}

/** PMAXSB xmm, xmm/m128. */
export function ssePmaxsb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.max_s(readXmm(op), v128.load(source)));
}

/** PMAXSD xmm, xmm/m128. */
export function ssePmaxsd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.max_s(readXmm(op), v128.load(source)));
}

/** PMAXUW xmm, xmm/m128. */
export function ssePmaxuw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.max_u(readXmm(op), v128.load(source)));
}

/** PMAXUD xmm, xmm/m128. */
export function ssePmaxud(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.max_u(readXmm(op), v128.load(source)));
}

/** PSIGNB xmm, xmm/m128. */
export function ssePsignb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, applySign8(readXmm(op), v128.load(source)));
}

/** PSIGNW xmm, xmm/m128. */
export function ssePsignw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, applySign16(readXmm(op), v128.load(source)));
}

/** PSIGND xmm, xmm/m128. */
export function ssePsignd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, applySign32(readXmm(op), v128.load(source)));
}

/** PABSB xmm, xmm/m128. */
export function ssePabsb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i8x16.abs(v128.load(source)));
}

/** PABSW xmm, xmm/m128. */
export function ssePabsw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i16x8.abs(v128.load(source)));
}

/** PABSD xmm, xmm/m128. */
export function ssePabsd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, i32x4.abs(v128.load(source)));
}
