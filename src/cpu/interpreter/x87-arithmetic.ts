/** FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR in all their forms, FSQRT, FCHS, FABS (Intel SDM vol 1 §8.3.5). */
import { addOperands, divideOperands, multiplyOperands, squareRootOperand, subtractOperands } from "./softfloat-arithmetic";
import { unpack } from "./softfloat-formats";
import { EXTENDED_BIAS, moveAToB, setANormalised, swapOperands } from "./softfloat-registers";
import { bail } from "./state";
import {
  beginRead, beginRegister, commit, controlledPrecision, isEmpty, packExtended, pop, setPacked, slot, stackIndex, stackUnderflow,
  storePacked, unpackStack,
} from "./x87-state";

// Numbered as the opcodes do, in ModRM.reg. The reversed forms take the operands the other way round.
const ADD: u32 = 0;
const MULTIPLY: u32 = 1;
const SUBTRACT: u32 = 4;
const SUBTRACT_REVERSED: u32 = 5;
const DIVIDE: u32 = 6;
const DIVIDE_REVERSED: u32 = 7;

/** Packs A op B, rounded to the controlled precision. */
function compute(operation: u32): void {
  if (operation == SUBTRACT_REVERSED || operation == DIVIDE_REVERSED) swapOperands();
  switch (operation) {
    case ADD: addOperands(); break;
    case MULTIPLY: multiplyOperands(); break;
    case SUBTRACT: case SUBTRACT_REVERSED: subtractOperands(); break;
    default: divideOperands();
  }
  packExtended(controlledPrecision());
}

/** ST(destination) := ST(0) op ST(i). */
function withRegister(op: u32, operation: u32, toSti: bool, pops: bool): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  const i = stackIndex(op);
  if (isEmpty(0) || isEmpty(i)) stackUnderflow();
  else {
    unpackStack(i);
    moveAToB();
    unpackStack(0);
    compute(operation);
  }
  if (commit(op)) {
    storePacked(toSti ? i : 0);
    if (pops) pop();
  }
  return 0;
}

/** ST(0) := ST(0) op A, A unpacked from memory. */
function withA(op: u32, operation: u32): i32 {
  if (isEmpty(0)) stackUnderflow();
  else {
    moveAToB();
    unpackStack(0);
    compute(operation);
  }
  if (commit(op)) storePacked(0);
  return 0;
}

/** T: u32 for binary32, u64 for binary64. */
function withFloat<T>(op: u32, operation: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  unpack<T>(load<T>(pointer));
  return withA(op, operation);
}

/** T: i16 or i32. */
function withInteger<T>(op: u32, operation: u32): i32 {
  const pointer = beginRead(op, sizeof<T>());
  if (pointer == 0) return bail;
  const value = i64(load<T>(pointer));
  setANormalised(u32(value < 0), EXTENDED_BIAS + 63, u64(value < 0 ? -value : value));
  return withA(op, operation);
}

