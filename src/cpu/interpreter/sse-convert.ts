/** Conversions between packed and scalar floats and 32-bit and 64-bit integers in XMM, MMX and general registers. */
import { enterMmx, mmxRefused, writeMmxSlot } from "./mmx-access";
import { isMemory, source128, sourceUnaligned, sseRefused, writeXmm } from "./sse-access";
import {
  beginFloat, finishFloat, finishPacked, finishScalar, fourFloats, isOrdinary32, isOrdinary64, isSafe32, isSafe64, nativeAllowed, ordinary32,
  twoDoubles,
} from "./sse-float";
import {
  f32ToF64, f32ToI32, f32ToI64, f64ToF32, f64ToI32, f64ToI64, i32ToF32, i64ToF32, i64ToF64,
} from "./softfloat";
import { bail, regAddress } from "./state";

// @ts-ignore: decorator
@inline function float(base: u32, n: u32): u32 { return load<u32>(base + (n << 2)); }
// @ts-ignore: decorator
@inline function double(base: u32, n: u32): u64 { return load<u64>(base + (n << 3)); }
// @ts-ignore: decorator
@inline function pair(low: u32, high: u32): u64 { return u64(low) | (u64(high) << 32); }

// ---------------------------------------------------------------------------------------------------- general register to float

/** CVTSI2SS xmm, r/m32. */
export function sseCvtsi2ss32(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u32>(regAddress(op), i32ToF32(load<i32>(source)));
}

/** CVTSI2SS xmm, r/m64. */
export function sseCvtsi2ss64(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u32>(regAddress(op), i64ToF32(load<i64>(source)));
}

/** CVTSI2SD xmm, r/m32: always exact. */
export function sseCvtsi2sd32(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  store<f64>(regAddress(op), f64(load<i32>(source)));
  return 0;
}

/** CVTSI2SD xmm, r/m64. */
export function sseCvtsi2sd64(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u64>(regAddress(op), i64ToF64(load<i64>(source)));
}

// ---------------------------------------------------------------------------------------------------- float to general register

// @ts-ignore: decorator
@inline function singleTo32(op: u32, truncate: bool): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  if (truncate && isOrdinary32(load<u32>(source)) && abs(load<f32>(source)) < 2147483648) {
    const value = load<f32>(source), integer = i32(value);
    if (<f32>integer == value || nativeAllowed()) { store<u64>(regAddress(op), u64(u32(integer))); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(regAddress(op), u64(u32(f32ToI32(load<u32>(source), truncate))));
}

// @ts-ignore: decorator
@inline function singleTo64(op: u32, truncate: bool): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<i64>(regAddress(op), f32ToI64(load<u32>(source), truncate));
}

// @ts-ignore: decorator
@inline function doubleTo32(op: u32, truncate: bool): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  if (truncate && isOrdinary64(load<u64>(source)) && abs(load<f64>(source)) < 2147483648) {
    const value = load<f64>(source), integer = i32(value);
    if (<f64>integer == value || nativeAllowed()) { store<u64>(regAddress(op), u64(u32(integer))); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(regAddress(op), u64(u32(f64ToI32(load<u64>(source), truncate))));
}

// @ts-ignore: decorator
@inline function doubleTo64(op: u32, truncate: bool): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<i64>(regAddress(op), f64ToI64(load<u64>(source), truncate));
}

/** CVTSS2SI r32, xmm/m32. */
export function sseCvtss2si32(op: u32): i32 { return singleTo32(op, false); }
/** CVTSS2SI r64, xmm/m32. */
export function sseCvtss2si64(op: u32): i32 { return singleTo64(op, false); }
/** CVTTSS2SI r32, xmm/m32. */
export function sseCvttss2si32(op: u32): i32 { return singleTo32(op, true); }
/** CVTTSS2SI r64, xmm/m32. */
export function sseCvttss2si64(op: u32): i32 { return singleTo64(op, true); }
/** CVTSD2SI r32, xmm/m64. */
export function sseCvtsd2si32(op: u32): i32 { return doubleTo32(op, false); }
/** CVTSD2SI r64, xmm/m64. */
export function sseCvtsd2si64(op: u32): i32 { return doubleTo64(op, false); }
/** CVTTSD2SI r32, xmm/m64. */
export function sseCvttsd2si32(op: u32): i32 { return doubleTo32(op, true); }
/** CVTTSD2SI r64, xmm/m64. */
export function sseCvttsd2si64(op: u32): i32 { return doubleTo64(op, true); }

// ---------------------------------------------------------------------------------------------------- float to float

/** CVTSS2SD xmm, xmm/m32. */
export function sseCvtss2sd(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isSafe32(load<u32>(source))) { store<f64>(target, f64(load<f32>(source))); return 0; }
  beginFloat();
  return finishScalar<u64>(target, f32ToF64(load<u32>(source)));
}

/** CVTSD2SS xmm, xmm/m64. */
export function sseCvtsd2ss(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe64(load<u64>(source))) {
    const result = reinterpret<u32>(f32(load<f64>(source)));
    if (isSafe32(result)) { store<u32>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u32>(target, f64ToF32(load<u64>(source)));
}

/** CVTPS2PD xmm, xmm/m64. */
export function sseCvtps2pd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  const low = f32ToF64(float(source, 0)), high = f32ToF64(float(source, 1));
  return finishPacked(regAddress(op), twoDoubles(low, high));
}

