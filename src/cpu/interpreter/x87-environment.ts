/**
 * FNSTENV, FLDENV, FNSAVE, FRSTOR: the x87 state in its four formats (Intel SDM vol 1 §8.1.10, figures 8-9 to 8-12).
 *
 *   word (2 or 4 bytes each)   0 control  1 status  2 tags  3 FIP  4 FCS (real mode: high part of FIP, opcode)  5 FDP  6 FDS
 *
 * then, for FNSAVE and FRSTOR, ST(0) to ST(7) of 10 bytes each. The selectors FCS and FDS are stored as 0, as by processors that have
 * dropped them (CPUID.7.EBX bit 13).
 */
import * as L from "./generated/layout";
import { readPointer, writeBytes } from "./memory";
import { OP_BITS, OP_BITS_SIZE_MASK } from "./op";
import { FLAG_VM } from "./flags";
import { bail, cpu, effectiveAddress } from "./state";
import { initialiseX87, setControlWord } from "./x87-control";
import { STATUS_BUSY, STATUS_EXCEPTIONS, STATUS_SUMMARY, controlWord, enterWithoutWait, enterX87, setStatus, slot, status } from "./x87-state";

/** Where the bytes to be written are put together. */
// @ts-ignore: decorator
@inline function staging(): u32 { return cpu + L.VCPU_AREA_scratch; }
const REGISTERS_SIZE: u32 = 80;
const CR0_PE: u64 = 1;

const TAG_VALID: u32 = 0;
const TAG_ZERO: u32 = 1;
const TAG_SPECIAL: u32 = 2;
const TAG_EMPTY: u32 = 3;

/** Bytes of one word of the environment: 2 or 4. */
// @ts-ignore: decorator
@inline function wordSize(op: u32): u32 { return (load<u8>(op + OP_BITS) & OP_BITS_SIZE_MASK) == 1 ? 2 : 4; }

function isRealFormat(): bool {
  return (load<u64>(cpu + L.VCPU_cr0) & CR0_PE) == 0 || (load<u64>(cpu + L.VCPU_rflags) & FLAG_VM) != 0;
}

function tagOf(n: u32): u32 {
  if (((load<u32>(cpu + L.VCPU_fpuTag) >> n) & 1) == 0) return TAG_EMPTY;
  const address = cpu + L.VCPU_fpuRegisters + (n << 4);
  const significand = load<u64>(address), exponent = load<u16>(address + 8) & 0x7fff;
  if (exponent == 0 && significand == 0) return TAG_ZERO;
  return exponent == 0 || exponent == 0x7fff || i64(significand) >= 0 ? TAG_SPECIAL : TAG_VALID;
}

function fullTagWord(): u32 {
  let word: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) word |= tagOf(n) << (2 * n);
  return word;
}

/** Word n of the staged environment := value; the unused upper half of a 32-bit word, where there is one, is ones. */
function stageWord(size: u32, n: u32, value: u32): void {
  if (size == 2) store<u16>(staging() + (n << 1), value);
  else store<u32>(staging() + (n << 2), value | 0xffff_0000);
}

function stageWhole(size: u32, n: u32, value: u32): void {
  if (size == 2) store<u16>(staging() + (n << 1), value);
  else store<u32>(staging() + (n << 2), value);
}

function stageEnvironment(size: u32): void {
  const instruction = u32(load<u64>(cpu + L.VCPU_fpuInstructionPointer)), data = u32(load<u64>(cpu + L.VCPU_fpuDataPointer));
  const opcode = load<u32>(cpu + L.VCPU_fpuOpcode);
  stageWord(size, 0, controlWord());
  stageWord(size, 1, status());
  stageWord(size, 2, fullTagWord());
  if (isRealFormat()) {
    stageWord(size, 3, instruction & 0xffff);
    stageWhole(size, 4, ((instruction >> 16) << 12) | opcode);
    stageWord(size, 5, data & 0xffff);
    stageWhole(size, 6, (data >> 16) << 12);
    return;
  }
  stageWhole(size, 3, instruction);
  stageWhole(size, 4, size == 2 ? 0 : opcode << 16);
  stageWhole(size, 5, data);
  stageWord(size, 6, 0);
}

/** Stores the environment and masks all exceptions. */
export function fnstenv(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused != 0) return refused;
  const size = wordSize(op);
  stageEnvironment(size);
  const failed = writeBytes(effectiveAddress(op), staging(), 7 * size);
  if (failed != 0) return failed;
  store<u32>(cpu + L.VCPU_fpuControl, controlWord() | STATUS_EXCEPTIONS);
  setStatus(status() & ~(STATUS_SUMMARY | STATUS_BUSY));
  return 0;
}

/** Stores environment and registers, and initialises. */
export function fnsave(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused != 0) return refused;
  const size = wordSize(op);
  stageEnvironment(size);
  for (let i: u32 = 0; i < 8; i++) memory.copy(staging() + 7 * size + 10 * i, slot(i), 10);
  const failed = writeBytes(effectiveAddress(op), staging(), 7 * size + REGISTERS_SIZE);
  if (failed == 0) initialiseX87();
  return failed;
}

function loadedWord(pointer: u32, size: u32, n: u32): u32 {
  return size == 2 ? load<u16>(pointer + (n << 1)) : load<u32>(pointer + (n << 2));
}

function loadPointers(pointer: u32, size: u32): void {
  let instruction = loadedWord(pointer, size, 3), data = loadedWord(pointer, size, 5);
  const second = loadedWord(pointer, size, 4);
  let opcode = size == 2 ? 0 : second >> 16;
  if (isRealFormat()) {
    instruction = (instruction & 0xffff) | ((second >> 12) << 16);
    data = (data & 0xffff) | ((loadedWord(pointer, size, 6) >> 12) << 16);
    opcode = second;
  }
  store<u64>(cpu + L.VCPU_fpuInstructionPointer, instruction);
  store<u64>(cpu + L.VCPU_fpuDataPointer, data);
  store<u32>(cpu + L.VCPU_fpuOpcode, opcode & 0x7ff);
}

function loadEnvironment(pointer: u32, size: u32): void {
  const tags = loadedWord(pointer, size, 2);
  let inUse: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) != TAG_EMPTY) inUse |= (<u32>1) << n;
  store<u32>(cpu + L.VCPU_fpuTag, inUse);
  loadPointers(pointer, size);
  setStatus(loadedWord(pointer, size, 1) & 0xffff);
  setControlWord(loadedWord(pointer, size, 0));
}

/** Exceptions that are set and unmasked in what is loaded are raised by the next waiting instruction. */
export function fldenv(op: u32): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  const size = wordSize(op);
  const pointer = readPointer(effectiveAddress(op), 7 * size);
  if (pointer == 0) return bail;
  loadEnvironment(pointer, size);
  return 0;
}

/** As fldenv, with the registers. */
export function frstor(op: u32): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  const size = wordSize(op);
  const pointer = readPointer(effectiveAddress(op), 7 * size + REGISTERS_SIZE);
  if (pointer == 0) return bail;
  loadEnvironment(pointer, size);
  for (let i: u32 = 0; i < 8; i++) memory.copy(slot(i), pointer + 7 * size + 10 * i, 10);
  return 0;
}
