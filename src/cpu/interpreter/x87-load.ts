/** x87 loads, constants and moves on the stack: FLD, FILD, FBLD, FLD1 .. FLDZ, FXCH, FCMOVcc (Intel SDM vol 1 §8.3.3, §8.3.4). */
import { conditionHolds } from "./flags";
import { unpack } from "./softfloat-formats";
import {
  EXTENDED_BIAS, FLOAT_INVALID, INTEGER_BIT, ROUND_NEAREST, ROUND_UP, exceptionFlags, raiseDenormal, roundingMode, setANormalised,
  unmaskedExceptions,
} from "./softfloat-registers";
import { propagateNan, setResultToA } from "./softfloat-result";
import { bail } from "./state";
import {
  beginRead, beginRegister, commit, commitKeepingC1, isEmpty, packExtended, packedHead, packedSignificand, pushPacked, setPacked, slot,
  stackIndex, stackOverflow, stackUnderflow, storePacked,
} from "./x87-state";

/** Pushes the packed result, unless the stack is full. */
function finishPush(op: u32): i32 {
  if (!isEmpty(7)) stackOverflow();
  if (commit(op)) pushPacked();
  return 0;
}

/** Packs the value read and pushes it, an unmasked denormal operand notwithstanding; T: u32 for binary32, u64 for binary64. */
function loadFloat<T>(op: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  if (isEmpty(7)) {
    unpack<T>(load<T>(pointer));
    if (!propagateNan()) {
      raiseDenormal();
      setResultToA();
    }
    packExtended(64);
  } else stackOverflow();
  commit(op);
  if ((exceptionFlags & unmaskedExceptions & FLOAT_INVALID) == 0) pushPacked();
  return 0;
}

/** FLD m32. */
export function fldM32(op: u32): i32 { return loadFloat<u32>(op); }
/** FLD m64. */
export function fldM64(op: u32): i32 { return loadFloat<u64>(op); }

/** FLD m80. */
export function fldM80(op: u32): i32 {
  const pointer = beginRead(op, 10);
  if (pointer == 0) return bail;
  setPacked(load<u16>(pointer + 8), load<u64>(pointer));
  return finishPush(op);
}

/** FLD ST(i). */
export function fldSti(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const i = stackIndex(op);
  if (!isEmpty(i)) {
    setPacked(load<u16>(slot(i) + 8), load<u64>(slot(i)));
    return finishPush(op);
  }
  stackUnderflow();
  if (commit(op)) pushPacked();
  return 0;
}

function packInteger(negative: bool, magnitude: u64): void {
  setANormalised(u32(negative), EXTENDED_BIAS + 63, magnitude);
  setResultToA();
  packExtended(64);
}

/** T: i16, i32, i64. */
function loadInteger<T>(op: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  const value = i64(load<T>(pointer));
  packInteger(value < 0, u64(value < 0 ? -value : value));
  return finishPush(op);
}

/** FILD m16. */
export function fildM16(op: u32): i32 { return loadInteger<i16>(op); }
/** FILD m32. */
export function fildM32(op: u32): i32 { return loadInteger<i32>(op); }
/** FILD m64. */
export function fildM64(op: u32): i32 { return loadInteger<i64>(op); }

/** 18 packed decimal digits, sign in the top bit of the last byte. */
export function fbld(op: u32): i32 {
  const pointer = beginRead(op, 10);
  if (pointer == 0) return bail;
  let magnitude: u64 = 0;
  for (let i = 8; i >= 0; i--) {
    const digits = load<u8>(pointer + i);
    magnitude = magnitude * 100 + u64(digits >> 4) * 10 + u64(digits & 15);
  }
  const negative = (load<u8>(pointer + 9) & 0x80) != 0;
  packInteger(negative, magnitude);
  if (magnitude == 0) setPacked(negative ? 0x8000 : 0, 0);
  return finishPush(op);
}

/** Pushes a constant given truncated to 64 bits of significand; `above`: the true value is nearer to the next one. No exception is raised. */
function loadConstant(op: u32, head: u32, significand: u64, above: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const exact = significand == 0 || significand == INTEGER_BIT;
  const raised = !exact && (roundingMode == ROUND_UP || (roundingMode == ROUND_NEAREST && above));
  setPacked(head, significand + u64(raised));
  return finishPush(op);
}

/** FLD1. */
export function fld1(op: u32): i32 { return loadConstant(op, 0x3fff, INTEGER_BIT, false); }
/** FLDL2T. */
export function fldl2t(op: u32): i32 { return loadConstant(op, 0x4000, 0xd49a_784b_cd1b_8afe, false); }
/** FLDL2E. */
export function fldl2e(op: u32): i32 { return loadConstant(op, 0x3fff, 0xb8aa_3b29_5c17_f0bb, true); }
/** FLDPI. */
export function fldpi(op: u32): i32 { return loadConstant(op, 0x4000, 0xc90f_daa2_2168_c234, true); }
/** FLDLG2. */
export function fldlg2(op: u32): i32 { return loadConstant(op, 0x3ffd, 0x9a20_9a84_fbcf_f798, true); }
/** FLDLN2. */
export function fldln2(op: u32): i32 { return loadConstant(op, 0x3ffe, 0xb172_17f7_d1cf_79ab, true); }
/** FLDZ. */
export function fldz(op: u32): i32 { return loadConstant(op, 0, 0, false); }

/** An empty register counts as holding the default NaN, once the stack fault is raised. */
export function fxch(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const i = stackIndex(op);
  const firstEmpty = isEmpty(0), secondEmpty = isEmpty(i);
  if (firstEmpty || secondEmpty) stackUnderflow();
  const head = firstEmpty ? packedHead : load<u16>(slot(0) + 8), significand = firstEmpty ? packedSignificand : load<u64>(slot(0));
  if (!commit(op)) return 0;
  if (!secondEmpty) setPacked(load<u16>(slot(i) + 8), load<u64>(slot(i)));
  storePacked(0);
  setPacked(head, significand);
  storePacked(i);
  return 0;
}

/** ST(0) := ST(i) if condition `code` of Jcc holds. */
function moveIf(op: u32, code: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const i = stackIndex(op);
  const underflows = isEmpty(0) || isEmpty(i);
  if (underflows) stackUnderflow();
  else setPacked(load<u16>(slot(i) + 8), load<u64>(slot(i)));
  if (commitKeepingC1(op) && (underflows || conditionHolds(code))) storePacked(0);
  return 0;
}

/** FCMOVB ST(0), ST(i). */
export function fcmovb(op: u32): i32 { return moveIf(op, 2); }
/** FCMOVE ST(0), ST(i). */
export function fcmove(op: u32): i32 { return moveIf(op, 4); }
/** FCMOVBE ST(0), ST(i). */
export function fcmovbe(op: u32): i32 { return moveIf(op, 6); }
/** FCMOVU ST(0), ST(i). */
export function fcmovu(op: u32): i32 { return moveIf(op, 10); }
/** FCMOVNB ST(0), ST(i). */
export function fcmovnb(op: u32): i32 { return moveIf(op, 3); }
/** FCMOVNE ST(0), ST(i). */
export function fcmovne(op: u32): i32 { return moveIf(op, 5); }
/** FCMOVNBE ST(0), ST(i). */
export function fcmovnbe(op: u32): i32 { return moveIf(op, 7); }
/** FCMOVNU ST(0), ST(i). */
export function fcmovnu(op: u32): i32 { return moveIf(op, 11); }
