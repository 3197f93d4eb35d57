/** F2XM1, FYL2X, FYL2XP1 (Intel SDM vol 1 §8.3.9), computed in double-double and rounded once. */
import {
  FLOAT_DIVIDE_BY_ZERO, FLOAT_UNDERFLOW, FLOAT_INEXACT, KIND_ZERO, KIND_FINITE, KIND_INFINITE, EXTENDED_BIAS, INTEGER_BIT, raiseFloat, aSign,
  aKind, aExponent, aSignificand, bSign, bKind, bExponent, bSignificand, raiseDenormal,
} from "./softfloat-registers";
import { setResult, setResultToA, setResultZero, setResultInfinite, setResultInvalid, propagateNan, propagateNans } from "./softfloat-result";
import { low, addDouble, multiplyDouble, timesLn2, timesLog2e, exponentialDouble, logarithmDouble, logarithmNearOne } from "./x87-double-double";
import { isEmpty, beginRegister, unpackStack, packExtended, stackUnderflow, commit, storePacked } from "./x87-state";
import { upperPart, lowerPart, power, setResultFromDouble, finishPopped, beginPair } from "./x87-double-result";

/** Below 2^-100 only the first term of a series counts, and it is scaled apart lest it leave the range of a double. */
const TINY_ARGUMENT: i32 = EXTENDED_BIAS - 100;

/** R := 2^A - 1 for |A| <= 1. */
function exponentialOfA(): void {
  if (propagateNan()) return;
  if (aKind == KIND_INFINITE) {
    if (aSign != 0) setResult(1, KIND_FINITE, EXTENDED_BIAS, INTEGER_BIT, 0);
    else setResultToA();
    return;
  }
  raiseDenormal();
  if (aKind == KIND_ZERO) { setResultZero(aSign); return; }
  const exponent = aExponent - EXTENDED_BIAS;
  if (exponent >= 0) { exponentialAtEdge(); return; }
  const small = aExponent < TINY_ARGUMENT;
  const unit = (small ? 1.0 : power(exponent)) * (aSign != 0 ? -1.0 : 1.0);
  const high = upperPart(aSignificand) * unit, lower = lowerPart(aSignificand) * unit;
  const value = small ? timesLn2(high, lower) : exponentialDouble(high, lower);
  setResultFromDouble(value, low, small ? exponent : 0, 0);
}

/** Exact at 1 and -1; beyond, where the instruction is undefined, A stays. Processors call even that inexact. */
function exponentialAtEdge(): void {
  raiseFloat(FLOAT_INEXACT);
  if (aExponent != EXTENDED_BIAS || aSignificand != INTEGER_BIT) { setResultToA(); return; }
  setResult(aSign, KIND_FINITE, aSign != 0 ? EXTENDED_BIAS - 1 : EXTENDED_BIAS, INTEGER_BIT, 0);
}

/** F2XM1. */
export function f2xm1(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackStack(0);
    exponentialOfA();
    packExtended(64);
  }
  if (commit(op)) storePacked(0);
  return 0;
}

/** R := B * (high + low) * 2^exponent. */
function multiplyByB(high: f64, exponent: i32): void {
  const value = multiplyDouble(high, low, upperPart(bSignificand), lowerPart(bSignificand));
  setResultFromDouble(value, low, exponent + bExponent - EXTENDED_BIAS, bSign);
}

/** R := infinity or, if `zero`, zero, of the sign of B, flipped if the logarithm is negative. */
function setLogarithmLimit(negative: u32, zero: bool): void {
  if (zero) setResultZero(bSign ^ negative);
  else setResultInfinite(bSign ^ negative);
}

/** R := B * log2(A). */
function logarithmOfA(): void {
  if (propagateNans()) return;
  if (aKind == KIND_ZERO) { logarithmOfZero(); return; }
  if (aSign != 0) { setResultInvalid(); return; }
  if (aKind == KIND_INFINITE) {
    if (bKind == KIND_ZERO) { setResultInvalid(); return; }
    raiseDenormal();
    setLogarithmLimit(0, false);
    return;
  }
  const isOne = aExponent == EXTENDED_BIAS && aSignificand == INTEGER_BIT;
  if (bKind == KIND_INFINITE && isOne) { setResultInvalid(); return; }
  raiseDenormal();
  const negative = u32(aExponent < EXTENDED_BIAS);
  if (bKind != KIND_FINITE || isOne) { setLogarithmLimit(negative, bKind != KIND_INFINITE); return; }
  if (aSignificand == INTEGER_BIT) { multiplyBByInteger(aExponent - EXTENDED_BIAS); return; }
  multiplyByB(logarithmDouble(upperPart(aSignificand), lowerPart(aSignificand), aExponent - EXTENDED_BIAS), 0);
}

