/** FPREM, FPREM1, FSCALE, FXTRACT, FRNDINT: exact or once rounded operations on exponent and significand (Intel SDM vol 1 §8.3.5, §8.3.7). */
import { integerOfA, roundAToIntegral } from "./softfloat-integer";
import {
  EXTENDED_BIAS, FLOAT_DIVIDE_BY_ZERO, INTEGER_BIT, KIND_FINITE, KIND_INFINITE, KIND_ZERO, ROUND_ZERO, aExponent, aKind, aSign, aSignificand,
  bExponent, bKind, bSign, bSignificand, moveAToB, raiseDenormal, raiseFloat, roundedUp, roundingMode, setA, setANormalised, setRoundedUp,
} from "./softfloat-registers";
import {
  propagateNan, propagateNans, resultExponent, resultKind, setResult, setResultExponent, setResultInfinite, setResultInvalid, setResultToA,
  setResultZero,
} from "./softfloat-result";
import {
  STATUS_C0, STATUS_C1, STATUS_C2, STATUS_C3, beginRegister, commit, isEmpty, packExtended, pushPacked, setPacked, setStatus, slot, stackOverflow,
  stackUnderflow, status, storePacked, unpackStack,
} from "./x87-state";

/** Steps of division done at once by FPREM when it cannot finish: the exponents come this much closer, modulo 32. */
const PARTIAL_STEPS: i32 = 32;

/** Low bits of the quotient of the last remainder. */
let quotient: u64 = 0;

/** aSignificand * 2^steps modulo bSignificand, aSignificand < 2 * bSignificand; the low bits of the quotient are left in `quotient`. */
function reduce(steps: i32): u64 {
  let rest = aSignificand;
  let bits: u64 = 0;
  if (rest >= bSignificand) {
    rest -= bSignificand;
    bits = 1;
  }
  for (let i = 0; i < steps; i++) {
    const carry = i64(rest) < 0;
    rest <<= 1;
    bits <<= 1;
    if (carry || rest >= bSignificand) {
      rest -= bSignificand;
      bits |= 1;
    }
  }
  quotient = bits;
  return rest;
}

/** R := rest * 2^(exponent - 16383 - 63), with the sign of A. */
function setRemainder(sign: u32, exponent: i32, rest: u64): void {
  if (rest == 0) { setResultZero(aSign); return; }
  const shift = clz<u64>(rest);
  setResult(sign, KIND_FINITE, exponent - i32(shift), rest << shift, 0);
}

/** R := remainder of A by B, both finite and not 0. Answers whether it is complete. */
function remainder(nearest: bool): bool {
  const distance = aExponent - bExponent;
  if (distance >= 64) {
    const steps = (distance & 31) | PARTIAL_STEPS;
    const rest = reduce(steps);
    setRemainder(aSign, aExponent - steps, rest);
    return false;
  }
  if (distance < -1 || (distance == -1 && !nearest)) {
    quotient = 0;
    setResultToA();
    return true;
  }
  if (distance == -1) nearestBelowHalf();
  else completeRemainder(distance, nearest);
  return true;
}

/** A has half the exponent weight of B: the nearest quotient is 0, or 1 if A is above half of B. */
function nearestBelowHalf(): void {
  quotient = 0;
  if (aSignificand <= bSignificand) { setResultToA(); return; }
  quotient = 1;
  // B - A in units of the last place of A: 2 * b - a, which fits as a > b.
  setRemainder(aSign ^ 1, aExponent, bSignificand - (aSignificand - bSignificand));
}

function completeRemainder(distance: i32, nearest: bool): void {
  const rest = reduce(distance);
  const other = bSignificand - rest;
  if (nearest && (rest > other || (rest == other && (quotient & 1) != 0))) {
    quotient += 1;
    setRemainder(aSign ^ 1, bExponent, other);
  } else setRemainder(aSign, bExponent, rest);
}

/** Computes the remainder of ST(0) by ST(1) into the packed result. Answers the condition codes; C0 and C3 stay where there is no quotient. */
function partialRemainder(nearest: bool): u32 {
  unpackStack(1);
  moveAToB();
  unpackStack(0);
  const unchanged = status() & (STATUS_C0 | STATUS_C3);
  if (propagateNans()) { packExtended(64); return unchanged; }
  if (aKind == KIND_INFINITE || bKind == KIND_ZERO) {
    setResultInvalid();
    packExtended(64);
    return unchanged;
  }
  raiseDenormal();
  quotient = 0;
  let complete = true;
  setResultToA();
  if (aKind != KIND_ZERO && bKind != KIND_INFINITE) complete = remainder(nearest);
  // A denormal that stays as it is does not count as underflow, even unmasked.
  if (bKind == KIND_INFINITE && aExponent < 1) setPacked(load<u16>(slot(0) + 8), load<u64>(slot(0)));
  else packExtended(64);
  if (!complete) return STATUS_C2;
  const q = u32(quotient);
  return ((q & 4) != 0 ? STATUS_C0 : 0) | ((q & 2) != 0 ? STATUS_C3 : 0) | ((q & 1) != 0 ? STATUS_C1 : 0);
}

