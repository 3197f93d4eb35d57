/**
 * binary32 and binary64 arithmetic with the semantics of SSE: results, NaNs and exception flags as Intel SDM vol 1 §11.5 has them.
 * Values are bit patterns. Before a group of operations the caller calls `beginSse(mxcsr)` and clears `exceptionFlags`; the flags of
 * all operations since then collect there. Where the precision exception is masked and its flag is already set in MXCSR, the caller
 * should start with FLOAT_INEXACT in `exceptionFlags`: then rounding to nearest costs little more than the host's own operation.
 *
 * With unmasked exceptions the caller must, as processors do, report nothing but invalid, denormal and divide-by-zero when one of these is
 * unmasked and raised, and start from no flags; results are then meaningless.
 *
 * An operation is done by the host when the mode is round to nearest, operands and result are zero or far from the ends of the exponent range
 * and the flags are known: inexact is set already, or a cheap test proves the result exact. All else goes through softfloat-registers.ts.
 */
import { addOperands, divideOperands, multiplyOperands, squareRootOperand, subtractOperands } from "./softfloat-arithmetic";
import { exponentMask, isDenormal, isNan, isSignalingNan, pack, precision, unpack, withoutSign } from "./softfloat-formats";
import { integerFromA, roundAToIntegral } from "./softfloat-integer";
import {
  EXTENDED_BIAS, FLOAT_DENORMAL, FLOAT_INEXACT, FLOAT_INVALID, ROUND_NEAREST, ROUND_ZERO, clearOperandFlags, denormalsAreZero, exceptionFlags,
  moveAToB, raiseDenormal, raiseFloat, roundingMode, setANormalised,
} from "./softfloat-registers";
import { propagateNan, setResultToA } from "./softfloat-result";

export {
  FLOAT_DENORMAL, FLOAT_DIVIDE_BY_ZERO, FLOAT_INEXACT, FLOAT_INVALID, FLOAT_OVERFLOW, FLOAT_UNDERFLOW, ROUND_DOWN, ROUND_NEAREST, ROUND_UP,
  ROUND_ZERO, beginSse, denormalsAreZero, exceptionFlags, raiseFloat, roundingMode, setExceptionFlags,
} from "./softfloat-registers";

/** Normal, and far enough from both ends of the exponent range that no rounding can leave it. */
// @ts-ignore: decorator
@inline function isPlain<T>(value: T): bool {
  return ((u32(value >> <T>(precision<T>() - 1)) & exponentMask<T>()) - 2) < exponentMask<T>() - 3;
}
// @ts-ignore: decorator
@inline function isPlainOrZero<T>(value: T): bool { return isPlain<T>(value) || withoutSign<T>(value) == 0; }
// @ts-ignore: decorator
@inline function isInexactKnown(): bool { return (exceptionFlags & FLOAT_INEXACT) != 0; }
/** Bits of the significand of a plain value without its trailing zeros. */
// @ts-ignore: decorator
@inline function usedBits(value: u64): u64 { return 53 - ctz<u64>(value | 0x10_0000_0000_0000); }

// @ts-ignore: decorator
@inline function unpackTwo<T>(a: T, b: T): void {
  clearOperandFlags();
  unpack<T>(b);
  moveAToB();
  unpack<T>(a);
}

function addSlowly<T>(a: T, b: T): T {
  unpackTwo<T>(a, b);
  addOperands();
  return pack<T>();
}

function subtractSlowly<T>(a: T, b: T): T {
  unpackTwo<T>(a, b);
  subtractOperands();
  return pack<T>();
}

function multiplySlowly<T>(a: T, b: T): T {
  unpackTwo<T>(a, b);
  multiplyOperands();
  return pack<T>();
}

function divideSlowly<T>(a: T, b: T): T {
  unpackTwo<T>(a, b);
  divideOperands();
  return pack<T>();
}

function squareRootSlowly<T>(a: T): T {
  clearOperandFlags();
  unpack<T>(a);
  squareRootOperand();
  return pack<T>();
}

/** Whether the sum of x and y was exact (Knuth's two-sum). */
// @ts-ignore: decorator
@inline function isSumExact<F>(x: F, y: F, sum: F): bool {
  const part = sum - x;
  return (x - (sum - part)) + (y - part) == 0;
}

/** a + b. */
export function f64Add(a: u64, b: u64): u64 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u64>(a) && isPlainOrZero<u64>(b)) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b), sum = x + y;
    const bits = reinterpret<u64>(sum);
    if (isPlainOrZero<u64>(bits) && (isInexactKnown() || isSumExact<f64>(x, y, sum))) return bits;
  }
  return addSlowly<u64>(a, b);
}

