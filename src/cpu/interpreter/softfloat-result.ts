/** The result register R of the floating-point arithmetic (see softfloat-registers.ts), the rules for NaNs, and rounding to a format. */
import {
  FLOAT_INVALID, FLOAT_OVERFLOW, FLOAT_UNDERFLOW, FLOAT_INEXACT, ROUND_NEAREST, ROUND_DOWN, ROUND_UP, KIND_ZERO, KIND_FINITE, KIND_INFINITE,
  KIND_QUIET_NAN, KIND_SIGNALING_NAN, KIND_UNSUPPORTED, INTEGER_BIT, QUIET_BIT, ZERO_EXPONENT, raiseFloat, roundingMode, flushToZero,
  unmaskedExceptions, x87Rules, setRoundedUp, aSign, aKind, aExponent, aSignificand, bSign, bKind, bSignificand, setA,
} from "./softfloat-registers";
import { wideLow, shiftRightSticky } from "./softfloat-wide";

export let resultSign: u32 = 0;
export let resultKind: u32 = 0;
export let resultExponent: i32 = 0;
export let resultSignificand: u64 = 0;
export let resultExtra: u64 = 0;

/** A := R. */
// @ts-ignore: decorator
@inline export function moveResultToA(): void { setA(resultSign, resultKind, resultExponent, resultSignificand); }

/** R := a value with these parts; for KIND_FINITE normalised. */
// @ts-ignore: decorator
@inline export function setResult(sign: u32, kind: u32, exponent: i32, significand: u64, extra: u64): void {
  resultSign = sign; resultKind = kind; resultExponent = exponent; resultSignificand = significand; resultExtra = extra;
}

/** R := A. */
// @ts-ignore: decorator
@inline export function setResultToA(): void { setResult(aSign, aKind, aExponent, aSignificand, 0); }

/** Replaces the sign of R. */
// @ts-ignore: decorator
@inline export function setResultSign(sign: u32): void { resultSign = sign; }
/** Replaces the exponent of R. */
// @ts-ignore: decorator
@inline export function setResultExponent(exponent: i32): void { resultExponent = exponent; }

/** R := zero. */
// @ts-ignore: decorator
@inline export function setResultZero(sign: u32): void { setResult(sign, KIND_ZERO, ZERO_EXPONENT, 0, 0); }
/** R := infinity. */
// @ts-ignore: decorator
@inline export function setResultInfinite(sign: u32): void { setResult(sign, KIND_INFINITE, 0, INTEGER_BIT, 0); }

/** R := the default NaN ("real indefinite"), with FLOAT_INVALID. */
export function setResultInvalid(): void {
  raiseFloat(FLOAT_INVALID);
  setResult(1, KIND_QUIET_NAN, 0, INTEGER_BIT | QUIET_BIT, 0);
}

/** Answers whether A is a NaN or unsupported; R is then the answer of an operation with this one operand. */
export function propagateNan(): bool {
  if (aKind < KIND_QUIET_NAN) return false;
  if (aKind == KIND_UNSUPPORTED) { setResultInvalid(); return true; }
  if (aKind == KIND_SIGNALING_NAN) raiseFloat(FLOAT_INVALID);
  setResult(aSign, KIND_QUIET_NAN, 0, aSignificand | QUIET_BIT, 0);
  return true;
}

/** Answers whether A or B is a NaN or unsupported; R is then the answer of the operation (SDM vol 1 table 4-7). */
export function propagateNans(): bool {
  if (aKind < KIND_QUIET_NAN && bKind < KIND_QUIET_NAN) return false;
  if (aKind == KIND_UNSUPPORTED || bKind == KIND_UNSUPPORTED) { setResultInvalid(); return true; }
  if (aKind == KIND_SIGNALING_NAN || bKind == KIND_SIGNALING_NAN) raiseFloat(FLOAT_INVALID);
  if (choosesA()) setResult(aSign, KIND_QUIET_NAN, 0, aSignificand | QUIET_BIT, 0);
  else setResult(bSign, KIND_QUIET_NAN, 0, bSignificand | QUIET_BIT, 0);
  return true;
}

function choosesA(): bool {
  if (bKind < KIND_QUIET_NAN) return true;
  if (aKind < KIND_QUIET_NAN) return false;
  if (!x87Rules) return true;
  if (aKind != bKind) return aKind == KIND_QUIET_NAN;
  if (aSignificand != bSignificand) return aSignificand > bSignificand;
  return aSign <= bSign;
}

