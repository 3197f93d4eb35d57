/** Rounding of A to integers, after Intel SDM vol 1 §4.8.4 (see softfloat-registers.ts). */
import {
  FLOAT_INVALID, FLOAT_INEXACT, KIND_ZERO, KIND_FINITE, KIND_INFINITE, EXTENDED_BIAS, raiseFloat, roundedUp, setRoundedUp, aSign, aKind,
  aExponent, aSignificand,
} from "./softfloat-registers";
import { setResult, setResultToA, setResultZero, propagateNan, roundsUp } from "./softfloat-result";

/** What `integerOfA` cut off, its half at bit 63. */
export let integerRest: u64 = 0;

/** |A| for a finite A below 2^64, rounded to an integer by `mode`; sets integerRest and roundedUp, raises nothing. */
export function integerOfA(mode: u32): u64 {
  const exponent = aExponent - EXTENDED_BIAS;
  setRoundedUp(0);
  integerRest = 0;
  if (aKind == KIND_ZERO) return 0;
  if (exponent >= 63) return aSignificand;
  let whole: u64 = 0;
  if (exponent < 0) integerRest = exponent == -1 ? aSignificand : 1;
  else {
    whole = aSignificand >> u64(63 - exponent);
    integerRest = aSignificand << u64(exponent + 1);
  }
  if (integerRest != 0 && roundsUp(mode, aSign, (whole & 1) != 0, integerRest)) {
    setRoundedUp(1);
    whole += 1;
  }
  return whole;
}

/** A as a signed integer of `bits` (16, 32, 64), rounded by `mode`; what does not fit is FLOAT_INVALID and the most negative one. */
export function integerFromA(mode: u32, bits: u32): i64 {
  const limit = (<u64>1) << u64(bits - 1);
  if (aKind < KIND_INFINITE && aExponent < EXTENDED_BIAS + 64) {
    const magnitude = integerOfA(mode);
    if (magnitude < limit || (magnitude == limit && aSign != 0)) {
      if (integerRest != 0) raiseFloat(FLOAT_INEXACT);
      return aSign != 0 ? -i64(magnitude) : i64(magnitude);
    }
  }
  setRoundedUp(0);
  raiseFloat(FLOAT_INVALID);
  return -i64(limit);
}

/** R := A rounded to an integral value by `mode`. Raises FLOAT_INVALID for a signaling NaN, and FLOAT_INEXACT unless suppressed. */
export function roundAToIntegral(mode: u32, inexactSuppressed: bool): void {
  if (propagateNan()) return;
  if (aKind == KIND_INFINITE || aExponent >= EXTENDED_BIAS + 63) { setResultToA(); return; }
  const whole = integerOfA(mode);
  if (integerRest != 0 && !inexactSuppressed) raiseFloat(FLOAT_INEXACT);
  if (whole == 0) { setResultZero(aSign); return; }
  const shift = clz<u64>(whole);
  setResult(aSign, KIND_FINITE, EXTENDED_BIAS + 63 - i32(shift), whole << shift, 0);
}