/** a - b. */
export function f64Sub(a: u64, b: u64): u64 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u64>(a) && isPlainOrZero<u64>(b)) {
    const x = reinterpret<f64>(a), y = -reinterpret<f64>(b), sum = x + y;
    const bits = reinterpret<u64>(sum);
    if (isPlainOrZero<u64>(bits) && (isInexactKnown() || isSumExact<f64>(x, y, sum))) return bits;
  }
  return subtractSlowly<u64>(a, b);
}

/** a * b. */
export function f64Mul(a: u64, b: u64): u64 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u64>(a) && isPlainOrZero<u64>(b)) {
    const bits = reinterpret<u64>(reinterpret<f64>(a) * reinterpret<f64>(b));
    if (isPlain<u64>(bits) && (isInexactKnown() || usedBits(a) + usedBits(b) <= 53)) return bits;
  }
  return multiplySlowly<u64>(a, b);
}

/** a / b. */
export function f64Div(a: u64, b: u64): u64 {
  if (roundingMode == ROUND_NEAREST && isPlain<u64>(a) && isPlain<u64>(b)) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b), quotient = x / y;
    const bits = reinterpret<u64>(quotient);
    if (isPlain<u64>(bits) && (isInexactKnown() || (usedBits(bits) + usedBits(b) <= 53 && quotient * y == x))) return bits;
  }
  return divideSlowly<u64>(a, b);
}

/** Square root of a. */
export function f64Sqrt(a: u64): u64 {
  if (roundingMode == ROUND_NEAREST && isPlain<u64>(a) && i64(a) > 0) {
    const x = reinterpret<f64>(a), root = sqrt<f64>(x);
    const bits = reinterpret<u64>(root);
    if (isInexactKnown() || (usedBits(bits) <= 26 && root * root == x)) return bits;
  }
  return squareRootSlowly<u64>(a);
}

/** a + b. */
export function f32Add(a: u32, b: u32): u32 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u32>(a) && isPlainOrZero<u32>(b)) {
    const x = reinterpret<f32>(a), y = reinterpret<f32>(b), sum = x + y;
    const bits = reinterpret<u32>(sum);
    if (isPlainOrZero<u32>(bits) && (isInexactKnown() || isSumExact<f32>(x, y, sum))) return bits;
  }
  return addSlowly<u32>(a, b);
}

/** a - b. */
export function f32Sub(a: u32, b: u32): u32 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u32>(a) && isPlainOrZero<u32>(b)) {
    const x = reinterpret<f32>(a), y = -reinterpret<f32>(b), sum = x + y;
    const bits = reinterpret<u32>(sum);
    if (isPlainOrZero<u32>(bits) && (isInexactKnown() || isSumExact<f32>(x, y, sum))) return bits;
  }
  return subtractSlowly<u32>(a, b);
}

/** a * b. */
export function f32Mul(a: u32, b: u32): u32 {
  if (roundingMode == ROUND_NEAREST && isPlainOrZero<u32>(a) && isPlainOrZero<u32>(b)) {
    const exact = f64(reinterpret<f32>(a)) * f64(reinterpret<f32>(b));
    const product = f32(exact), bits = reinterpret<u32>(product);
    if (isPlain<u32>(bits) && (isInexactKnown() || f64(product) == exact)) return bits;
  }
  return multiplySlowly<u32>(a, b);
}

/** a / b. */
export function f32Div(a: u32, b: u32): u32 {
  if (roundingMode == ROUND_NEAREST && isPlain<u32>(a) && isPlain<u32>(b)) {
    const x = reinterpret<f32>(a), y = reinterpret<f32>(b), quotient = x / y;
    const bits = reinterpret<u32>(quotient);
    if (isPlain<u32>(bits) && (isInexactKnown() || f64(quotient) * f64(y) == f64(x))) return bits;
  }
  return divideSlowly<u32>(a, b);
}

/** Square root of a. */
export function f32Sqrt(a: u32): u32 {
  if (roundingMode == ROUND_NEAREST && isPlain<u32>(a) && i32(a) > 0) {
    const x = reinterpret<f32>(a), root = sqrt<f32>(x);
    if (isInexactKnown() || f64(root) * f64(root) == f64(x)) return reinterpret<u32>(root);
  }
  return squareRootSlowly<u32>(a);
}

/** The operand as MXCSR.DAZ lets an operation see it. */
// @ts-ignore: decorator
@inline function flushed<T>(value: T): T {
  return denormalsAreZero && isDenormal<T>(value) ? value ^ withoutSign<T>(value) : value;
}

