/** x87 comparisons and classification: FCOM, FUCOM, FCOMI, FUCOMI, FICOM, FTST, FXAM (Intel SDM vol 1 §8.3.6). */
import { setArithmeticFlags } from "./flags";
import { unpack } from "./softfloat-formats";
import {
  EXTENDED_BIAS, FLOAT_INVALID, KIND_INFINITE, KIND_QUIET_NAN, KIND_SIGNALING_NAN, KIND_UNSUPPORTED, KIND_ZERO, aExponent, aKind, aSign,
  aSignificand, bExponent, bKind, bSign, bSignificand, moveAToB, operandFlags, raiseDenormal, raiseFloat, setANormalised,
} from "./softfloat-registers";
import { bail } from "./state";
import {
  STATUS_C0, STATUS_C1, STATUS_C2, STATUS_C3, beginRead, beginRegister, commit, commitKeepingC1, isEmpty, pop, setStatus, slot, stackIndex,
  stackUnderflow, status, unpackStack,
} from "./x87-state";

// Outcomes as bits of EFLAGS; in C3, C2, C0 they stand in the same order.
const EQUAL: u32 = 0x40;
const UNORDERED: u32 = 0x45;
const LESS: u32 = 1;
const GREATER: u32 = 0;

/** Compares A with B, raising what it must. `quiet`: a quiet NaN is no invalid operation. */
function compareOperands(quiet: bool): u32 {
  if (aKind >= KIND_QUIET_NAN || bKind >= KIND_QUIET_NAN) {
    if (!quiet || aKind >= KIND_SIGNALING_NAN || bKind >= KIND_SIGNALING_NAN) raiseFloat(FLOAT_INVALID);
    return UNORDERED;
  }
  raiseDenormal();
  if (aKind == KIND_ZERO && bKind == KIND_ZERO) return EQUAL;
  if (aKind == KIND_ZERO) return bSign != 0 ? GREATER : LESS;
  if (bKind == KIND_ZERO || aSign != bSign) return aSign != 0 ? LESS : GREATER;
  const magnitude = compareMagnitudes();
  if (magnitude == 0) return EQUAL;
  return (magnitude < 0) != (aSign != 0) ? LESS : GREATER;
}

function compareMagnitudes(): i32 {
  if (aKind == KIND_INFINITE || bKind == KIND_INFINITE) return i32(aKind == KIND_INFINITE) - i32(bKind == KIND_INFINITE);
  if (aExponent != bExponent) return aExponent < bExponent ? -1 : 1;
  return i32(aSignificand > bSignificand) - i32(aSignificand < bSignificand);
}

/** Sets C3, C2, C0 from an outcome, commits, and pops `pops` times. */
function finishCompare(op: u32, outcome: u32, pops: u32): i32 {
  setStatus((status() & ~(STATUS_C0 | STATUS_C2 | STATUS_C3)) | (outcome << 8));
  if (!commit(op)) return 0;
  for (let i: u32 = 0; i < pops; i++) pop();
  return 0;
}

function compareRegister(op: u32, i: u32, quiet: bool, pops: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  return finishCompare(op, compareWithStack(i, quiet), pops);
}

/** Compares ST(0) with ST(i). */
function compareWithStack(i: u32, quiet: bool): u32 {
  if (isEmpty(0) || isEmpty(i)) {
    stackUnderflow();
    return UNORDERED;
  }
  unpackStack(i);
  moveAToB();
  unpackStack(0);
  return compareOperands(quiet);
}

/** FCOM ST(0), ST(i). */
export function fcomSti(op: u32): i32 { return compareRegister(op, stackIndex(op), false, 0); }
/** FCOMP ST(0), ST(i). */
export function fcompSti(op: u32): i32 { return compareRegister(op, stackIndex(op), false, 1); }
/** FCOMPP. */
export function fcompp(op: u32): i32 { return compareRegister(op, 1, false, 2); }
/** FUCOM ST(i). */
export function fucomSti(op: u32): i32 { return compareRegister(op, stackIndex(op), true, 0); }
/** FUCOMP ST(i). */
export function fucompSti(op: u32): i32 { return compareRegister(op, stackIndex(op), true, 1); }
/** FUCOMPP. */
export function fucompp(op: u32): i32 { return compareRegister(op, 1, true, 2); }

