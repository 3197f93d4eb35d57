/** binary32 and binary64 to and from the registers of the floating-point arithmetic. T is u32 (binary32) or u64 (binary64) throughout. */
import {
  EXTENDED_BIAS, FLOAT_DENORMAL, INTEGER_BIT, KIND_FINITE, KIND_INFINITE, KIND_QUIET_NAN, KIND_SIGNALING_NAN, KIND_ZERO, ZERO_EXPONENT,
  denormalsAreZero, operandFlags, setA, setANormalised, setOperandFlags,
} from "./softfloat-registers";
import { resultExponent, resultKind, resultSign, resultSignificand, roundResult } from "./softfloat-result";

/** Bits of the significand, the hidden one included. */
// @ts-ignore: decorator
@inline export function precision<T>(): u32 { return sizeof<T>() == 8 ? 53 : 24; }
/** The exponent field, all ones. */
// @ts-ignore: decorator
@inline export function exponentMask<T>(): u32 { return sizeof<T>() == 8 ? 0x7ff : 0xff; }
/** The significand without its hidden bit. */
// @ts-ignore: decorator
@inline export function fractionMask<T>(): T { return sizeof<T>() == 8 ? <T>0xf_ffff_ffff_ffff : <T>0x7f_ffff; }
/** The positive infinity. */
// @ts-ignore: decorator
@inline export function infinity<T>(): T { return sizeof<T>() == 8 ? <T>0x7ff0_0000_0000_0000 : <T>0x7f80_0000; }
/** The magnitude of a bit pattern. */
// @ts-ignore: decorator
@inline export function withoutSign<T>(value: T): T { return (value << 1) >> 1; }
/** The bit that tells quiet from signaling NaNs. */
// @ts-ignore: decorator
@inline export function quietBit<T>(): T { return <T>1 << <T>(precision<T>() - 2); }
/** Any NaN. */
// @ts-ignore: decorator
@inline export function isNan<T>(value: T): bool { return withoutSign<T>(value) > infinity<T>(); }
/** A signaling NaN. */
// @ts-ignore: decorator
@inline export function isSignalingNan<T>(value: T): bool { return isNan<T>(value) && (value & quietBit<T>()) == 0; }
/** Denormal or zero. */
// @ts-ignore: decorator
@inline export function hasNoExponent<T>(value: T): bool { return (value & infinity<T>()) == 0; }
/** Denormal, not zero. */
// @ts-ignore: decorator
@inline export function isDenormal<T>(value: T): bool { return hasNoExponent<T>(value) && withoutSign<T>(value) != 0; }
// @ts-ignore: decorator
@inline function bias<T>(): i32 { return sizeof<T>() == 8 ? 1023 : 127; }

/** A := value, with denormalsAreZero; a denormal adds FLOAT_DENORMAL to operandFlags. */
export function unpack<T>(value: T): void {
  const fractionBits = precision<T>() - 1;
  const sign = u32(value >> <T>(sizeof<T>() * 8 - 1));
  const exponent = u32(value >> <T>fractionBits) & exponentMask<T>();
  const significand = u64(value & fractionMask<T>()) << u64(63 - fractionBits);
  if (exponent == exponentMask<T>()) {
    const kind = significand == 0 ? KIND_INFINITE : (value & quietBit<T>()) != 0 ? KIND_QUIET_NAN : KIND_SIGNALING_NAN;
    setA(sign, kind, 0, significand | INTEGER_BIT);
  } else if (exponent != 0) {
    setA(sign, KIND_FINITE, i32(exponent) - bias<T>() + EXTENDED_BIAS, significand | INTEGER_BIT);
  } else if (significand == 0 || denormalsAreZero) {
    setA(sign, KIND_ZERO, ZERO_EXPONENT, 0);
  } else {
    setOperandFlags(operandFlags | FLOAT_DENORMAL);
    setANormalised(sign, 1 - bias<T>() + EXTENDED_BIAS, significand);
  }
}

/** R rounded to the format, with exceptions. */
export function pack<T>(): T {
  if (resultKind == KIND_FINITE) roundResult(precision<T>(), EXTENDED_BIAS + 1 - bias<T>(), EXTENDED_BIAS + bias<T>());
  const sign = <T>resultSign << <T>(sizeof<T>() * 8 - 1);
  if (resultKind == KIND_ZERO) return sign;
  const drop = 64 - precision<T>();
  const fraction = <T>(resultSignificand >> u64(drop)) & fractionMask<T>();
  if (resultKind == KIND_INFINITE) return sign | infinity<T>();
  if (resultKind == KIND_QUIET_NAN) return sign | infinity<T>() | fraction;
  if (i64(resultSignificand) >= 0) return sign | fraction;
  return sign | (<T>(resultExponent - EXTENDED_BIAS + bias<T>()) << <T>(precision<T>() - 1)) | fraction;
}
