/**
 * RCPPS, RCPSS, RSQRTPS and RSQRTSS: estimates with 12 bits. They heed no bit of MXCSR and raise nothing.
 *
 * The SDM bounds the relative error by 1.5 * 2^-12 and leaves the value open (processors differ). Here it is the exact value
 * rounded to 12 bits of significand, so powers of two come out exact. Denormal operands count as zeros, denormal results are zeros.
 */
import { source128, sourceUnaligned } from "./sse-access";
import { fourFloats } from "./sse-float";
import { bail, regAddress } from "./state";

const SIGN: u32 = 0x8000_0000;
const INFINITY_BITS: u32 = 0x7f80_0000;
const LEAST_NORMAL: u32 = 0x0080_0000;
const QUIET_BIT: u32 = 0x0040_0000;
const DEFAULT_NAN: u32 = 0xffc0_0000;
const DROPPED_BITS: u32 = 12;

/** `value` rounded to 12 bits of significand. */
// @ts-ignore: decorator
@inline function shorten(value: u32): u32 {
  return (value + (1 << (DROPPED_BITS - 1))) & ~((<u32>1 << DROPPED_BITS) - 1);
}

function reciprocal(value: u32): u32 {
  const sign = value & SIGN, magnitude = value & ~SIGN;
  if (magnitude > INFINITY_BITS) return value | QUIET_BIT;
  if (magnitude < LEAST_NORMAL) return sign | INFINITY_BITS;
  const result = shorten(reinterpret<u32>(<f32>1 / reinterpret<f32>(magnitude)));
  return result < LEAST_NORMAL ? sign : sign | result;
}

function reciprocalRoot(value: u32): u32 {
  const sign = value & SIGN, magnitude = value & ~SIGN;
  if (magnitude > INFINITY_BITS) return value | QUIET_BIT;
  if (magnitude < LEAST_NORMAL) return sign | INFINITY_BITS;
  if (sign != 0) return DEFAULT_NAN;
  if (magnitude == INFINITY_BITS) return 0;
  return shorten(reinterpret<u32>(f32(1 / sqrt<f64>(f64(reinterpret<f32>(value))))));
}

/** RCPPS xmm, xmm/m128. */
export function sseRcpps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const low0 = reciprocal(load<u32>(source)), low1 = reciprocal(load<u32>(source, 4));
  const high0 = reciprocal(load<u32>(source, 8)), high1 = reciprocal(load<u32>(source, 12));
  v128.store(regAddress(op), fourFloats(low0, low1, high0, high1));
  return 0;
}

/** RCPSS xmm, xmm/m32. */
export function sseRcpss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  store<u32>(regAddress(op), reciprocal(load<u32>(source)));
  return 0;
}

/** RSQRTPS xmm, xmm/m128. */
export function sseRsqrtps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const low0 = reciprocalRoot(load<u32>(source)), low1 = reciprocalRoot(load<u32>(source, 4));
  const high0 = reciprocalRoot(load<u32>(source, 8)), high1 = reciprocalRoot(load<u32>(source, 12));
  v128.store(regAddress(op), fourFloats(low0, low1, high0, high1));
  return 0;
}

/** RSQRTSS xmm, xmm/m32. */
export function sseRsqrtss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  store<u32>(regAddress(op), reciprocalRoot(load<u32>(source)));
  return 0;
}