/** Answers what MXCSR.DAZ makes of an operand: a denormal becomes a zero of its sign. */
export function f64FlushOperand(value: u64): u64 { return flushed<u64>(value); }
/** As f64FlushOperand. */
export function f32FlushOperand(value: u32): u32 { return flushed<u32>(value); }

function compareFlags<T>(a: T, b: T, signalQuiet: bool): bool {
  if (isNan<T>(a) || isNan<T>(b)) {
    if (signalQuiet || isSignalingNan<T>(a) || isSignalingNan<T>(b)) raiseFloat(FLOAT_INVALID);
    return false;
  }
  if (!denormalsAreZero && (isDenormal<T>(a) || isDenormal<T>(b))) raiseFloat(FLOAT_DENORMAL);
  return true;
}

/** Answers -1, 0, 1 for a below, equal to, above b, and 2 for unordered; `signalQuiet`: a quiet NaN is invalid too. */
export function f64Compare(a: u64, b: u64, signalQuiet: bool): i32 {
  if (!compareFlags<u64>(a, b, signalQuiet)) return 2;
  const x = reinterpret<f64>(flushed<u64>(a)), y = reinterpret<f64>(flushed<u64>(b));
  return i32(x > y) - i32(x < y);
}

/** As f64Compare. */
export function f32Compare(a: u32, b: u32, signalQuiet: bool): i32 {
  if (!compareFlags<u32>(a, b, signalQuiet)) return 2;
  const x = reinterpret<f32>(flushed<u32>(a)), y = reinterpret<f32>(flushed<u32>(b));
  return i32(x > y) - i32(x < y);
}

function toInteger<T>(value: T, truncate: bool, bits: u32): i64 {
  unpack<T>(value);
  return integerFromA(truncate ? ROUND_ZERO : roundingMode, bits);
}

/** To a signed 32-bit integer; NaN and what does not fit is invalid and 0x8000_0000. */
export function f64ToI32(a: u64, truncate: bool): i32 { return i32(toInteger<u64>(a, truncate, 32)); }
/** As f64ToI32. */
export function f32ToI32(a: u32, truncate: bool): i32 { return i32(toInteger<u32>(a, truncate, 32)); }
/** To a signed 64-bit integer; NaN and what does not fit is invalid and 1 << 63. */
export function f64ToI64(a: u64, truncate: bool): i64 { return toInteger<u64>(a, truncate, 64); }
/** As f64ToI64. */
export function f32ToI64(a: u32, truncate: bool): i64 { return toInteger<u32>(a, truncate, 64); }

/** A := value, exactly. */
function unpackInteger(value: i64): void {
  setANormalised(u32(value < 0), EXTENDED_BIAS + 63, u64(value < 0 ? -value : value));
}

/** Exact. */
export function i32ToF64(value: i32): u64 { return reinterpret<u64>(f64(value)); }

/** Rounded by the mode. */
export function i64ToF64(value: i64): u64 {
  const near = f64(value);
  if (abs(value) <= 0x20_0000_0000_0000) return reinterpret<u64>(near);
  unpackInteger(value);
  setResultToA();
  return pack<u64>();
}

/** Rounded by the mode. */
export function i32ToF32(value: i32): u32 { return i64ToF32(i64(value)); }

/** Rounded by the mode. */
export function i64ToF32(value: i64): u32 {
  if (abs(value) <= 0x100_0000) return reinterpret<u32>(f32(value));
  unpackInteger(value);
  setResultToA();
  return pack<u32>();
}

/** R := A for a change of format: NaNs quieted, denormals signalled. */
function convert(): void {
  if (propagateNan()) return;
  raiseDenormal();
  setResultToA();
}

/** Rounded by the mode; NaNs quieted, denormals signalled. */
export function f64ToF32(a: u64): u32 {
  clearOperandFlags();
  unpack<u64>(a);
  convert();
  return pack<u32>();
}

/** Exact; NaNs quieted, denormals signalled. */
export function f32ToF64(a: u32): u64 {
  if (isPlainOrZero<u32>(a)) return reinterpret<u64>(f64(reinterpret<f32>(a)));
  clearOperandFlags();
  unpack<u32>(a);
  convert();
  return pack<u64>();
}

/** Rounds to an integral value by `mode` (ROUND_*), as ROUNDSD does: no denormal exception; `inexactSuppressed` for bit 3 of its immediate. */
export function f64Round(a: u64, mode: u32, inexactSuppressed: bool): u64 {
  unpack<u64>(a);
  roundAToIntegral(mode, inexactSuppressed);
  return pack<u64>();
}

/** As f64Round. */
export function f32Round(a: u32, mode: u32, inexactSuppressed: bool): u32 {
  unpack<u32>(a);
  roundAToIntegral(mode, inexactSuppressed);
  return pack<u32>();
}
