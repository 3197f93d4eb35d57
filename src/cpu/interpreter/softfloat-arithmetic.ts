/** Add, subtract, multiply, divide and square root on the registers A and B, unrounded into R (see softfloat-registers.ts). */
import {
  FLOAT_DIVIDE_BY_ZERO, ROUND_DOWN, KIND_ZERO, KIND_FINITE, KIND_INFINITE, KIND_QUIET_NAN, EXTENDED_BIAS, INTEGER_BIT, raiseFloat,
  roundingMode, aSign, aKind, aExponent, aSignificand, bSign, bKind, bExponent, bSignificand, setBSign, swapOperands, raiseDenormal,
} from "./softfloat-registers";
import { setResult, setResultZero, setResultInfinite, setResultInvalid, propagateNan, propagateNans } from "./softfloat-result";
import { wideLow, shiftRightSticky, multiplyWide, divideWide, rootWide } from "./softfloat-wide";

/** R := A + B. */
export function addOperands(): void {
  if (propagateNans()) return;
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) {
    if (aKind == bKind && aSign != bSign) { setResultInvalid(); return; }
    raiseDenormal();
    setResultInfinite(aKind == KIND_INFINITE ? aSign : bSign);
    return;
  }
  raiseDenormal();
  if (aSign == bSign) addMagnitudes();
  else subtractMagnitudes();
}

/** R := A - B. A NaN of B keeps its sign. */
export function subtractOperands(): void {
  if (bKind < KIND_QUIET_NAN) setBSign(bSign ^ 1);
  addOperands();
}

function addMagnitudes(): void {
  if (aExponent < bExponent) swapOperands();
  const low = shiftRightSticky(bSignificand, u32(aExponent - bExponent));
  const sum = aSignificand + low;
  if (sum < low) {
    setResult(aSign, KIND_FINITE, aExponent + 1, (sum >> 1) | INTEGER_BIT, (wideLow >> 1) | (wideLow & 1) | (sum << 63));
  } else if (sum == 0) setResultZero(aSign);
  else setResult(aSign, KIND_FINITE, aExponent, sum, wideLow);
}

function subtractMagnitudes(): void {
  if (aExponent < bExponent || (aExponent == bExponent && aSignificand < bSignificand)) swapOperands();
  const low = shiftRightSticky(bSignificand, u32(aExponent - bExponent));
  let high = aSignificand - low - u64(wideLow != 0);
  let extra: u64 = 0 - wideLow;
  if ((high | extra) == 0) { setResultZero(u32(roundingMode == ROUND_DOWN)); return; }
  let exponent = aExponent;
  if (high == 0) { high = extra; extra = 0; exponent -= 64; }
  const shift = clz<u64>(high);
  if (shift != 0) {
    high = (high << shift) | (extra >> (64 - shift));
    extra <<= shift;
    exponent -= i32(shift);
  }
  setResult(aSign, KIND_FINITE, exponent, high, extra);
}

/** R := A * B. */
export function multiplyOperands(): void {
  if (propagateNans()) return;
  const sign = aSign ^ bSign;
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) {
    if (aKind == KIND_ZERO || bKind == KIND_ZERO) { setResultInvalid(); return; }
    raiseDenormal();
    setResultInfinite(sign);
    return;
  }
  raiseDenormal();
  if (aKind == KIND_ZERO || bKind == KIND_ZERO) { setResultZero(sign); return; }
  const high = multiplyWide(aSignificand, bSignificand);
  const exponent = aExponent + bExponent - EXTENDED_BIAS;
  if (i64(high) < 0) setResult(sign, KIND_FINITE, exponent + 1, high, wideLow);
  else setResult(sign, KIND_FINITE, exponent, (high << 1) | (wideLow >> 63), wideLow << 1);
}

/** R := A / B. */
export function divideOperands(): void {
  if (propagateNans()) return;
  const sign = aSign ^ bSign;
  if (aKind == KIND_INFINITE) {
    if (bKind == KIND_INFINITE) { setResultInvalid(); return; }
    raiseDenormal();
    setResultInfinite(sign);
    return;
  }
  if (bKind == KIND_ZERO) {
    if (aKind == KIND_ZERO) { setResultInvalid(); return; }
    raiseFloat(FLOAT_DIVIDE_BY_ZERO);
    setResultInfinite(sign);
    return;
  }
  raiseDenormal();
  if (bKind == KIND_INFINITE || aKind == KIND_ZERO) { setResultZero(sign); return; }
  divideFinite(sign);
}

function divideFinite(sign: u32): void {
  let exponent = aExponent - bExponent + EXTENDED_BIAS;
  let high = aSignificand;
  let low: u64 = 0;
  if (high >= bSignificand) { low = high << 63; high >>= 1; } else exponent -= 1;
  const quotient = divideWide(high, low, bSignificand);
  const rest = wideLow;
  const half = i64(rest) < 0 || (rest << 1) >= bSignificand;
  setResult(sign, KIND_FINITE, exponent, quotient, rest == 0 ? 0 : half ? INTEGER_BIT | u64((rest << 1) != bSignificand) : 1);
}

/** R := square root of A. */
export function squareRootOperand(): void {
  if (propagateNan()) return;
  if (aKind == KIND_ZERO) { setResultZero(aSign); return; }
  if (aSign != 0) { setResultInvalid(); return; }
  raiseDenormal();
  if (aKind == KIND_INFINITE) { setResultInfinite(0); return; }
  const exponent = aExponent - EXTENDED_BIAS;
  const odd = (exponent & 1) != 0;
  const root = rootWide(odd ? aSignificand : aSignificand >> 1, odd ? 0 : aSignificand << 63);
  setResult(0, KIND_FINITE, (exponent >> 1) + EXTENDED_BIAS, root, wideLow);
}
