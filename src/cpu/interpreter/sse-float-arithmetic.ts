/** ADD, SUB, MUL, DIV and SQRT of packed and scalar floats. */
import { source128, sourceUnaligned } from "./sse-access";
import {
  beginFloat, finishPacked, finishScalar, fourFloats, isSafe32, isSafe64, nativeAllowed, normal32, normal64, ordinary32, ordinary64,
  safe32, safe64, twoDoubles, zero32, zero64,
} from "./sse-float";
import { f32Add, f32Div, f32Mul, f32Sqrt, f32Sub, f64Add, f64Div, f64Mul, f64Sqrt, f64Sub } from "./softfloat";
import { bail, regAddress } from "./state";

/** ADDPS xmm, xmm/m128. */
export function sseAddps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f32x4.add(x, y);
    if (i32x4.all_true(v128.and(v128.and(ordinary32(x), ordinary32(y)), ordinary32(result)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low0 = f32Add(load<u32>(target), load<u32>(source)), low1 = f32Add(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = f32Add(load<u32>(target, 8), load<u32>(source, 8)), high1 = f32Add(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** ADDSS xmm, xmm/m32. */
export function sseAddss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe32(load<u32>(target)) && isSafe32(load<u32>(source))) {
    const result = load<f32>(target) + load<f32>(source);
    if (isSafe32(reinterpret<u32>(result))) { store<f32>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u32>(target, f32Add(load<u32>(target), load<u32>(source)));
}

/** ADDPD xmm, xmm/m128. */
export function sseAddpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f64x2.add(x, y);
    if (i64x2.all_true(v128.and(v128.and(ordinary64(x), ordinary64(y)), ordinary64(result)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low = f64Add(load<u64>(target), load<u64>(source)), high = f64Add(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** ADDSD xmm, xmm/m64. */
export function sseAddsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe64(load<u64>(target)) && isSafe64(load<u64>(source))) {
    const result = load<f64>(target) + load<f64>(source);
    if (isSafe64(reinterpret<u64>(result))) { store<f64>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(target, f64Add(load<u64>(target), load<u64>(source)));
}

/** SUBPS xmm, xmm/m128. */
export function sseSubps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f32x4.sub(x, y);
    if (i32x4.all_true(v128.and(v128.and(ordinary32(x), ordinary32(y)), ordinary32(result)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low0 = f32Sub(load<u32>(target), load<u32>(source)), low1 = f32Sub(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = f32Sub(load<u32>(target, 8), load<u32>(source, 8)), high1 = f32Sub(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** SUBSS xmm, xmm/m32. */
export function sseSubss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe32(load<u32>(target)) && isSafe32(load<u32>(source))) {
    const result = load<f32>(target) - load<f32>(source);
    if (isSafe32(reinterpret<u32>(result))) { store<f32>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u32>(target, f32Sub(load<u32>(target), load<u32>(source)));
}

/** SUBPD xmm, xmm/m128. */
export function sseSubpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f64x2.sub(x, y);
    if (i64x2.all_true(v128.and(v128.and(ordinary64(x), ordinary64(y)), ordinary64(result)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low = f64Sub(load<u64>(target), load<u64>(source)), high = f64Sub(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** SUBSD xmm, xmm/m64. */
export function sseSubsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe64(load<u64>(target)) && isSafe64(load<u64>(source))) {
    const result = load<f64>(target) - load<f64>(source);
    if (isSafe64(reinterpret<u64>(result))) { store<f64>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(target, f64Sub(load<u64>(target), load<u64>(source)));
}

/** MULPS xmm, xmm/m128. */
export function sseMulps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f32x4.mul(x, y);
    const exact = v128.or(zero32(x), zero32(y));
    if (i32x4.all_true(v128.and(v128.and(ordinary32(x), ordinary32(y)), v128.or(safe32(result), exact)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low0 = f32Mul(load<u32>(target), load<u32>(source)), low1 = f32Mul(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = f32Mul(load<u32>(target, 8), load<u32>(source, 8)), high1 = f32Mul(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** MULSS xmm, xmm/m32. */
export function sseMulss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe32(load<u32>(target)) && isSafe32(load<u32>(source))) {
    const result = load<f32>(target) * load<f32>(source);
    if (isSafe32(reinterpret<u32>(result))) { store<f32>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u32>(target, f32Mul(load<u32>(target), load<u32>(source)));
}

/** MULPD xmm, xmm/m128. */
export function sseMulpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f64x2.mul(x, y);
    const exact = v128.or(zero64(x), zero64(y));
    if (i64x2.all_true(v128.and(v128.and(ordinary64(x), ordinary64(y)), v128.or(safe64(result), exact)))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low = f64Mul(load<u64>(target), load<u64>(source)), high = f64Mul(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** MULSD xmm, xmm/m64. */
export function sseMulsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe64(load<u64>(target)) && isSafe64(load<u64>(source))) {
    const result = load<f64>(target) * load<f64>(source);
    if (isSafe64(reinterpret<u64>(result))) { store<f64>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(target, f64Mul(load<u64>(target), load<u64>(source)));
}

/** DIVPS xmm, xmm/m128. */
export function sseDivps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f32x4.div(x, y);
    if (i32x4.all_true(v128.and(v128.and(ordinary32(x), normal32(y)), v128.or(safe32(result), zero32(x))))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low0 = f32Div(load<u32>(target), load<u32>(source)), low1 = f32Div(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = f32Div(load<u32>(target, 8), load<u32>(source, 8)), high1 = f32Div(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** DIVSS xmm, xmm/m32. */
export function sseDivss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe32(load<u32>(target)) && isSafe32(load<u32>(source))) {
    const result = load<f32>(target) / load<f32>(source);
    if (isSafe32(reinterpret<u32>(result))) { store<f32>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u32>(target, f32Div(load<u32>(target), load<u32>(source)));
}

/** DIVPD xmm, xmm/m128. */
export function sseDivpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(target), y = v128.load(source), result = f64x2.div(x, y);
    if (i64x2.all_true(v128.and(v128.and(ordinary64(x), normal64(y)), v128.or(safe64(result), zero64(x))))) { v128.store(target, result); return 0; }
  }
  beginFloat();
  const low = f64Div(load<u64>(target), load<u64>(source)), high = f64Div(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** DIVSD xmm, xmm/m64. */
export function sseDivsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed() && isSafe64(load<u64>(target)) && isSafe64(load<u64>(source))) {
    const result = load<f64>(target) / load<f64>(source);
    if (isSafe64(reinterpret<u64>(result))) { store<f64>(target, result); return 0; }
  }
  beginFloat();
  return finishScalar<u64>(target, f64Div(load<u64>(target), load<u64>(source)));
}

/** SQRTPS xmm, xmm/m128. */
export function sseSqrtps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(source), negative = i32x4.shr_s(x, 31);
    if (i32x4.all_true(v128.or(v128.andnot(normal32(x), negative), zero32(x)))) { v128.store(target, f32x4.sqrt(x)); return 0; }
  }
  beginFloat();
  const low0 = f32Sqrt(load<u32>(source)), low1 = f32Sqrt(load<u32>(source, 4));
  const high0 = f32Sqrt(load<u32>(source, 8)), high1 = f32Sqrt(load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** SQRTSS xmm, xmm/m32. */
export function sseSqrtss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u32>(regAddress(op), f32Sqrt(load<u32>(source)));
}

/** SQRTPD xmm, xmm/m128. */
export function sseSqrtpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (nativeAllowed()) {
    const x = v128.load(source), negative = i64x2.shr_s(x, 63);
    if (i64x2.all_true(v128.or(v128.andnot(normal64(x), negative), zero64(x)))) { v128.store(target, f64x2.sqrt(x)); return 0; }
  }
  beginFloat();
  const low = f64Sqrt(load<u64>(source)), high = f64Sqrt(load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** SQRTSD xmm, xmm/m64. */
export function sseSqrtsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u64>(regAddress(op), f64Sqrt(load<u64>(source)));
}
