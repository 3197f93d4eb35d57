/**
 * The frame of every SSE floating-point instruction: MXCSR before and after, and when the host's own arithmetic may be used.
 *
 * Between beginFloat and finishFloat lie calls of softfloat.ts only; the destination is written after finishFloat has answered 0.
 * The host computes directly when the mode is round to nearest and an inexact result needs no notice (precision
 * exception masked and its flag set already), as long as operands and result show that no other flag can arise:
 *
 *   ordinary   zero or normal; no NaN, infinity or denormal
 *   safe       normal and not the least normal, so that no underflow was rounded away
 *
 * Text followed: Intel SDM vol 1 §10.2.3 (MXCSR), §11.5 (exceptions), vol 3 §2.5 (CR4.OSXMMEXCPT).
 */
import * as L from "./generated/layout";
import { FLOAT_DENORMAL, FLOAT_DIVIDE_BY_ZERO, FLOAT_INEXACT, FLOAT_INVALID, beginSse, exceptionFlags, setExceptionFlags } from "./softfloat";
import { cpu, raise, VECTOR_UD, VECTOR_XM } from "./state";

const CR4_OSXMMEXCPT: u64 = 0x400;
const MXCSR_MASK_SHIFT: u32 = 7;
const MXCSR_PRECISION_MASK: u32 = 0x1000;
const MXCSR_ROUNDING: u32 = 0x6000;
const FLOAT_ALL: u32 = 0x3f;
/** Exceptions that are found before anything is computed: unmasked, they keep the other flags from being set. */
const FLOAT_EARLY: u32 = FLOAT_INVALID | FLOAT_DENORMAL | FLOAT_DIVIDE_BY_ZERO;

/** Whether rounding is to nearest and an inexact result changes nothing in MXCSR. */
// @ts-ignore: decorator
@inline export function nativeAllowed(): bool {
  return (load<u32>(cpu + L.VCPU_mxcsr) & (MXCSR_ROUNDING | MXCSR_PRECISION_MASK | FLOAT_INEXACT)) == (MXCSR_PRECISION_MASK | FLOAT_INEXACT);
}

/** Readies softfloat for one instruction. */
export function beginFloat(): void {
  const mxcsr = load<u32>(cpu + L.VCPU_mxcsr);
  beginSse(mxcsr);
  setExceptionFlags((mxcsr & MXCSR_PRECISION_MASK) != 0 ? mxcsr & FLOAT_INEXACT : 0);
}

/** Merges the flags of one instruction into MXCSR. 0, or the code to return when an unmasked exception arose. */
export function finishFloat(): i32 {
  const address = cpu + L.VCPU_mxcsr;
  const mxcsr = load<u32>(address);
  let flags = exceptionFlags;
  const unmasked = ~(mxcsr >> MXCSR_MASK_SHIFT) & FLOAT_ALL;
  if ((flags & unmasked & FLOAT_EARLY) != 0) flags &= FLOAT_EARLY;
  store<u32>(address, mxcsr | flags);
  if ((flags & unmasked) == 0) return 0;
  return raise((load<u64>(cpu + L.VCPU_cr4) & CR4_OSXMMEXCPT) != 0 ? VECTOR_XM : VECTOR_UD);
}

/** finishFloat, and the result to `target` when all is well. */
// @ts-ignore: decorator
@inline export function finishScalar<T>(target: u32, value: T): i32 {
  const refused = finishFloat();
  if (refused == 0) store<T>(target, value);
  return refused;
}

/** As finishScalar, for a whole register. */
export function finishPacked(target: u32, value: v128): i32 {
  const refused = finishFloat();
  if (refused == 0) v128.store(target, value);
  return refused;
}

/** Four floats as one vector. */
// @ts-ignore: decorator
@inline export function fourFloats(a: u32, b: u32, c: u32, d: u32): v128 {
  return i64x2.replace_lane(i64x2.splat(i64(u64(a) | (u64(b) << 32))), 1, i64(u64(c) | (u64(d) << 32)));
}

/** Two doubles as one vector. */
// @ts-ignore: decorator
@inline export function twoDoubles(a: u64, b: u64): v128 { return i64x2.replace_lane(i64x2.splat(i64(a)), 1, i64(b)); }

// @ts-ignore: decorator
@inline function magnitude32(v: v128): v128 { return v128.and(v, i32x4.splat(0x7fff_ffff)); }
// @ts-ignore: decorator
@inline function magnitude64(v: v128): v128 { return v128.and(v, i64x2.splat(0x7fff_ffff_ffff_ffff)); }

/** Lanes of floats that are zero. */
// @ts-ignore: decorator
@inline export function zero32(v: v128): v128 { return i32x4.eq(magnitude32(v), i32x4.splat(0)); }
/** Lanes of doubles that are zero. */
// @ts-ignore: decorator
@inline export function zero64(v: v128): v128 { return i64x2.eq(magnitude64(v), i64x2.splat(0)); }

/** Lanes of floats that are normal. */
// @ts-ignore: decorator
@inline export function normal32(v: v128): v128 { return i32x4.lt_u(i32x4.sub(magnitude32(v), i32x4.splat(0x0080_0000)), i32x4.splat(0x7f00_0000)); }
/** Lanes of doubles that are normal. */
// @ts-ignore: decorator
@inline export function normal64(v: v128): v128 {
  const magnitude = magnitude64(v);
  return v128.and(i64x2.gt_s(magnitude, i64x2.splat(0x000f_ffff_ffff_ffff)), i64x2.lt_s(magnitude, i64x2.splat(0x7ff0_0000_0000_0000)));
}

/** Lanes of floats that are normal and above the least normal. */
// @ts-ignore: decorator
@inline export function safe32(v: v128): v128 { return i32x4.lt_u(i32x4.sub(magnitude32(v), i32x4.splat(0x0080_0001)), i32x4.splat(0x7eff_ffff)); }
/** Lanes of doubles that are normal and above the least normal. */
// @ts-ignore: decorator
@inline export function safe64(v: v128): v128 {
  const magnitude = magnitude64(v);
  return v128.and(i64x2.gt_s(magnitude, i64x2.splat(0x0010_0000_0000_0000)), i64x2.lt_s(magnitude, i64x2.splat(0x7ff0_0000_0000_0000)));
}

/** Lanes of floats that are zero or normal. */
// @ts-ignore: decorator
@inline export function ordinary32(v: v128): v128 { return v128.or(zero32(v), normal32(v)); }
/** Lanes of doubles that are zero or normal. */
// @ts-ignore: decorator
@inline export function ordinary64(v: v128): v128 { return v128.or(zero64(v), normal64(v)); }

/** Whether a float is normal and above the least normal. */
// @ts-ignore: decorator
@inline export function isSafe32(value: u32): bool { return (value & 0x7fff_ffff) - 0x0080_0001 < 0x7eff_ffff; }
/** Whether a double is normal and above the least normal. */
// @ts-ignore: decorator
@inline export function isSafe64(value: u64): bool { return (value & 0x7fff_ffff_ffff_ffff) - 0x0010_0000_0000_0001 < 0x7fdf_ffff_ffff_ffff; }

/** Whether a float is zero or isSafe32: comparing two such raises nothing. */
// @ts-ignore: decorator
@inline export function isOrdinary32(value: u32): bool { return isSafe32(value) || (value & 0x7fff_ffff) == 0; }
/** Whether a double is zero or isSafe64: comparing two such raises nothing. */
// @ts-ignore: decorator
@inline export function isOrdinary64(value: u64): bool { return isSafe64(value) || (value & 0x7fff_ffff_ffff_ffff) == 0; }
