/** Between the 80-bit values of x87 and the double-doubles in which its transcendental instructions compute. */
import { KIND_FINITE, EXTENDED_BIAS, moveAToB } from "./softfloat-registers";
import { setResult } from "./softfloat-result";
import { isEmpty, beginRegister, unpackStack, stackUnderflow, commit, storePacked, pop } from "./x87-state";

/** 2^-11 * a 64-bit significand as the two parts of a double-double, 1 <= value < 2. */
// @ts-ignore: decorator
@inline export function upperPart(significand: u64): f64 { return f64(significand >> 11) * 2.220446049250313e-16; }
/** As upperPart, its second half. */
// @ts-ignore: decorator
@inline export function lowerPart(significand: u64): f64 { return f64(significand & 0x7ff) * 1.0842021724855044e-19; }

/** 2^exponent for -1022 <= exponent <= 1023. */
// @ts-ignore: decorator
@inline export function power(exponent: i32): f64 { return reinterpret<f64>(u64(exponent + 1023) << 52); }

/** R := (high + lower) * 2^exponent with `sign` flipped in, marked as inexact. high is not 0 and of moderate exponent. */
export function setResultFromDouble(high: f64, lower: f64, exponent: i32, sign: u32): void {
  if (high < 0) { high = -high; lower = -lower; sign ^= 1; }
  const bits = reinterpret<u64>(high);
  const highExponent = i32(bits >> 52) - 1023;
  let significand = ((bits & 0xf_ffff_ffff_ffff) | 0x10_0000_0000_0000) << 11;
  // |lower| is at most half a unit of the last place of high: below 2^11 in units of bit 0 of the significand.
  const scaled = lower * power(63 - highExponent);
  const whole = floor<f64>(scaled);
  significand += u64(i64(whole));
  const fraction = scaled - whole;
  let extra = fraction >= 1 ? ~(<u64>0) : u64(fraction * 9223372036854775808.0) << 1;
  let biased = highExponent + exponent + EXTENDED_BIAS;
  if (i64(significand) >= 0) {
    significand = (significand << 1) | (extra >> 63);
    extra <<= 1;
    biased -= 1;
  }
  setResult(sign, KIND_FINITE, biased, significand, extra | 1);
}

/** ST(1) := packed, pop. */
export function finishPopped(op: u32): i32 {
  if (commit(op)) {
    storePacked(1);
    pop();
  }
  return 0;
}

/** Begins an instruction of ST(0) as A and ST(1) as B that replaces both. 0 to go on; -1 after a stack fault, packed; else the code to return. */
export function beginPair(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0) || isEmpty(1)) { stackUnderflow(); return -1; }
  unpackStack(1);
  moveAToB();
  unpackStack(0);
  return 0;
}
