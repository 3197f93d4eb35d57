/**
 * The operands and modes of the floating-point arithmetic that SSE and x87 share, after IEEE 754 and Intel SDM vol 1 §4.8 and §4.9.
 *
 * Operands are unpacked into the registers A and B, an operation leaves its result unrounded in R, and `roundResult` (softfloat-result.ts)
 * fits R to a format. All three hold a sign, a kind, an exponent biased by 16383 and a significand whose bit 63 is the integer bit:
 *
 *   value = significand / 2^63 * 2^(exponent - 16383)        R has 64 more bits (resultExtra), the lowest of them sticky
 *
 * Every binary32, binary64 and 80-bit value, denormals included, has an exact normalised form of this kind. For NaNs only the
 * significand and the sign count. WebAssembly globals stand in for registers: each vCPU has an instance of its own.
 */
export const FLOAT_INVALID: u32 = 1;
export const FLOAT_DENORMAL: u32 = 2;
export const FLOAT_DIVIDE_BY_ZERO: u32 = 4;
export const FLOAT_OVERFLOW: u32 = 8;
export const FLOAT_UNDERFLOW: u32 = 16;
export const FLOAT_INEXACT: u32 = 32;

export const ROUND_NEAREST: u32 = 0;
export const ROUND_DOWN: u32 = 1;
export const ROUND_UP: u32 = 2;
export const ROUND_ZERO: u32 = 3;

export const KIND_ZERO: u32 = 0;
export const KIND_FINITE: u32 = 1;
export const KIND_INFINITE: u32 = 2;
export const KIND_QUIET_NAN: u32 = 3;
export const KIND_SIGNALING_NAN: u32 = 4;
/** An 80-bit pattern that the 80387 and later refuse: unnormal, pseudo-NaN, pseudo-infinity. */
export const KIND_UNSUPPORTED: u32 = 5;

/** Exponent bias of the registers and of the 80-bit format. */
export const EXTENDED_BIAS: i32 = 16383;
export const INTEGER_BIT: u64 = 0x8000_0000_0000_0000;
export const QUIET_BIT: u64 = 0x4000_0000_0000_0000;
/** Exponent of a zero: below that of any other value, so that alignment in `addOperands` needs no special case. */
export const ZERO_EXPONENT: i32 = -0x10_0000;

/** FLOAT_* collected since the caller last cleared it; same bits as MXCSR and the x87 status word. */
export let exceptionFlags: u32 = 0;
/** Replaces the collected exceptions. */
// @ts-ignore: decorator
@inline export function setExceptionFlags(value: u32): void { exceptionFlags = value; }
/** Adds FLOAT_* to the collected exceptions. */
// @ts-ignore: decorator
@inline export function raiseFloat(value: u32): void { exceptionFlags |= value; }

/** ROUND_*, of the RC field of MXCSR or of the x87 control word. */
export let roundingMode: u32 = 0;
/** Sets the mode alone (ROUND_*). */
// @ts-ignore: decorator
@inline export function setRoundingMode(value: u32): void { roundingMode = value; }
/** MXCSR.FZ, to be set only while underflow is masked. */
export let flushToZero: bool = false;
/** MXCSR.DAZ. */
export let denormalsAreZero: bool = false;
/** FLOAT_* whose exceptions are not masked: an unmasked underflow is also signalled for exact results. */
export let unmaskedExceptions: u32 = 0;
/** x87 rules: of two NaNs the one with the larger significand is chosen, not the first. */
export let x87Rules: bool = false;
/** 1 if the last rounding went away from zero (C1 of x87). */
export let roundedUp: u32 = 0;
/** Sets roundedUp. */
// @ts-ignore: decorator
@inline export function setRoundedUp(value: u32): void { roundedUp = value; }

/** Sets every mode for SSE from MXCSR. Exceptions are not cleared. */
export function beginSse(mxcsr: u32): void {
  roundingMode = (mxcsr >> 13) & 3;
  unmaskedExceptions = ~(mxcsr >> 7) & 0x3f;
  flushToZero = (mxcsr & 0x8000) != 0 && (unmaskedExceptions & FLOAT_UNDERFLOW) == 0;
  denormalsAreZero = (mxcsr & 0x40) != 0;
  x87Rules = false;
}

/** Sets every mode for x87 from the control word and clears the exceptions. */
export function beginX87(controlWord: u32): void {
  roundingMode = (controlWord >> 10) & 3;
  unmaskedExceptions = ~controlWord & 0x3f;
  flushToZero = false;
  denormalsAreZero = false;
  x87Rules = true;
  exceptionFlags = 0;
  roundedUp = 0;
  operandFlags = 0;
}

export let aSign: u32 = 0;
export let aKind: u32 = 0;
export let aExponent: i32 = 0;
export let aSignificand: u64 = 0;
export let bSign: u32 = 0;
export let bKind: u32 = 0;
export let bExponent: i32 = 0;
export let bSignificand: u64 = 0;
/** FLOAT_DENORMAL if A or B was unpacked from a denormal; raised by the operations, unless a NaN or an invalid operation goes before. */
export let operandFlags: u32 = 0;
/** Forgets what was unpacked. */
// @ts-ignore: decorator
@inline export function clearOperandFlags(): void { operandFlags = 0; }
/** Replaces operandFlags. */
// @ts-ignore: decorator
@inline export function setOperandFlags(value: u32): void { operandFlags = value; }

/** A := these parts. */
// @ts-ignore: decorator
@inline export function setA(sign: u32, kind: u32, exponent: i32, significand: u64): void {
  aSign = sign; aKind = kind; aExponent = exponent; aSignificand = significand;
}

/** A := a value with these parts, normalised; `exponent` is that of bit 63 of `significand`, which may be 0. */
export function setANormalised(sign: u32, exponent: i32, significand: u64): void {
  if (significand == 0) { setA(sign, KIND_ZERO, ZERO_EXPONENT, 0); return; }
  const shift = clz<u64>(significand);
  setA(sign, KIND_FINITE, exponent - i32(shift), significand << shift);
}

/** B := A. */
// @ts-ignore: decorator
@inline export function moveAToB(): void {
  bSign = aSign; bKind = aKind; bExponent = aExponent; bSignificand = aSignificand;
}

/** Replaces the sign of B. */
// @ts-ignore: decorator
@inline export function setBSign(sign: u32): void { bSign = sign; }

/** Exchanges A and B. */
export function swapOperands(): void {
  const sign = aSign, kind = aKind, exponent = aExponent, significand = aSignificand;
  setA(bSign, bKind, bExponent, bSignificand);
  bSign = sign; bKind = kind; bExponent = exponent; bSignificand = significand;
}

/** Raises FLOAT_DENORMAL if an operand asked for it. */
// @ts-ignore: decorator
@inline export function raiseDenormal(): void { exceptionFlags |= operandFlags; }
