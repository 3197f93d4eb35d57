/**
 * FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1 (Intel SDM vol 1 §8.3.7 to §8.3.10), computed in double-double and rounded once.
 * Angles are reduced by the 66 bits of pi that the processors use, exactly.
 */
import {
  EXTENDED_BIAS, FLOAT_DIVIDE_BY_ZERO, INTEGER_BIT, KIND_FINITE, KIND_INFINITE, KIND_ZERO, aExponent, aKind, aSign, aSignificand, bExponent, bKind, bSign,
  bSignificand, moveAToB, raiseDenormal, raiseFloat, swapOperands,
} from "./softfloat-registers";
import {
  propagateNan, propagateNans, resultExponent, resultExtra, resultSignificand, setResult, setResultInfinite, setResultInvalid, setResultToA, setResultZero,
} from "./softfloat-result";
import { divideOperands } from "./softfloat-arithmetic";
import {
  PI_HIGH, PI_LOW, addDouble, arcTangentDouble, cosineDouble, divideDouble, exponentialDouble, logarithmDouble, logarithmNearOne, low, multiplyDouble,
  sineDouble, timesLn2, timesLog2e,
} from "./x87-double-double";
import {
  STATUS_C1, STATUS_C2, beginRegister, commit, isEmpty, packExtended, pop, pushPacked, setPacked, setStatus, stackOverflow, stackUnderflow, status, storePacked,
  unpackStack,
} from "./x87-state";

/** 2^-11 * a 64-bit significand as the two parts of a double-double, 1 <= value < 2. */
// @ts-ignore: decorator
@inline function upperPart(significand: u64): f64 { return f64(significand >> 11) * 2.220446049250313e-16; }
// @ts-ignore: decorator
@inline function lowerPart(significand: u64): f64 { return f64(significand & 0x7ff) * 1.0842021724855044e-19; }

/** 2^exponent for -1022 <= exponent <= 1023. */
// @ts-ignore: decorator
@inline function power(exponent: i32): f64 { return reinterpret<f64>(u64(exponent + 1023) << 52); }

/** R := (high + lower) * 2^exponent with `sign` flipped in, marked as inexact. high is not 0 and of moderate exponent. */
function setResultFromDouble(high: f64, lower: f64, exponent: i32, sign: u32): void {
  if (high < 0) { high = -high; lower = -lower; sign ^= 1; }
  const bits = reinterpret<u64>(high);
  const highExponent = i32(bits >> 52) - 1023;
  let significand = ((bits & 0xf_ffff_ffff_ffff) | 0x10_0000_0000_0000) << 11;
  // |lower| is at most half a unit of the last place of high: below 2^11 in units of bit 0 of the significand.
  const scaled = lower * power(63 - highExponent);
  const whole = floor<f64>(scaled);
  significand += u64(i64(whole));
  let extra = u64((scaled - whole) * 9223372036854775808.0) << 1;
  let resultExponent = highExponent + exponent + EXTENDED_BIAS;
  if (i64(significand) >= 0) {
    significand = (significand << 1) | (extra >> 63);
    extra <<= 1;
    resultExponent -= 1;
  }
  setResult(sign, KIND_FINITE, resultExponent, significand, extra | 1);
}

/** R := A moved by less than its last bit, away from or towards zero: what x (1 +- tiny) is before rounding. */
function setResultNextToA(outwards: bool): void {
  if (outwards) { setResult(aSign, KIND_FINITE, aExponent, aSignificand, 1); return; }
  if (aSignificand == INTEGER_BIT) setResult(aSign, KIND_FINITE, aExponent - 1, ~(<u64>0), ~(<u64>0));
  else setResult(aSign, KIND_FINITE, aExponent, aSignificand - 1, ~(<u64>0));
}

/** The 66 bits of pi: PI_TOP * 2^64 + PI_REST = floor(pi * 2^64). */
const PI_TOP: u64 = 3;
const PI_REST: u64 = 0x243f_6a88_85a3_08d3;
/** Below 2^-34 sin x, tan x and x round alike, but for the direction. */
const TINY_ANGLE: i32 = EXTENDED_BIAS - 34;