/** CVTPD2PS xmm, xmm/m128. */
export function sseCvtpd2ps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  beginFloat();
  const low = f64ToF32(double(source, 0)), high = f64ToF32(double(source, 1));
  return finishPacked(regAddress(op), fourFloats(low, high, 0, 0));
}

// ---------------------------------------------------------------------------------------------------- packed integers

/** CVTDQ2PD xmm, xmm/m64: always exact. */
export function sseCvtdq2pd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, f64x2.convert_low_i32x4_s(v128.load64_zero(source)));
}

/** CVTDQ2PS xmm, xmm/m128. */
export function sseCvtdq2ps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  if (nativeAllowed()) return writeXmm(op, f32x4.convert_i32x4_s(v128.load(source)));
  beginFloat();
  const low0 = i32ToF32(i32(float(source, 0))), low1 = i32ToF32(i32(float(source, 1)));
  const high0 = i32ToF32(i32(float(source, 2))), high1 = i32ToF32(i32(float(source, 3)));
  return finishPacked(regAddress(op), fourFloats(low0, low1, high0, high1));
}

// @ts-ignore: decorator
@inline function floatsToIntegers(op: u32, truncate: bool): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  if (nativeAllowed()) {
    const value = v128.load(source);
    const inRange = f32x4.lt(f32x4.abs(value), f32x4.splat(2147483648));
    if (i32x4.all_true(v128.and(ordinary32(value), inRange))) {
      return writeXmm(op, i32x4.trunc_sat_f32x4_s(truncate ? value : f32x4.nearest(value)));
    }
  }
  beginFloat();
  const low0 = f32ToI32(float(source, 0), truncate), low1 = f32ToI32(float(source, 1), truncate);
  const high0 = f32ToI32(float(source, 2), truncate), high1 = f32ToI32(float(source, 3), truncate);
  return finishPacked(regAddress(op), fourFloats(low0, low1, high0, high1));
}

// @ts-ignore: decorator
@inline function doublesToIntegers(op: u32, truncate: bool): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  beginFloat();
  const low = f64ToI32(double(source, 0), truncate), high = f64ToI32(double(source, 1), truncate);
  return finishPacked(regAddress(op), fourFloats(low, high, 0, 0));
}

/** CVTPS2DQ xmm, xmm/m128. */
export function sseCvtps2dq(op: u32): i32 { return floatsToIntegers(op, false); }
/** CVTTPS2DQ xmm, xmm/m128. */
export function sseCvttps2dq(op: u32): i32 { return floatsToIntegers(op, true); }
/** CVTPD2DQ xmm, xmm/m128. */
export function sseCvtpd2dq(op: u32): i32 { return doublesToIntegers(op, false); }
/** CVTTPD2DQ xmm, xmm/m128. */
export function sseCvttpd2dq(op: u32): i32 { return doublesToIntegers(op, true); }

// ---------------------------------------------------------------------------------------------------- MMX registers

/** CVTPI2PS xmm, mm/m64; from memory it leaves the x87 state alone. */
export function sseCvtpi2ps(op: u32): i32 {
  if (sseRefused() != 0 || (!isMemory(op) && mmxRefused() != 0)) return bail;
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  if (!isMemory(op)) enterMmx();
  beginFloat();
  const low = i32ToF32(load<i32>(source)), high = i32ToF32(load<i32>(source, 4));
  return finishScalar<u64>(regAddress(op), pair(low, high));
}

/** CVTPI2PD xmm, mm/m64: always exact; from memory it leaves the x87 state alone. */
export function sseCvtpi2pd(op: u32): i32 {
  if (sseRefused() != 0 || (!isMemory(op) && mmxRefused() != 0)) return bail;
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  if (!isMemory(op)) enterMmx();
  return writeXmm(op, f64x2.convert_low_i32x4_s(v128.load64_zero(source)));
}

/** Writes an MMX register with two integers once the flags allow it. The x87 state changes even when they do not. */
function finishMmx(slot: u32, low: i32, high: i32): i32 {
  enterMmx();
  const refused = finishFloat();
  return refused != 0 ? refused : writeMmxSlot(slot, pair(low, high));
}

function floatsToMmx(op: u32, truncate: bool): i32 {
  if (sseRefused() != 0 || mmxRefused() != 0) return bail;
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  const low = f32ToI32(float(source, 0), truncate), high = f32ToI32(float(source, 1), truncate);
  return finishMmx(regAddress(op), low, high);
}

function doublesToMmx(op: u32, truncate: bool): i32 {
  if (sseRefused() != 0 || mmxRefused() != 0) return bail;
  const source = source128(op);
  if (source == 0) return bail;
  beginFloat();
  const low = f64ToI32(double(source, 0), truncate), high = f64ToI32(double(source, 1), truncate);
  return finishMmx(regAddress(op), low, high);
}

/** CVTPS2PI mm, xmm/m64. */
export function sseCvtps2pi(op: u32): i32 { return floatsToMmx(op, false); }
/** CVTTPS2PI mm, xmm/m64. */
export function sseCvttps2pi(op: u32): i32 { return floatsToMmx(op, true); }
/** CVTPD2PI mm, xmm/m128. */
export function sseCvtpd2pi(op: u32): i32 { return doublesToMmx(op, false); }
/** CVTTPD2PI mm, xmm/m128. */
export function sseCvttpd2pi(op: u32): i32 { return doublesToMmx(op, true); }