function finishRemainder(op: u32, nearest: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const unchanged = status() & (STATUS_C0 | STATUS_C3);
  let codes = unchanged;
  if (isEmpty(0) || isEmpty(1)) stackUnderflow();
  else codes = partialRemainder(nearest);
  const delivers = commit(op);
  setStatus((status() & ~(STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3)) | (delivers ? codes : unchanged));
  if (delivers) storePacked(0);
  return 0;
}

/** FPREM. */
export function fprem(op: u32): i32 { return finishRemainder(op, false); }
/** FPREM1. */
export function fprem1(op: u32): i32 { return finishRemainder(op, true); }

/** FRNDINT. */
export function frndint(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackStack(0);
    if (aKind == KIND_FINITE) raiseDenormal();
    roundAToIntegral(roundingMode, false);
    const up = roundedUp;
    packExtended(64);
    setRoundedUp(up);
  }
  if (commit(op)) storePacked(0);
  return 0;
}

/** R := A * 2^truncated(B). */
function scale(): void {
  if (propagateNans()) return;
  if (bKind == KIND_INFINITE) {
    if (bSign == 0 ? aKind == KIND_ZERO : aKind == KIND_INFINITE) { setResultInvalid(); return; }
    raiseDenormal();
    if (aKind == KIND_FINITE) bSign == 0 ? setResultInfinite(aSign) : setResultZero(aSign);
    else setResultToA();
    return;
  }
  raiseDenormal();
  setResultToA();
  if (aKind != KIND_FINITE) return;
  // Beyond 2^16 every value overflows or underflows, wrapped or not.
  setA(bSign, bKind, bExponent, bSignificand);
  const magnitude = bExponent >= EXTENDED_BIAS + 16 ? 0x1_0000 : i32(integerOfA(ROUND_ZERO));
  setResultExponent(resultExponent + (bSign != 0 ? -magnitude : magnitude));
}

/** FSCALE. */
export function fscale(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0) || isEmpty(1)) stackUnderflow();
  else {
    unpackStack(1);
    moveAToB();
    unpackStack(0);
    scale();
    packExtended(64);
  }
  if (commit(op)) storePacked(0);
  return 0;
}

/** ST(0) := its exponent, then its significand is pushed. */
export function fxtract(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const underflows = isEmpty(0);
  if (underflows) stackUnderflow();
  else if (!isEmpty(7)) stackOverflow();
  else {
    unpackStack(0);
    extractExponent();
    packExtended(64);
  }
  if (!commit(op)) return 0;
  const faulted = underflows || !isEmpty(7);
  if (!faulted) {
    const exponentKind = resultKind, negative = aSign;
    const significand = aKind == KIND_FINITE ? aSignificand : load<u64>(slot(0));
    storePacked(0);
    if (exponentKind < KIND_INFINITE) setPacked((negative << 15) | u32(EXTENDED_BIAS), significand);
    else if (aKind == KIND_ZERO) setPacked(negative << 15, 0);
    else if (aKind == KIND_INFINITE) setPacked((negative << 15) | 0x7fff, INTEGER_BIT);
  } else storePacked(0);
  pushPacked();
  return 0;
}

/** R := the unbiased exponent of A. */
function extractExponent(): void {
  if (propagateNan()) return;
  if (aKind == KIND_ZERO) {
    raiseFloat(FLOAT_DIVIDE_BY_ZERO);
    setResultInfinite(1);
    return;
  }
  raiseDenormal();
  if (aKind == KIND_INFINITE) { setResultInfinite(0); return; }
  const exponent = aExponent - EXTENDED_BIAS;
  const sign = aSign, significand = aSignificand;
  setANormalised(u32(exponent < 0), EXTENDED_BIAS + 63, u64(exponent < 0 ? -exponent : exponent));
  setResultToA();
  setA(sign, KIND_FINITE, exponent + EXTENDED_BIAS, significand);
}