let angleHigh: f64 = 0;
let angleLow: f64 = 0;

/** |A| modulo pi / 2 into angleHigh + angleLow, -pi/4 .. pi/4. Answers the number of quarter turns taken off, modulo 2^64. |A| < 2^63. */
function reduceAngle(): u64 {
  const exponent = aExponent - EXTENDED_BIAS;
  if (exponent < -2) {
    angleHigh = upperPart(aSignificand) * power(exponent);
    angleLow = lowerPart(aSignificand) * power(exponent);
    return 0;
  }
  // In units of 2^-65 the angle is significand << (exponent + 2), and a quarter turn the 66 bits of pi.
  let top: u64 = 0, rest = aSignificand, turns: u64 = 0;
  for (let i = exponent + 2; i > 0; i--) {
    top = (top << 1) | (rest >> 63);
    rest <<= 1;
    turns <<= 1;
    if (top > PI_TOP || (top == PI_TOP && rest >= PI_REST)) {
      top -= PI_TOP + u64(rest < PI_REST);
      rest -= PI_REST;
      turns |= 1;
    }
  }
  const otherRest = PI_REST - rest, otherTop = PI_TOP - top - u64(PI_REST < rest);
  const nearer = otherTop < top || (otherTop == top && otherRest < rest);
  setAngle(nearer ? otherTop : top, nearer ? otherRest : rest, nearer ? -1 : 1);
  return turns + u64(nearer);
}

/** The angle := sign * (top * 2^64 + rest) * 2^-65, exactly. */
function setAngle(top: u64, rest: u64, sign: f64): void {
  const upper = f64(top) * 18446744073709551616.0 + f64(rest >> 32) * 4294967296.0;
  const unit = sign * power(-65);
  angleHigh = addDouble(upper * unit, 0, f64(rest & 0xffff_ffff) * unit, 0);
  angleLow = low;
}

/** R := sine of the angle + turns quarter turns, `sign` flipped in. */
function setResultToSine(turns: u64, sign: u32): void {
  const value = (turns & 1) != 0 ? cosineDouble(angleHigh, angleLow) : sineDouble(angleHigh, angleLow);
  setResultFromDouble(value, low, 0, sign ^ (u32(turns >> 1) & 1));
}

/** What of A cannot go through the computation: 0 none, else R is set (or, out of range, C2 is to be set). */
const ANGLE_PLAIN: u32 = 0;
const ANGLE_SPECIAL: u32 = 1;
const ANGLE_OUT_OF_RANGE: u32 = 2;

/** Sorts out NaNs, infinities, and angles of 2^63 and more. */
function classifyAngle(): u32 {
  if (propagateNan()) return ANGLE_SPECIAL;
  if (aKind == KIND_INFINITE) { setResultInvalid(); return ANGLE_SPECIAL; }
  if (aKind == KIND_FINITE && aExponent >= EXTENDED_BIAS + 63) return ANGLE_OUT_OF_RANGE;
  raiseDenormal();
  return ANGLE_PLAIN;
}

function sineOfA(): void {
  if (aKind == KIND_ZERO) setResultZero(aSign);
  else if (aExponent < TINY_ANGLE) setResultNextToA(false);
  else setResultToSine(reduceAngle(), aSign);
}

function cosineOfA(): void {
  if (aKind == KIND_ZERO) setResult(0, KIND_FINITE, EXTENDED_BIAS, INTEGER_BIT, 0);
  else if (aExponent < TINY_ANGLE) setResult(0, KIND_FINITE, EXTENDED_BIAS - 1, ~(<u64>0), ~(<u64>0));
  else setResultToSine(reduceAngle() + 1, 0);
}

function tangentOfA(): void {
  if (aKind == KIND_ZERO) { setResultZero(aSign); return; }
  if (aExponent < TINY_ANGLE) { setResultNextToA(true); return; }
  const turns = reduceAngle();
  const sine = sineDouble(angleHigh, angleLow), sineLow = low;
  const cosine = cosineDouble(angleHigh, angleLow), cosineLow = low;
  const value = (turns & 1) == 0 ? divideDouble(sine, sineLow, cosine, cosineLow) : divideDouble(-cosine, -cosineLow, sine, sineLow);
  setResultFromDouble(value, low, 0, aSign);
}

