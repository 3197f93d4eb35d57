/**
 * FSIN, FCOS, FSINCOS, FPTAN (Intel SDM vol 1 §8.3.8), computed in double-double and rounded once. Angles are reduced by the 66 bits of pi
 * that the processors use, exactly.
 */
import {
  FLOAT_UNDERFLOW, FLOAT_INEXACT, KIND_ZERO, KIND_FINITE, KIND_INFINITE, EXTENDED_BIAS, INTEGER_BIT, raiseFloat, aSign, aKind, aExponent,
  aSignificand, raiseDenormal,
} from "./softfloat-registers";
import { setResult, setResultToA, setResultZero, setResultInvalid, propagateNan } from "./softfloat-result";
import { low, addDouble, divideDouble, sineDouble, cosineDouble } from "./x87-double-double";
import {
  STATUS_C1, STATUS_C2, status, setStatus, top, isEmpty, beginRegister, unpackStack, setPacked, packExtended, stackUnderflow, stackOverflow,
  commit, storePacked, pushPacked,
} from "./x87-state";
import { upperPart, lowerPart, power, setResultFromDouble } from "./x87-double-result";

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
/** Below 2^-68 processors take sine and tangent for x and the cosine for 1, whatever the rounding mode. */
const TINIEST_ANGLE: i32 = EXTENDED_BIAS - 68;

/** R := A for sine or tangent of so small an angle, or 1. */
function setResultOfTiniestAngle(cosine: bool): void {
  raiseFloat(FLOAT_INEXACT);
  if (cosine) { setResult(0, KIND_FINITE, EXTENDED_BIAS, INTEGER_BIT, 0); return; }
  setResultToA();
  if (aExponent < 1) raiseFloat(FLOAT_UNDERFLOW);
}

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
  else if (aExponent < TINIEST_ANGLE) setResultOfTiniestAngle(false);
  else if (aExponent < TINY_ANGLE) setResultNextToA(false);
  else setResultToSine(reduceAngle(), aSign);
}

function cosineOfA(): void {
  if (aKind == KIND_ZERO) setResult(0, KIND_FINITE, EXTENDED_BIAS, INTEGER_BIT, 0);
  else if (aExponent < TINIEST_ANGLE) setResultOfTiniestAngle(true);
  else if (aExponent < TINY_ANGLE) setResult(0, KIND_FINITE, EXTENDED_BIAS - 1, ~(<u64>0), ~(<u64>0));
  else setResultToSine(reduceAngle() + 1, 0);
}

function tangentOfA(): void {
  if (aKind == KIND_ZERO) { setResultZero(aSign); return; }
  if (aExponent < TINIEST_ANGLE) { setResultOfTiniestAngle(false); return; }
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

/** Begins an instruction on an angle, with C2 clear. 0, or the code to return. */
function beginAngle(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused == 0) setStatus(status() & ~STATUS_C2);
  return refused;
}

/** A := the angle in ST(0). ANGLE_* */
function prepareAngle(): u32 {
  unpackStack(0);
  return classifyAngle();
}

function replaceByFunctionOfAngle(op: u32, cosine: bool): i32 {
  const refused = beginAngle(op);
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

/** FSIN. */
export function fsin(op: u32): i32 { return replaceByFunctionOfAngle(op, false); }
/** FCOS. */
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
  const refused = beginAngle(op);
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
  const refused = beginAngle(op);
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
