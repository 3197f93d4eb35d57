/**
 * INS and OUTS with their REP forms (Intel SDM vol 2; vol 1 §19.5 for the permission check).
 *
 * OUTS reads its element, moves the registers and only then leaves with EXIT_IO; while more is to be done the exit carries
 * instruction length 0, so that RIP stays. Up to eight bytes for one port go out together. INS first makes sure that its
 * destination can be written, then leaves to have the port read (length 0), and finds the answer when it is run again: the device is
 * read once, whatever happens to the store.
 *
 *   cpu + ANSWER_BASE   u32 state   u32 port, bytes of the access << 16   u64 RIP of the instruction   u64 the answer
 */
import * as L from "./generated/layout";
import { debugActive, keepResumeFlag, portBreakpoint } from "./debug";
import { FLAG_DF } from "./flags";
import { runsAlone } from "./host-debug";
import { checkPort } from "./intercepts";
import { probeWrite, readPointer } from "./memory";
import { OP_LENGTH, OP_SEGMENT } from "./op";
import { segmentedAddress, segmentLinear } from "./segments";
import { operandSize } from "./stack";
import { bail, cpu, exitFor, gpr, instructionRip } from "./state";
import { advance, again, counter, element, isRepeated, readElement, setAddressSize, setCounter, stepOf, writeElement } from "./strings";

const RCX: u32 = 1;
const RDX: u32 = 2;
const RSI: u32 = 6;
const RDI: u32 = 7;


const ANSWER_BASE: u32 = L.VCPU_AREA_portAnswer;
const ANSWER_STATE: u32 = ANSWER_BASE;
const ANSWER_ACCESS: u32 = ANSWER_BASE + 4;
const ANSWER_RIP: u32 = ANSWER_BASE + 8;
const ANSWER_VALUE: u32 = ANSWER_BASE + 16;
const STATE_NONE: u32 = 0;
const STATE_ASKED: u32 = 1;
const STATE_ANSWERED: u32 = 2;
/** Bytes that one exit can carry. */
const BATCH_MAX: u32 = 8;

/** 6C, 6E move bytes; 6D, 6F words of the operand size, 64 bits counting as 32. */
// @ts-ignore: decorator
@inline function wideSize(op: u32): u32 { return operandSize(op) == 2 ? 2 : 4; }

/** Takes the run loop's answer to the question of an INS, before guest code goes on. */
export function takePortAnswer(): void {
  if (load<u32>(cpu + ANSWER_STATE) != STATE_ASKED) return;
  store<u32>(cpu + ANSWER_STATE, STATE_ANSWERED);
  store<u64>(cpu + ANSWER_VALUE, load<u64>(cpu + L.VCPU_exitData));
}

/** Whether the INS at VCPU.rip has its answer and is to store it yet: the device was read, so no interrupt may come before that. */
export function storeAwaited(): bool {
  return load<u32>(cpu + ANSWER_STATE) == STATE_ANSWERED && load<u64>(cpu + ANSWER_RIP) == load<u64>(cpu + L.VCPU_rip);
}

/** EXIT_IO for `count` accesses of `size` bytes; `length` is 0 while the instruction is not complete. */
function leaveForPort(op: u32, size: u32, count: u32, length: u32, write: bool): i32 {
  const result = exitFor(L.EXIT_IO, op);
  store<u32>(cpu + L.VCPU_exitSize, length | (size << 8) | (count << 16));
  store<u64>(cpu + L.VCPU_exitAddress, gpr(RDX) & 0xffff);
  store<u32>(cpu + L.VCPU_exitWrite, write ? 1 : 0);
  return result;
}

/** Elements that the next exit takes: more than one only of bytes that lie in one page, upwards, with nobody watching. */
function batchOf(size: u32): u32 {
  if (size != 1 || debugActive() || runsAlone || (load<u64>(cpu + L.VCPU_rflags) & FLAG_DF) != 0) return 1;
  const inPage: u32 = 4096 - (u32(segmentLinear) & 0xfff);
  return min(min(inPage, BATCH_MAX), u32(min<u64>(counter(RCX), BATCH_MAX)));
}

function outString(op: u32, size: u32): i32 {
  setAddressSize(op);
  const repeats = isRepeated(op);
  if (checkPort(u32(gpr(RDX)) & 0xffff, size)) return bail;
  if (repeats && counter(RCX) == 0) return 0;
  const segment = u32(load<u8>(op + OP_SEGMENT));
  if (readElement(segment, RSI, size)) return bail;
  let count: u32 = repeats ? batchOf(size) : 1;
  let value = element;
  if (count > 1) {
    if (segmentedAddress(segment, counter(RSI), count, false)) count = 1;
    else {
      const pointer = readPointer(segmentLinear, count);
      if (!pointer) return bail;
      value = 0;
      for (let i: u32 = 0; i < count; i++) value |= u64(load<u8>(pointer + i)) << u64(i << 3);
    }
  }
  portBreakpoint(u32(gpr(RDX)) & 0xffff, size);
  advance(RSI, stepOf(size) * u64(count));
  if (repeats) setCounter(RCX, counter(RCX) - u64(count));
  store<u64>(cpu + L.VCPU_exitData, value);
  const more = repeats && counter(RCX) != 0;
  if (more) keepResumeFlag();
  return leaveForPort(op, size, count, more ? 0 : u32(load<u8>(op + OP_LENGTH)), true);
}

function inString(op: u32, size: u32): i32 {
  setAddressSize(op);
  const repeats = isRepeated(op);
  const port = u32(gpr(RDX)) & 0xffff;
  if (checkPort(port, size)) return bail;
  if (repeats && counter(RCX) == 0) return 0;
  const access = port | (size << 16);
  const answered = load<u32>(cpu + ANSWER_STATE) == STATE_ANSWERED && load<u32>(cpu + ANSWER_ACCESS) == access
    && load<u64>(cpu + ANSWER_RIP) == instructionRip(op);
  if (!answered) {
    if (segmentedAddress(L.SEGMENT_ES, counter(RDI), size, true)) return bail;
    const probed = probeWrite(segmentLinear, size);
    if (probed) return probed;
    store<u32>(cpu + ANSWER_STATE, STATE_ASKED);
    store<u32>(cpu + ANSWER_ACCESS, access);
    store<u64>(cpu + ANSWER_RIP, instructionRip(op));
    return leaveForPort(op, size, 1, 0, false);
  }
  const result = writeElement(load<u64>(cpu + ANSWER_VALUE), size);
  if (result) return result;
  portBreakpoint(port, size);
  store<u32>(cpu + ANSWER_STATE, STATE_NONE);
  advance(RDI, stepOf(size));
  if (!repeats) return 0;
  setCounter(RCX, counter(RCX) - 1);
  return again(op);
}

/** 6C. */
export function insByte(op: u32): i32 { return inString(op, 1); }
/** 6D. */
export function insWide(op: u32): i32 { return inString(op, wideSize(op)); }
/** 6E. */
export function outsByte(op: u32): i32 { return outString(op, 1); }
/** 6F. */
export function outsWide(op: u32): i32 { return outString(op, wideSize(op)); }