/** Leaves ST(0) alone and sets C2: the angle is out of range. */
function refuseAngle(): i32 {
  setStatus((status() & ~STATUS_C1) | STATUS_C2);
  return 0;
}

/** Begins FSIN and FCOS. ANGLE_* */
function prepareAngle(): u32 {
  setStatus(status() & ~STATUS_C2);
  unpackStack(0);
  return classifyAngle();
}

function replaceByFunctionOfAngle(op: u32, cosine: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else {
    const kind = prepareAngle();
    if (kind == ANGLE_OUT_OF_RANGE) return refuseAngle();
    if (kind == ANGLE_PLAIN) cosine ? cosineOfA() : sineOfA();
    packExtended(64);
  }
  if (commit(op)) storePacked(0);
  return 0;
}

export function fsin(op: u32): i32 { return replaceByFunctionOfAngle(op, false); }
export function fcos(op: u32): i32 { return replaceByFunctionOfAngle(op, true); }

/** Begins FSINCOS and FPTAN, which push: answers ANGLE_*, or ANGLE_SPECIAL after a stack fault; the default NaN is packed then. */
function prepareAnglePush(): u32 {
  if (isEmpty(0)) { stackUnderflow(); return ANGLE_SPECIAL; }
  if (!isEmpty(7)) { stackOverflow(); return ANGLE_SPECIAL; }
  const kind = prepareAngle();
  if (kind == ANGLE_SPECIAL) packExtended(64);
  return kind;
}

/** Replaces ST(0) by the packed NaN and pushes it once more. */
function finishNanPair(op: u32): i32 {
  if (!commit(op)) return 0;
  storePacked(0);
  pushPacked();
  return 0;
}

/** ST(0) := sine, then the cosine is pushed. */
export function fsincos(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const kind = prepareAnglePush();
  if (kind == ANGLE_OUT_OF_RANGE) return refuseAngle();
  if (kind == ANGLE_SPECIAL) return finishNanPair(op);
  sineOfA();
  packExtended(64);
  if (!commit(op)) return 0;
  storePacked(0);
  cosineOfA();
  packExtended(64);
  commit(op);
  pushPacked();
  return 0;
}

/** ST(0) := tangent, then 1.0 is pushed. */
export function fptan(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const kind = prepareAnglePush();
  if (kind == ANGLE_OUT_OF_RANGE) return refuseAngle();
  if (kind == ANGLE_SPECIAL) return finishNanPair(op);
  tangentOfA();
  packExtended(64);
  if (!commit(op)) return 0;
  storePacked(0);
  setPacked(u32(EXTENDED_BIAS), INTEGER_BIT);
  pushPacked();
  return 0;
}

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

/** Exact at 1 and -1; beyond, where the instruction is undefined, A stays. */
function exponentialAtEdge(): void {
  if (aExponent != EXTENDED_BIAS || aSignificand != INTEGER_BIT) { setResultToA(); return; }
  setResult(aSign, KIND_FINITE, aSign != 0 ? EXTENDED_BIAS - 1 : EXTENDED_BIAS, INTEGER_BIT, 0);
}

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

/** R := B * n, exactly: the logarithm of a power of two. */
function multiplyBByInteger(n: i32): void {
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
  if (high < 0 && exponent >= 0 && aExponent >= EXTENDED_BIAS) { setResultToA(); return; }
  if (exponent > 120) { multiplyByB(logarithmDouble(high, lower, exponent), 0); return; }
  const unit = power(exponent);
  const sum = addDouble(1, 0, high * unit, lower * unit), sumLow = low;
  const sumExponent = i32(reinterpret<u64>(sum) >> 52) - 1023;
  const down = power(-sumExponent);
  multiplyByB(logarithmDouble(sum * down, sumLow * down, sumExponent), 0);
}

