/** HADD, HSUB, ADDSUB, dot products and ROUND: the floating-point instructions of SSE3 and SSE4.1. */
import { source128, sourceUnaligned } from "./sse-access";
import { beginFloat, finishFloat, finishPacked, finishScalar, fourFloats, twoDoubles } from "./sse-float";
import { f32Add, f32Mul, f32Round, f32Sub, f64Add, f64Mul, f64Round, f64Sub, roundingMode } from "./softfloat";
import { bail, immediate, regAddress } from "./state";

// @ts-ignore: decorator
@inline function float(base: u32, n: u32): u32 { return load<u32>(base + (n << 2)); }
// @ts-ignore: decorator
@inline function double(base: u32, n: u32): u64 { return load<u64>(base + (n << 3)); }

/** HADDPS xmm, xmm/m128. */
export function sseHaddps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low0 = f32Add(float(target, 0), float(target, 1)), low1 = f32Add(float(target, 2), float(target, 3));
  const high0 = f32Add(float(source, 0), float(source, 1)), high1 = f32Add(float(source, 2), float(source, 3));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** HSUBPS xmm, xmm/m128. */
export function sseHsubps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low0 = f32Sub(float(target, 0), float(target, 1)), low1 = f32Sub(float(target, 2), float(target, 3));
  const high0 = f32Sub(float(source, 0), float(source, 1)), high1 = f32Sub(float(source, 2), float(source, 3));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** HADDPD xmm, xmm/m128. */
export function sseHaddpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low = f64Add(double(target, 0), double(target, 1)), high = f64Add(double(source, 0), double(source, 1));
  return finishPacked(target, twoDoubles(low, high));
}

/** HSUBPD xmm, xmm/m128. */
export function sseHsubpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low = f64Sub(double(target, 0), double(target, 1)), high = f64Sub(double(source, 0), double(source, 1));
  return finishPacked(target, twoDoubles(low, high));
}

/** ADDSUBPS xmm, xmm/m128: even lanes are subtracted, odd ones added. */
export function sseAddsubps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low0 = f32Sub(float(target, 0), float(source, 0)), low1 = f32Add(float(target, 1), float(source, 1));
  const high0 = f32Sub(float(target, 2), float(source, 2)), high1 = f32Add(float(target, 3), float(source, 3));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** ADDSUBPD xmm, xmm/m128: the low lane is subtracted, the high one added. */
export function sseAddsubpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  const low = f64Sub(double(target, 0), double(source, 0)), high = f64Add(double(target, 1), double(source, 1));
  return finishPacked(target, twoDoubles(low, high));
}

// ---------------------------------------------------------------------------------------------------- dot products

/** Product of lane `n` when bit 4 + n of `select` is set, else 0. */
function selectedProduct32(target: u32, source: u32, n: u32, select: u32): u32 {
  return ((select >> (4 + n)) & 1) != 0 ? f32Mul(float(target, n), float(source, n)) : 0;
}

/** Lane `n` of a dot product: the sum when bit `n` of `select` is set, else 0. */
// @ts-ignore: decorator
@inline function selectedSum32(select: u32, n: u32, own: u32, other: u32): u32 {
  return ((select >> n) & 1) != 0 ? f32Add(own, other) : 0;
}

/**
 * DPPS xmm, xmm/m128, imm8. Each step (products, pair sums, total) stops at an unmasked exception, as an operation of its own. The
 * lanes differ in the order of operands, as on processors; only a choice between two NaNs shows it.
 */
export function sseDpps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const select = u32(immediate(op));
  beginFloat();
  const product0 = selectedProduct32(target, source, 0, select), product1 = selectedProduct32(target, source, 1, select);
  const product2 = selectedProduct32(target, source, 2, select), product3 = selectedProduct32(target, source, 3, select);
  const afterProducts = finishFloat();
  if (afterProducts != 0) return afterProducts;
  const pair0 = f32Add(product0, product1), pair1 = f32Add(product1, product0);
  const pair2 = f32Add(product2, product3), pair3 = f32Add(product3, product2);
  const afterPairs = finishFloat();
  if (afterPairs != 0) return afterPairs;
  // The total raises its flags even where no lane takes it.
  f32Add(pair0, pair2);
  const low0 = selectedSum32(select, 0, pair1, pair3), low1 = selectedSum32(select, 1, pair0, pair2);
  const high0 = selectedSum32(select, 2, pair3, pair1), high1 = selectedSum32(select, 3, pair2, pair0);
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** DPPD xmm, xmm/m128, imm8; as sseDpps. */
export function sseDppd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const select = u32(immediate(op));
  beginFloat();
  const product0: u64 = (select & 0x10) != 0 ? f64Mul(double(target, 0), double(source, 0)) : 0;
  const product1: u64 = (select & 0x20) != 0 ? f64Mul(double(target, 1), double(source, 1)) : 0;
  const afterProducts = finishFloat();
  if (afterProducts != 0) return afterProducts;
  const low = f64Add(product0, product1), high = f64Add(product1, product0);
  return finishPacked(target, twoDoubles((select & 1) != 0 ? low : 0, (select & 2) != 0 ? high : 0));
}

// ---------------------------------------------------------------------------------------------------- ROUND

/** Rounding mode that the immediate of ROUND asks for; MXCSR's when bit 2 is set. */
// @ts-ignore: decorator
@inline function requestedMode(control: u32): u32 { return (control & 4) != 0 ? roundingMode : control & 3; }

// @ts-ignore: decorator
@inline function round32(value: u32, control: u32): u32 { return f32Round(value, requestedMode(control), (control & 8) != 0); }
// @ts-ignore: decorator
@inline function round64(value: u64, control: u32): u64 { return f64Round(value, requestedMode(control), (control & 8) != 0); }

/** ROUNDPS xmm, xmm/m128, imm8. */
export function sseRoundps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const control = u32(immediate(op));
  beginFloat();
  const low0 = round32(float(source, 0), control), low1 = round32(float(source, 1), control);
  const high0 = round32(float(source, 2), control), high1 = round32(float(source, 3), control);
  return finishPacked(regAddress(op), fourFloats(low0, low1, high0, high1));
}

/** ROUNDPD xmm, xmm/m128, imm8. */
export function sseRoundpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const control = u32(immediate(op));
  beginFloat();
  const low = round64(double(source, 0), control), high = round64(double(source, 1), control);
  return finishPacked(regAddress(op), twoDoubles(low, high));
}

/** ROUNDSS xmm, xmm/m32, imm8. */
export function sseRoundss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u32>(regAddress(op), round32(load<u32>(source), u32(immediate(op))));
}

/** ROUNDSD xmm, xmm/m64, imm8. */
export function sseRoundsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  beginFloat();
  return finishScalar<u64>(regAddress(op), round64(load<u64>(source), u32(immediate(op))));
}