function logarithmOfZero(): void {
  if (bKind == KIND_ZERO) { setResultInvalid(); return; }
  if (bKind == KIND_FINITE) raiseFloat(FLOAT_DIVIDE_BY_ZERO);
  setLogarithmLimit(1, false);
}

/** R := B * n, exactly: the logarithm of a power of two. Processors call even that inexact. */
function multiplyBByInteger(n: i32): void {
  raiseFloat(FLOAT_INEXACT);
  const negative = u32(n < 0);
  const magnitude = u64(abs(n));
  const productHigh = (bSignificand >> 32) * magnitude, productLow = (bSignificand & 0xffff_ffff) * magnitude;
  // The product has at most 79 bits: high part counts 2^32.
  const upper = (productHigh >> 32) + u64(((productHigh & 0xffff_ffff) + (productLow >> 32)) >> 32);
  const rest = (productHigh << 32) + productLow;
  let exponent = bExponent, significand = rest, extra: u64 = 0;
  if (upper != 0) {
    const shift = clz<u64>(upper);
    significand = (upper << shift) | (rest >> (64 - shift));
    extra = rest << shift;
    exponent += i32(64 - shift);
  }
  setResult(bSign ^ negative, KIND_FINITE, exponent, significand, extra);
  if (exponent < 1) raiseFloat(FLOAT_UNDERFLOW);
}

/** R := B * log2(A + 1). */
function logarithmOfAPlusOne(): void {
  if (propagateNans()) return;
  if (aKind == KIND_INFINITE) {
    if (aSign != 0 || bKind == KIND_ZERO) { setResultInvalid(); return; }
    raiseDenormal();
    setLogarithmLimit(0, false);
    return;
  }
  if (aKind == KIND_ZERO && bKind == KIND_INFINITE) { setResultInvalid(); return; }
  raiseDenormal();
  if (aKind == KIND_ZERO || bKind == KIND_ZERO) { setLogarithmLimit(aSign, true); return; }
  if (bKind == KIND_INFINITE) { setLogarithmLimit(aSign, false); return; }
  finiteLogarithmPlusOne();
}

function finiteLogarithmPlusOne(): void {
  const exponent = aExponent - EXTENDED_BIAS;
  const sign: f64 = aSign != 0 ? -1 : 1;
  let high = upperPart(aSignificand) * sign, lower = lowerPart(aSignificand) * sign;
  if (aExponent < TINY_ARGUMENT) { multiplyByB(timesLog2e(high, lower), exponent); return; }
  if (exponent >= 0) { logarithmPlusOneOutside(high, lower, exponent); return; }
  high *= power(exponent);
  lower *= power(exponent);
  if (high >= -0.29289 && high <= 0.41422) { multiplyByB(logarithmNearOne(high, lower), 0); return; }
  logarithmPlusOneOutside(high, lower, 0);
}

/** Where the instruction is undefined: still the logarithm for what is above -1, and A below. */
function logarithmPlusOneOutside(high: f64, lower: f64, exponent: i32): void {
  if (high < 0 && aExponent >= EXTENDED_BIAS) {
    raiseFloat(FLOAT_INEXACT);
    setResultToA();
    return;
  }
  if (exponent > 120) { multiplyByB(logarithmDouble(high, lower, exponent), 0); return; }
  const unit = power(exponent);
  const sum = addDouble(1, 0, high * unit, lower * unit), sumLow = low;
  const sumExponent = i32(reinterpret<u64>(sum) >> 52) - 1023;
  const down = power(-sumExponent);
  multiplyByB(logarithmDouble(sum * down, sumLow * down, sumExponent), 0);
}

/** FYL2X. */
export function fyl2x(op: u32): i32 {
  const begun = beginPair(op);
  if (begun > 0) return begun;
  if (begun == 0) {
    logarithmOfA();
    packExtended(64);
  }
  return finishPopped(op);
}

/** FYL2XP1. */
export function fyl2xp1(op: u32): i32 {
  const begun = beginPair(op);
  if (begun > 0) return begun;
  if (begun == 0) {
    logarithmOfAPlusOne();
    packExtended(64);
  }
  return finishPopped(op);
}