/** ST(1) := packed, pop. */
function finishPopped(op: u32): i32 {
  if (commit(op)) {
    storePacked(1);
    pop();
  }
  return 0;
}

/** Begins an instruction of ST(0) as A and ST(1) as B that replaces both. 0 to go on; -1 after a stack fault, packed; else the code to return. */
function beginPair(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0) || isEmpty(1)) { stackUnderflow(); return -1; }
  unpackStack(1);
  moveAToB();
  unpackStack(0);
  return 0;
}

export function fyl2x(op: u32): i32 {
  const begun = beginPair(op);
  if (begun > 0) return begun;
  if (begun == 0) {
    logarithmOfA();
    packExtended(64);
  }
  return finishPopped(op);
}

export function fyl2xp1(op: u32): i32 {
  const begun = beginPair(op);
  if (begun > 0) return begun;
  if (begun == 0) {
    logarithmOfAPlusOne();
    packExtended(64);
  }
  return finishPopped(op);
}

/** R := quarters * pi / 4 with the sign of B: the angles at infinities and on the axes. */
function setResultToQuarters(quarters: f64): void {
  setResultFromDouble(quarters * 0.25 * PI_HIGH, quarters * 0.25 * PI_LOW, 0, bSign);
}

/** R := the angle of the point (A, B), -pi .. pi. */
function arcTangent(): void {
  if (propagateNans()) return;
  raiseDenormal();
  if (bKind == KIND_ZERO || (aKind == KIND_INFINITE && bKind != KIND_INFINITE)) {
    if (aSign == 0) setResultZero(bSign);
    else setResultToQuarters(4);
  } else if (bKind == KIND_INFINITE) setResultToQuarters(aKind != KIND_INFINITE ? 2 : aSign == 0 ? 1 : 3);
  else if (aKind == KIND_ZERO) setResultToQuarters(2);
  else finiteArcTangent();
}

/** Ratios below 2^-70 are as good as 0 beside pi / 2, and equal to their arc tangent but for the direction of rounding. */
const TINY_RATIO: i32 = -70;

function finiteArcTangent(): void {
  const distance = bExponent - aExponent;
  if (distance < TINY_RATIO) { arcTangentNearAxis(); return; }
  if (distance > -TINY_RATIO) {
    setResultToQuarters(2);
    return;
  }
  const unit = power(distance);
  const yHigh = upperPart(bSignificand) * unit, yLow = lowerPart(bSignificand) * unit;
  const xHigh = upperPart(aSignificand), xLow = lowerPart(aSignificand);
  const steep = yHigh > xHigh || (yHigh == xHigh && yLow > xLow);
  const ratio = steep ? divideDouble(xHigh, xLow, yHigh, yLow) : divideDouble(yHigh, yLow, xHigh, xLow);
  let angle = arcTangentDouble(ratio, low), angleLow = low;
  if (steep) {
    angle = addDouble(0.5 * PI_HIGH, 0.5 * PI_LOW, -angle, -angleLow);
    angleLow = low;
  }
  if (aSign != 0) {
    angle = addDouble(PI_HIGH, PI_LOW, -angle, -angleLow);
    angleLow = low;
  }
  setResultFromDouble(angle, angleLow, 0, bSign);
}

/** |B| is much below |A|. */
function arcTangentNearAxis(): void {
  if (aSign != 0) { setResultToQuarters(4); return; }
  const sign = bSign;
  swapOperands();
  divideOperands();
  // The arc tangent is a little below the ratio.
  if (resultExtra == 0) {
    const edge = resultSignificand == INTEGER_BIT;
    setResult(sign, KIND_FINITE, edge ? resultExponent - 1 : resultExponent, edge ? ~(<u64>0) : resultSignificand - 1, ~(<u64>0));
  } else setResult(sign, KIND_FINITE, resultExponent, resultSignificand, resultExtra);
}

/** ST(1) := the angle of the point (ST(0), ST(1)), pop. */
export function fpatan(op: u32): i32 {
  const begun = beginPair(op);
  if (begun > 0) return begun;
  if (begun == 0) {
    arcTangent();
    packExtended(64);
  }
  return finishPopped(op);
}
