/** x87 stores: FST, FSTP, FIST, FISTP, FISTTP, FBSTP (Intel SDM vol 1 §8.3.3). The memory is written before any register changes. */
import * as L from "./generated/layout";
import { write16, write32, write64, writeBytes } from "./memory";
import { pack } from "./softfloat-formats";
import { integerFromA, integerOfA, integerRest } from "./softfloat-integer";
import {
  EXTENDED_BIAS, FLOAT_INEXACT, FLOAT_INVALID, KIND_INFINITE, ROUND_ZERO, aExponent, aKind, aSign, exceptionFlags, raiseFloat, roundingMode,
  setExceptionFlags, setRoundedUp, unmaskedExceptions,
} from "./softfloat-registers";
import { propagateNan, setResultInvalid, setResultToA } from "./softfloat-result";
import { cpu, effectiveAddress } from "./state";
import {
  beginRegister, commit, enterX87, isEmpty, packedHead, packedSignificand, pop, recordPointers, setPacked, slot, stackIndex, stackUnderflow, storePacked,
  unpackStack,
} from "./x87-state";

/** Where the bytes to be written are put together. */
// @ts-ignore: decorator
@inline function staging(): u32 { return cpu + L.VCPU_AREA_scratch; }

/** Whether an unmasked exception other than inexact keeps the value from memory and ST(0) from being popped. Nothing was rounded then. */
function isRefused(): bool {
  if ((exceptionFlags & unmaskedExceptions & ~FLOAT_INEXACT) == 0) return false;
  setRoundedUp(0);
  setExceptionFlags(exceptionFlags & ~FLOAT_INEXACT);
  return true;
}

/** Writes the low bytes of `value` (T: u16, u32, u64), then commits and pops. */
function finishStore<T>(op: u32, value: u64, pops: bool): i32 {
  const refused = isRefused();
  if (!refused) {
    const address = effectiveAddress(op);
    const failed = sizeof<T>() == 2 ? write16(address, value) : sizeof<T>() == 4 ? write32(address, value) : write64(address, value);
    if (failed != 0) return failed;
  }
  return finishWritten(op, !refused && pops);
}

function finishWritten(op: u32, pops: bool): i32 {
  recordPointers(op);
  commit(op);
  if (pops) pop();
  return 0;
}

/** T: u32 for binary32, u64 for binary64. */
function storeFloat<T>(op: u32, pops: bool): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  if (isEmpty(0)) {
    stackUnderflow();
    setResultInvalid();
  } else {
    unpackStack(0);
    if (!propagateNan()) setResultToA();
  }
  return finishStore<T>(op, u64(pack<T>()), pops);
}

/** FST m32. */
export function fstM32(op: u32): i32 { return storeFloat<u32>(op, false); }
/** FST m64. */
export function fstM64(op: u32): i32 { return storeFloat<u64>(op, false); }
/** FSTP m32. */
export function fstpM32(op: u32): i32 { return storeFloat<u32>(op, true); }
/** FSTP m64. */
export function fstpM64(op: u32): i32 { return storeFloat<u64>(op, true); }

/** The value goes unchanged, whatever its kind. */
export function fstpM80(op: u32): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else setPacked(load<u16>(slot(0) + 8), load<u64>(slot(0)));
  return finishStore80(op);
}

/** Writes the packed ten bytes, then commits and pops. */
function finishStore80(op: u32): i32 {
  const refused = isRefused();
  if (!refused) {
    store<u64>(staging(), packedSignificand);
    store<u16>(staging() + 8, packedHead);
    const failed = writeBytes(effectiveAddress(op), staging(), 10);
    if (failed != 0) return failed;
  }
  return finishWritten(op, !refused);
}

function storeToStack(op: u32, pops: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else setPacked(load<u16>(slot(0) + 8), load<u64>(slot(0)));
  if (commit(op)) {
    storePacked(stackIndex(op));
    if (pops) pop();
  }
  return 0;
}

/** FST ST(i). */
export function fstSti(op: u32): i32 { return storeToStack(op, false); }
/** FSTP ST(i). */
export function fstpSti(op: u32): i32 { return storeToStack(op, true); }

/** The alias of FSTP ST(i) at D9 D8: an empty ST(0) is popped and nothing else. */
export function fstpUnchecked(op: u32): i32 {
  if (!isEmpty(0)) return storeToStack(op, true);
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  commit(op);
  pop();
  return 0;
}

/** T: u16, u32, u64. */
function storeInteger<T>(op: u32, truncates: bool, pops: bool): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  const bits: u32 = sizeof<T>() * 8;
  let value = -(<i64>1 << (bits - 1));
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackStack(0);
    value = integerFromA(truncates ? ROUND_ZERO : roundingMode, bits);
  }
  return finishStore<T>(op, u64(value), pops);
}

/** FIST m16. */
export function fistM16(op: u32): i32 { return storeInteger<u16>(op, false, false); }
/** FIST m32. */
export function fistM32(op: u32): i32 { return storeInteger<u32>(op, false, false); }
/** FISTP m16. */
export function fistpM16(op: u32): i32 { return storeInteger<u16>(op, false, true); }
/** FISTP m32. */
export function fistpM32(op: u32): i32 { return storeInteger<u32>(op, false, true); }
/** FISTP m64. */
export function fistpM64(op: u32): i32 { return storeInteger<u64>(op, false, true); }
/** FISTTP m16. */
export function fisttpM16(op: u32): i32 { return storeInteger<u16>(op, true, true); }
/** FISTTP m32. */
export function fisttpM32(op: u32): i32 { return storeInteger<u32>(op, true, true); }
/** FISTTP m64. */
export function fisttpM64(op: u32): i32 { return storeInteger<u64>(op, true, true); }

const DECIMAL_LIMIT: u64 = 1_000_000_000_000_000_000;

/** Packs A as 18 decimal digits, or the decimal indefinite. */
function packDecimal(): void {
  if (aKind < KIND_INFINITE && aExponent < EXTENDED_BIAS + 63) {
    let magnitude = integerOfA(roundingMode);
    if (magnitude < DECIMAL_LIMIT) {
      if (integerRest != 0) raiseFloat(FLOAT_INEXACT);
      let digits: u64 = 0;
      for (let shift: u64 = 0; shift < 64; shift += 4, magnitude /= 10) digits |= (magnitude % 10) << shift;
      setPacked((aSign << 15) | u32(magnitude / 10 * 16 + magnitude % 10), digits);
      return;
    }
  }
  setRoundedUp(0);
  raiseFloat(FLOAT_INVALID);
  setPacked(0xffff, 0xc000_0000_0000_0000);
}

/** FBSTP m80. */
export function fbstp(op: u32): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackStack(0);
    packDecimal();
  }
  return finishStore80(op);
}