/** Whether a magnitude is to be raised by one unit: `rest` is what is cut off, its half at bit 63, and not 0. */
export function roundsUp(mode: u32, sign: u32, odd: bool, rest: u64): bool {
  switch (mode) {
    case ROUND_NEAREST: return rest > INTEGER_BIT || (rest == INTEGER_BIT && odd);
    case ROUND_DOWN: return sign != 0;
    case ROUND_UP: return sign == 0;
    default: return false;
  }
}

/**
 * What an unmasked overflow or underflow of x87 takes off or adds to the exponent (SDM vol 1 §8.5.4). With SSE it happens too, but no result is
 * delivered then, nor by x87 to memory.
 */
const WRAP: i32 = 24576;

/** Rounds resultSignificand to `bits` (64 or fewer), ignoring the range of the exponent. Answers whether it was inexact. */
function roundSignificand(bits: u32): bool {
  const drop = 64 - bits;
  const rest = drop == 0 ? resultExtra : (resultSignificand << bits) | u64(resultExtra != 0);
  setRoundedUp(0);
  resultExtra = 0;
  if (rest == 0) return false;
  let kept = (resultSignificand >> drop) << drop;
  if (roundsUp(roundingMode, resultSign, ((kept >> drop) & 1) != 0, rest)) {
    setRoundedUp(1);
    kept += (<u64>1) << drop;
    if (kept == 0) { kept = INTEGER_BIT; resultExponent += 1; }
  }
  resultSignificand = kept;
  return true;
}

/**
 * Rounds a finite R to `bits` of significand and to exponents minimum .. maximum (biased by 16383), and raises overflow, underflow and
 * inexact. Afterwards R is normal, or denormal (bit 63 of the significand clear, exponent = minimum; perhaps 0), or KIND_INFINITE.
 */
export function roundResult(bits: u32, minimum: i32, maximum: i32): void {
  if (resultExponent < minimum) { roundSmall(bits, minimum); return; }
  const inexact = roundSignificand(bits);
  if (resultExponent > maximum) overflow(bits, maximum, inexact);
  else if (inexact) raiseFloat(FLOAT_INEXACT);
}

function overflow(bits: u32, maximum: i32, inexact: bool): void {
  raiseFloat(FLOAT_OVERFLOW);
  if ((unmaskedExceptions & FLOAT_OVERFLOW) != 0) {
    if (inexact) raiseFloat(FLOAT_INEXACT);
    resultExponent -= WRAP;
    if (resultExponent <= maximum) return;
    setRoundedUp(1);
    raiseFloat(FLOAT_INEXACT);
    setResultInfinite(resultSign);
    return;
  }
  raiseFloat(FLOAT_INEXACT);
  if (roundsUp(roundingMode, resultSign, true, INTEGER_BIT)) {
    setRoundedUp(1);
    setResultInfinite(resultSign);
    return;
  }
  setRoundedUp(0);
  resultExponent = maximum;
  resultSignificand = u64(-1) << (64 - bits);
}

/** Whether R, whose exponent is below `minimum`, is still below the least normal number when rounded to `bits` without a bound on the exponent. */
function isTiny(bits: u32, minimum: i32): bool {
  if (resultExponent < minimum - 1) return true;
  const significand = resultSignificand, extra = resultExtra;
  roundSignificand(bits);
  const tiny = resultExponent < minimum;
  resultExponent = minimum - 1;
  resultSignificand = significand;
  resultExtra = extra;
  return tiny;
}

function roundSmall(bits: u32, minimum: i32): void {
  const tiny = isTiny(bits, minimum);
  if (tiny && (unmaskedExceptions & FLOAT_UNDERFLOW) != 0) {
    raiseFloat(FLOAT_UNDERFLOW);
    if (roundSignificand(bits)) raiseFloat(FLOAT_INEXACT);
    resultExponent += WRAP;
    if (resultExponent >= minimum) return;
    setRoundedUp(0);
    raiseFloat(FLOAT_INEXACT);
    setResultZero(resultSign);
    return;
  }
  if (tiny && flushToZero) {
    raiseFloat(FLOAT_UNDERFLOW | FLOAT_INEXACT);
    setResultZero(resultSign);
    return;
  }
  denormalise(u32(minimum - resultExponent));
  resultExponent = minimum;
  if (roundSignificand(bits)) raiseFloat(FLOAT_INEXACT | (tiny ? FLOAT_UNDERFLOW : 0));
}

/** Shifts the significand of R right by `count` >= 1 places, what falls out stays sticky. */
function denormalise(count: u32): void {
  const lost = resultExtra != 0;
  if (count < 64) {
    resultExtra = (resultExtra >> count) | (resultSignificand << (64 - count)) | u64(lost);
    resultSignificand >>= count;
    return;
  }
  shiftRightSticky(resultSignificand, count);
  resultExtra = wideLow | u64(lost);
  resultSignificand = 0;
}