/** Compares ST(0) with A, unpacked from memory. */
function compareWithA(op: u32, pops: u32): i32 {
  if (isEmpty(0)) {
    stackUnderflow();
    return finishCompare(op, UNORDERED, pops);
  }
  moveAToB();
  unpackStack(0);
  return finishCompare(op, compareOperands(false), pops);
}

/** T: u32 for binary32, u64 for binary64. */
function compareFloat<T>(op: u32, pops: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  unpack<T>(load<T>(pointer));
  return compareWithA(op, pops);
}

/** T: i16 or i32. */
function compareInteger<T>(op: u32, pops: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  const value = i64(load<T>(pointer));
  setANormalised(u32(value < 0), EXTENDED_BIAS + 63, u64(value < 0 ? -value : value));
  return compareWithA(op, pops);
}

/** FCOM m32. */
export function fcomM32(op: u32): i32 { return compareFloat<u32>(op, 0); }
/** FCOM m64. */
export function fcomM64(op: u32): i32 { return compareFloat<u64>(op, 0); }
/** FCOMP m32. */
export function fcompM32(op: u32): i32 { return compareFloat<u32>(op, 1); }
/** FCOMP m64. */
export function fcompM64(op: u32): i32 { return compareFloat<u64>(op, 1); }
/** FICOM m16. */
export function ficomM16(op: u32): i32 { return compareInteger<i16>(op, 0); }
/** FICOM m32. */
export function ficomM32(op: u32): i32 { return compareInteger<i32>(op, 0); }
/** FICOMP m16. */
export function ficompM16(op: u32): i32 { return compareInteger<i16>(op, 1); }
/** FICOMP m32. */
export function ficompM32(op: u32): i32 { return compareInteger<i32>(op, 1); }

/** Compares ST(0) with ST(i) into ZF, PF, CF; OF, SF and AF become 0. */
function compareToFlags(op: u32, quiet: bool, pops: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const outcome = compareWithStack(stackIndex(op), quiet);
  setArithmeticFlags(outcome);
  if (commitKeepingC1(op) && pops) pop();
  return 0;
}

/** FCOMI ST(0), ST(i). */
export function fcomi(op: u32): i32 { return compareToFlags(op, false, false); }
/** FCOMIP ST(0), ST(i). */
export function fcomip(op: u32): i32 { return compareToFlags(op, false, true); }
/** FUCOMI ST(0), ST(i). */
export function fucomi(op: u32): i32 { return compareToFlags(op, true, false); }
/** FUCOMIP ST(0), ST(i). */
export function fucomip(op: u32): i32 { return compareToFlags(op, true, true); }

/** Compares ST(0) with 0.0. */
export function ftst(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  setANormalised(0, 0, 0);
  return compareWithA(op, 0);
}

/** The class of ST(0) in C3, C2, C0 and its sign in C1; no exceptions. */
export function fxam(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  unpackStack(0);
  let found: u32 = STATUS_C2;
  if (isEmpty(0)) found = STATUS_C3 | STATUS_C0;
  else if (aKind == KIND_UNSUPPORTED) found = 0;
  else if (aKind >= KIND_QUIET_NAN) found = STATUS_C0;
  else if (aKind == KIND_INFINITE) found = STATUS_C2 | STATUS_C0;
  else if (aKind == KIND_ZERO) found = STATUS_C3;
  else if (operandFlags != 0) found = STATUS_C3 | STATUS_C2;
  const sign: u32 = (load<u16>(slot(0) + 8) >> 15) != 0 ? STATUS_C1 : 0;
  setStatus((status() & ~(STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3)) | found | sign);
  return 0;
}