/** FADD m32. */
export function faddM32(op: u32): i32 { return withFloat<u32>(op, ADD); }
/** FADD m64. */
export function faddM64(op: u32): i32 { return withFloat<u64>(op, ADD); }
/** FIADD m16. */
export function fiaddM16(op: u32): i32 { return withInteger<i16>(op, ADD); }
/** FIADD m32. */
export function fiaddM32(op: u32): i32 { return withInteger<i32>(op, ADD); }
/** FADD ST(0), ST(i). */
export function faddSt0(op: u32): i32 { return withRegister(op, ADD, false, false); }
/** FADD ST(i), ST(0). */
export function faddSti(op: u32): i32 { return withRegister(op, ADD, true, false); }
/** FADDP ST(i), ST(0). */
export function faddp(op: u32): i32 { return withRegister(op, ADD, true, true); }
/** FMUL m32. */
export function fmulM32(op: u32): i32 { return withFloat<u32>(op, MULTIPLY); }
/** FMUL m64. */
export function fmulM64(op: u32): i32 { return withFloat<u64>(op, MULTIPLY); }
/** FIMUL m16. */
export function fimulM16(op: u32): i32 { return withInteger<i16>(op, MULTIPLY); }
/** FIMUL m32. */
export function fimulM32(op: u32): i32 { return withInteger<i32>(op, MULTIPLY); }
/** FMUL ST(0), ST(i). */
export function fmulSt0(op: u32): i32 { return withRegister(op, MULTIPLY, false, false); }
/** FMUL ST(i), ST(0). */
export function fmulSti(op: u32): i32 { return withRegister(op, MULTIPLY, true, false); }
/** FMULP ST(i), ST(0). */
export function fmulp(op: u32): i32 { return withRegister(op, MULTIPLY, true, true); }
/** FSUB m32. */
export function fsubM32(op: u32): i32 { return withFloat<u32>(op, SUBTRACT); }
/** FSUB m64. */
export function fsubM64(op: u32): i32 { return withFloat<u64>(op, SUBTRACT); }
/** FISUB m16. */
export function fisubM16(op: u32): i32 { return withInteger<i16>(op, SUBTRACT); }
/** FISUB m32. */
export function fisubM32(op: u32): i32 { return withInteger<i32>(op, SUBTRACT); }
/** FSUB ST(0), ST(i). */
export function fsubSt0(op: u32): i32 { return withRegister(op, SUBTRACT, false, false); }
/** FSUBR ST(i), ST(0). */
export function fsubSti(op: u32): i32 { return withRegister(op, SUBTRACT, true, false); }
/** FSUBRP ST(i), ST(0). */
export function fsubp(op: u32): i32 { return withRegister(op, SUBTRACT, true, true); }
/** FSUBR m32. */
export function fsubrM32(op: u32): i32 { return withFloat<u32>(op, SUBTRACT_REVERSED); }
/** FSUBR m64. */
export function fsubrM64(op: u32): i32 { return withFloat<u64>(op, SUBTRACT_REVERSED); }
/** FISUBR m16. */
export function fisubrM16(op: u32): i32 { return withInteger<i16>(op, SUBTRACT_REVERSED); }
/** FISUBR m32. */
export function fisubrM32(op: u32): i32 { return withInteger<i32>(op, SUBTRACT_REVERSED); }
/** FSUBR ST(0), ST(i). */
export function fsubrSt0(op: u32): i32 { return withRegister(op, SUBTRACT_REVERSED, false, false); }
/** FSUB ST(i), ST(0). */
export function fsubrSti(op: u32): i32 { return withRegister(op, SUBTRACT_REVERSED, true, false); }
/** FSUBP ST(i), ST(0). */
export function fsubrp(op: u32): i32 { return withRegister(op, SUBTRACT_REVERSED, true, true); }
/** FDIV m32. */
export function fdivM32(op: u32): i32 { return withFloat<u32>(op, DIVIDE); }
/** FDIV m64. */
export function fdivM64(op: u32): i32 { return withFloat<u64>(op, DIVIDE); }
/** FIDIV m16. */
export function fidivM16(op: u32): i32 { return withInteger<i16>(op, DIVIDE); }
/** FIDIV m32. */
export function fidivM32(op: u32): i32 { return withInteger<i32>(op, DIVIDE); }
/** FDIV ST(0), ST(i). */
export function fdivSt0(op: u32): i32 { return withRegister(op, DIVIDE, false, false); }
/** FDIVR ST(i), ST(0). */
export function fdivSti(op: u32): i32 { return withRegister(op, DIVIDE, true, false); }
/** FDIVRP ST(i), ST(0). */
export function fdivp(op: u32): i32 { return withRegister(op, DIVIDE, true, true); }
/** FDIVR m32. */
export function fdivrM32(op: u32): i32 { return withFloat<u32>(op, DIVIDE_REVERSED); }
/** FDIVR m64. */
export function fdivrM64(op: u32): i32 { return withFloat<u64>(op, DIVIDE_REVERSED); }
/** FIDIVR m16. */
export function fidivrM16(op: u32): i32 { return withInteger<i16>(op, DIVIDE_REVERSED); }
/** FIDIVR m32. */
export function fidivrM32(op: u32): i32 { return withInteger<i32>(op, DIVIDE_REVERSED); }
/** FDIVR ST(0), ST(i). */
export function fdivrSt0(op: u32): i32 { return withRegister(op, DIVIDE_REVERSED, false, false); }
/** FDIV ST(i), ST(0). */
export function fdivrSti(op: u32): i32 { return withRegister(op, DIVIDE_REVERSED, true, false); }
/** FDIVP ST(i), ST(0). */
export function fdivrp(op: u32): i32 { return withRegister(op, DIVIDE_REVERSED, true, true); }

/** FSQRT. */
export function fsqrt(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackStack(0);
    squareRootOperand();
    packExtended(controlledPrecision());
  }
  if (commit(op)) storePacked(0);
  return 0;
}

/** Keeps the bits of the sign and exponent of ST(0) that are in `kept`, and flips those in `flipped`. */
function changeSign(op: u32, kept: u32, flipped: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  if (isEmpty(0)) stackUnderflow();
  else setPacked((u32(load<u16>(slot(0) + 8)) & kept) ^ flipped, load<u64>(slot(0)));
  if (commit(op)) storePacked(0);
  return 0;
}

/** FCHS. */
export function fchs(op: u32): i32 { return changeSign(op, 0xffff, 0x8000); }
/** FABS. */
export function fabs(op: u32): i32 { return changeSign(op, 0x7fff, 0); }
