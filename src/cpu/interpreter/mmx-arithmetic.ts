/** Packed integer addition, subtraction, multiplication, average, minimum, maximum and sum of differences, on MMX registers. */
import {
  applySign8, applySign16, applySign32, multiplyHighSigned16, multiplyHighUnsigned16, multiplyEvenUnsigned32,
  multiplyRoundScale16, multiplyAddUnsignedSigned8, sumAbsoluteDifferences8,
} from "./sse-lanes";
import { mmxSource, readMmx, writeMmx } from "./mmx-access";
import { bail } from "./state";

/** PADDB mm, mm/m64. */
export function mmxPaddb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.add(readMmx(op), v128.load64_zero(source)));
}

/** PADDW mm, mm/m64. */
export function mmxPaddw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.add(readMmx(op), v128.load64_zero(source)));
}

/** PADDD mm, mm/m64. */
export function mmxPaddd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.add(readMmx(op), v128.load64_zero(source)));
}

/** PADDQ mm, mm/m64. */
export function mmxPaddq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i64x2.add(readMmx(op), v128.load64_zero(source)));
}

/** PADDSB mm, mm/m64. */
export function mmxPaddsb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.add_sat_s(readMmx(op), v128.load64_zero(source)));
}

/** PADDSW mm, mm/m64. */
export function mmxPaddsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.add_sat_s(readMmx(op), v128.load64_zero(source)));
}

/** PADDUSB mm, mm/m64. */
export function mmxPaddusb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.add_sat_u(readMmx(op), v128.load64_zero(source)));
}

/** PADDUSW mm, mm/m64. */
export function mmxPaddusw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.add_sat_u(readMmx(op), v128.load64_zero(source)));
}

/** PSUBB mm, mm/m64. */
export function mmxPsubb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.sub(readMmx(op), v128.load64_zero(source)));
}

/** PSUBW mm, mm/m64. */
export function mmxPsubw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.sub(readMmx(op), v128.load64_zero(source)));
}

/** PSUBD mm, mm/m64. */
export function mmxPsubd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.sub(readMmx(op), v128.load64_zero(source)));
}

/** PSUBQ mm, mm/m64. */
export function mmxPsubq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i64x2.sub(readMmx(op), v128.load64_zero(source)));
}

/** PSUBSB mm, mm/m64. */
export function mmxPsubsb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.sub_sat_s(readMmx(op), v128.load64_zero(source)));
}

/** PSUBSW mm, mm/m64. */
export function mmxPsubsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.sub_sat_s(readMmx(op), v128.load64_zero(source)));
}

/** PSUBUSB mm, mm/m64. */
export function mmxPsubusb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.sub_sat_u(readMmx(op), v128.load64_zero(source)));
}

/** PSUBUSW mm, mm/m64. */
export function mmxPsubusw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.sub_sat_u(readMmx(op), v128.load64_zero(source)));
}

/** PMULLW mm, mm/m64. */
export function mmxPmullw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.mul(readMmx(op), v128.load64_zero(source)));
}

/** PMULHW mm, mm/m64. */
export function mmxPmulhw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, multiplyHighSigned16(readMmx(op), v128.load64_zero(source)));
}

/** PMULHUW mm, mm/m64. */
export function mmxPmulhuw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, multiplyHighUnsigned16(readMmx(op), v128.load64_zero(source)));
}

/** PMADDWD mm, mm/m64. */
export function mmxPmaddwd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.dot_i16x8_s(readMmx(op), v128.load64_zero(source)));
}

/** PMULUDQ mm, mm/m64. */
export function mmxPmuludq(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, multiplyEvenUnsigned32(readMmx(op), v128.load64_zero(source)));
}

/** PMULHRSW mm, mm/m64. */
export function mmxPmulhrsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, multiplyRoundScale16(readMmx(op), v128.load64_zero(source)));
}

/** PMADDUBSW mm, mm/m64. */
export function mmxPmaddubsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, multiplyAddUnsignedSigned8(readMmx(op), v128.load64_zero(source)));
}

/** PAVGB mm, mm/m64. */
export function mmxPavgb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.avgr_u(readMmx(op), v128.load64_zero(source)));
}

/** PAVGW mm, mm/m64. */
export function mmxPavgw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.avgr_u(readMmx(op), v128.load64_zero(source)));
}

/** PSADBW mm, mm/m64. */
export function mmxPsadbw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, sumAbsoluteDifferences8(readMmx(op), v128.load64_zero(source)));
}

/** PMINUB mm, mm/m64. */
export function mmxPminub(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.min_u(readMmx(op), v128.load64_zero(source)));
}

/** PMAXUB mm, mm/m64. */
export function mmxPmaxub(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.max_u(readMmx(op), v128.load64_zero(source)));
}

/** PMINSW mm, mm/m64. */
export function mmxPminsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.min_s(readMmx(op), v128.load64_zero(source)));
}

/** PMAXSW mm, mm/m64. */
export function mmxPmaxsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.max_s(readMmx(op), v128.load64_zero(source)));
}

/** PSIGNB mm, mm/m64. */
export function mmxPsignb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, applySign8(readMmx(op), v128.load64_zero(source)));
}

/** PSIGNW mm, mm/m64. */
export function mmxPsignw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, applySign16(readMmx(op), v128.load64_zero(source)));
}

/** PSIGND mm, mm/m64. */
export function mmxPsignd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, applySign32(readMmx(op), v128.load64_zero(source)));
}

/** PABSB mm, mm/m64. */
export function mmxPabsb(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i8x16.abs(v128.load64_zero(source)));
}

/** PABSW mm, mm/m64. */
export function mmxPabsw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i16x8.abs(v128.load64_zero(source)));
}

/** PABSD mm, mm/m64. */
export function mmxPabsd(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmx(op, i32x4.abs(v128.load64_zero(source)));
}
