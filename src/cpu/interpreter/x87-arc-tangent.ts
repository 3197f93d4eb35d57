/** FPATAN (Intel SDM vol 1 §8.3.8), computed in double-double and rounded once. */
import { divideOperands } from "./softfloat-arithmetic";
import {
  FLOAT_UNDERFLOW, FLOAT_INEXACT, KIND_ZERO, KIND_INFINITE, raiseFloat, aSign, aKind, aExponent, aSignificand, bSign, bKind, bExponent,
  bSignificand, swapOperands, raiseDenormal,
} from "./softfloat-registers";
import { resultExponent, setResultZero, propagateNans } from "./softfloat-result";
import { low, addDouble, divideDouble, PI_HIGH, PI_LOW, arcTangentDouble } from "./x87-double-double";
import { packExtended, pop } from "./x87-state";
import { upperPart, lowerPart, power, setResultFromDouble, finishPopped, beginPair } from "./x87-double-result";

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
  swapOperands();
  divideOperands();
  // The arc tangent is a little below the ratio, which shows only where the ratio is exact; processors neglect that.
  raiseFloat(FLOAT_INEXACT);
  if (resultExponent < 1) raiseFloat(FLOAT_UNDERFLOW);
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
