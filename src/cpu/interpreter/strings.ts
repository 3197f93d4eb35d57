/**
 * MOVS, STOS, LODS, CMPS, SCAS and their REP forms (Intel SDM vol 2; vol 1 §7.3.9).
 *
 * Progress is kept in RCX, RSI and RDI, so every fault and every exit finds an instruction that can be run again from where it
 * is. A long REP returns to the dispatcher after STEP_BYTES, RIP still at it, so that interrupts are seen. Forward REP MOVS and REP STOS
 * go as far as the pages that the TLB has at once (with 64-bit addresses); elsewhere they work in pieces of up to 512 bytes that cross no page, and
 * the first element in each page goes alone, so that a device page, which answers one access at a time, is never asked for a piece.
 */
import * as L from "./generated/layout";
import { scratch, SCRATCH_SIZE } from "./descriptors";
import { debugActive, keepResumeFlag } from "./debug";
import { FLAG_DF, zeroFlag } from "./flags";
import { runsAlone } from "./host-debug";
import { knownPointer, readPointer, write16, write32, write64, write8, writeBytes } from "./memory";
import { BAIL_JUMP, OP_BITS, OP_BITS_ADDRESS_SHIFT, OP_BITS_REP, OP_BITS_REPNE, OP_SEGMENT } from "./op";
import { segmentedAddress, segmentLinear } from "./segments";
import { bail, cpu, gpr, instructionRip, setGpr } from "./state";

const RAX: u32 = 0;
const RCX: u32 = 1;
const RSI: u32 = 6;
const RDI: u32 = 7;

/** Bytes after which a REP looks for interrupts. */
const STEP_BYTES: u32 = 0x1_0000;
/** Elements after which the instructions that go element by element do. */
const STEP_ELEMENTS: u32 = 4096;

/** Address size of the instruction that is executed: what RSI, RDI and RCX are masked with. */
let addressMask: u64 = 0;
/** The element that was read last. */
export let element: u64 = 0;

/** Whether REP or REPNE stands in front. */
// @ts-ignore: decorator
@inline export function isRepeated(op: u32): bool { return (load<u8>(op + OP_BITS) & (OP_BITS_REP | OP_BITS_REPNE)) != 0; }
/** Signed distance to the next element. */
// @ts-ignore: decorator
@inline export function stepOf(size: u32): u64 { return (load<u64>(cpu + L.VCPU_rflags) & FLAG_DF) != 0 ? u64(-i64(size)) : u64(size); }

/** Takes the address size of `op` for all that follows. */
export function setAddressSize(op: u32): void {
  const size = (u32(load<u8>(op + OP_BITS)) >> OP_BITS_ADDRESS_SHIFT) & 3;
  addressMask = size == 2 ? ~(<u64>0) : size == 1 ? 0xffff_ffff : 0xffff;
}

/** RCX, RSI or RDI at the address size. */
// @ts-ignore: decorator
@inline export function counter(register: u32): u64 { return gpr(register) & addressMask; }

/** Writes RCX, RSI or RDI at the address size: 16 bits keep the rest, 32 clear the upper half. */
export function setCounter(register: u32, value: u64): void {
  setGpr(register, addressMask == 0xffff ? (gpr(register) & ~addressMask) | (value & addressMask) : value & addressMask);
}

/** Moves RSI or RDI by `distance`. */
// @ts-ignore: decorator
@inline export function advance(register: u32, distance: u64): void { setCounter(register, counter(register) + distance); }

/** Reads the element at `register` of `segment` into `element`. Returns 0 or BAIL_*. */
export function readElement(segment: u32, register: u32, size: u32): i32 {
  if (segmentedAddress(segment, counter(register), size, false)) return bail;
  const pointer = readPointer(segmentLinear, size);
  if (!pointer) return bail;
  if (size == 8) element = load<u64>(pointer);
  else if (size == 4) element = u64(load<u32>(pointer));
  else if (size == 2) element = u64(load<u16>(pointer));
  else element = u64(load<u8>(pointer));
  return 0;
}

/** Writes an element to ES:RDI. Returns 0 or BAIL_*. */
export function writeElement(value: u64, size: u32): i32 {
  if (segmentedAddress(L.SEGMENT_ES, counter(RDI), size, true)) return bail;
  if (size == 8) return write64(segmentLinear, value);
  if (size == 4) return write32(segmentLinear, value);
  return size == 2 ? write16(segmentLinear, value) : write8(segmentLinear, value);
}

/** Leaves for the dispatcher with RIP at the instruction when there is more to do. */
export function again(op: u32): i32 {
  if (counter(RCX) == 0) return 0;
  keepResumeFlag();
  store<u64>(cpu + L.VCPU_rip, instructionRip(op));
  return BAIL_JUMP;
}

// ---------------------------------------------------------------------------------------------------- MOVS and STOS

function moveElement(op: u32, size: u32): i32 {
  if (readElement(u32(load<u8>(op + OP_SEGMENT)), RSI, size)) return bail;
  const result = writeElement(element, size);
  if (result) return result;
  const step = stepOf(size);
  advance(RSI, step);
  advance(RDI, step);
  return 0;
}

function storeElement(op: u32, size: u32): i32 {
  const result = writeElement(gpr(RAX), size);
  if (result) return result;
  advance(RDI, stepOf(size));
  return 0;
}

/** Bytes from offset `at` to the end of its page, or of the address space of the address size. */
// @ts-ignore: decorator
@inline function toPageEnd(at: u64): u32 { return 4096 - (u32(at) & 0xfff); }

/** Bytes, a multiple of `size`, that can be moved as one piece from source and to destination. 0: go element by element. */
function pieceBytes(size: u32, source: u64, destination: u64, moves: bool): u32 {
  const most = min(toPageEnd(destination), SCRATCH_SIZE);
  return moves ? transferBytes(size, min(most, toPageEnd(source)), destination - source) : transferBytes(size, most, 0);
}

/** Bytes that a REP MOVS or REP STOS may still do before it looks for interrupts: where it does must not depend on what the TLB had. */
let stepBytes: u32 = 0;

/** Bytes, a multiple of `size` and at most `most`, that RCX elements have before the destination, `distance` above the source, repeats what was just written. */
function transferBytes(size: u32, most: u32, distance: u64): u32 {
  let bytes = min(min(most, stepBytes), u32(min<u64>(counter(RCX), 4096)) * size);
  if (distance != 0 && distance < u64(bytes)) bytes = u32(distance);
  return bytes & ~(size - 1);
}

/** Moves one piece. Returns 0 or BAIL_*; `pieceDone` says how many bytes. */
function movePiece(op: u32, size: u32): i32 {
  pieceDone = 0;
  const segment = u32(load<u8>(op + OP_SEGMENT));
  if (segmentedAddress(segment, counter(RSI), size, false)) return bail;
  const source = segmentLinear;
  if (segmentedAddress(L.SEGMENT_ES, counter(RDI), size, true)) return bail;
  const bytes = pieceBytes(size, source, segmentLinear, true);
  if (bytes == 0 || segmentedAddress(segment, counter(RSI), bytes, false)) return 0;
  if (segmentedAddress(L.SEGMENT_ES, counter(RDI), bytes, true)) return 0;
  const pointer = readPointer(source, bytes);
  if (!pointer) return bail;
  const result = writeBytes(segmentLinear, pointer, bytes);
  if (result) return result;
  advance(RSI, u64(bytes));
  advance(RDI, u64(bytes));
  pieceDone = bytes;
  return 0;
}
let pieceDone: u32 = 0;

/** Stores one piece from the pattern in the scratch buffer. */
function storePiece(size: u32): i32 {
  pieceDone = 0;
  if (segmentedAddress(L.SEGMENT_ES, counter(RDI), size, true)) return bail;
  const bytes = pieceBytes(size, 0, segmentLinear, false);
  if (bytes == 0 || segmentedAddress(L.SEGMENT_ES, counter(RDI), bytes, true)) return 0;
  const result = writeBytes(segmentLinear, scratch(), bytes);
  if (result) return result;
  advance(RDI, u64(bytes));
  pieceDone = bytes;
  return 0;
}

/** The low `size` bytes of `value`, again and again. */
function repeated(value: u64, size: u32): u64 {
  if (size == 1) return (value & 0xff) * 0x0101_0101_0101_0101;
  if (size == 2) return (value & 0xffff) * 0x0001_0001_0001_0001;
  return size == 4 ? (value & 0xffff_ffff) * 0x1_0000_0001 : value;
}

/** Fills the scratch buffer with RAX, `size` bytes at a time. */
function fillPattern(size: u32): void {
  const wide = repeated(gpr(RAX), size);
  for (let at: u32 = 0; at < SCRATCH_SIZE; at += 8) store<u64>(scratch() + at, wide);
}

/** Moves what lies in one page at either end, if the TLB has both pages. Returns how many bytes; 0: go another way. */
function moveSpan(op: u32, size: u32): u32 {
  const destination = gpr(RDI);
  const to = knownPointer(destination, L.TLB_TAG_WRITE);
  if (to == 0) return 0;
  segmentedAddress(u32(load<u8>(op + OP_SEGMENT)), gpr(RSI), size, false);
  const from = knownPointer(segmentLinear, L.TLB_TAG_READ);
  if (from == 0) return 0;
  const bytes = transferBytes(size, min(toPageEnd(destination), toPageEnd(segmentLinear)), destination - segmentLinear);
  if (bytes == 0) return 0;
  memory.copy(to, from, bytes);
  setGpr(RSI, gpr(RSI) + u64(bytes));
  return bytes;
}

/** As moveSpan, for REP STOS. */
function storeSpan(size: u32): u32 {
  const destination = gpr(RDI);
  const to = knownPointer(destination, L.TLB_TAG_WRITE);
  if (to == 0) return 0;
  const bytes = transferBytes(size, toPageEnd(destination), 0);
  const value = repeated(gpr(RAX), size);
  if (value == repeated(value, 1)) memory.fill(to, u8(value), bytes);
  else {
    // Rows of eight bytes from the end on, the first of which has those that are left over.
    for (let at = bytes; at >= 8; at -= 8) store<u64>(to + at - 8, value);
    const rest = bytes & 7;
    for (let at: u32 = 0; at < rest; at += size) memory.copy(to + at, cpu + L.VCPU_gpr, size);
  }
  return bytes;
}

/** REP MOVS (`moves`) and REP STOS, forwards and backwards. */
function repeatTransfer(op: u32, size: u32, moves: bool): i32 {
  // A device answered one access: only that element is done before it is asked for the next. A debugger sees each one.
  const single = load<u32>(cpu + L.VCPU_mmioState) != 0 || debugActive() || runsAlone;
  const forward = (load<u64>(cpu + L.VCPU_rflags) & FLAG_DF) == 0;
  const spans = forward && !single && addressMask == ~(<u64>0);
  stepBytes = STEP_BYTES;
  let patternReady = false;
  while (counter(RCX) != 0) {
    if (stepBytes == 0) return again(op);
    const span = spans ? (moves ? moveSpan(op, size) : storeSpan(size)) : 0;
    if (span != 0) {
      setGpr(RDI, gpr(RDI) + u64(span));
      setGpr(RCX, gpr(RCX) - u64(span / size));
      stepBytes -= span;
      continue;
    }
    const result = moves ? moveElement(op, size) : storeElement(op, size);
    if (result) return result;
    setCounter(RCX, counter(RCX) - 1);
    if (single) return again(op);
    stepBytes -= size;
    if (!forward) continue;
    if (!moves && !patternReady && counter(RCX) > 8) { fillPattern(size); patternReady = true; }
    if (!moves && !patternReady) continue;
    // Pieces up to the end of the page whose first element is done.
    while (!startsPage(op, moves) && counter(RCX) != 0) {
      const piece = moves ? movePiece(op, size) : storePiece(size);
      if (piece) return piece;
      if (pieceDone == 0) break;
      setCounter(RCX, counter(RCX) - u64(pieceDone / size));
      stepBytes -= pieceDone;
    }
  }
  return 0;
}

/** Whether the next element begins a page at the source or the destination. */
function startsPage(op: u32, moves: bool): bool {
  return (u32(gpr(RDI)) & 0xfff) == 0 || (moves && (u32(gpr(RSI)) & 0xfff) == 0);
}

function moveString(op: u32, size: u32): i32 {
  setAddressSize(op);
  return isRepeated(op) ? repeatTransfer(op, size, true) : moveElement(op, size);
}

function storeString(op: u32, size: u32): i32 {
  setAddressSize(op);
  return isRepeated(op) ? repeatTransfer(op, size, false) : storeElement(op, size);
}

/** A4 with 8-bit elements. */
export function movs8(op: u32): i32 { return moveString(op, 1); }
/** A5 with 16-bit elements. */
export function movs16(op: u32): i32 { return moveString(op, 2); }
/** A5 with 32-bit elements. */
export function movs32(op: u32): i32 { return moveString(op, 4); }
/** A5 with 64-bit elements. */
export function movs64(op: u32): i32 { return moveString(op, 8); }
/** AA with 8-bit elements. */
export function stos8(op: u32): i32 { return storeString(op, 1); }
/** AB with 16-bit elements. */
export function stos16(op: u32): i32 { return storeString(op, 2); }
/** AB with 32-bit elements. */
export function stos32(op: u32): i32 { return storeString(op, 4); }
/** AB with 64-bit elements. */
export function stos64(op: u32): i32 { return storeString(op, 8); }

// ---------------------------------------------------------------------------------------------------- LODS, CMPS, SCAS

function loadElement(op: u32, size: u32): i32 {
  if (readElement(u32(load<u8>(op + OP_SEGMENT)), RSI, size)) return bail;
  const register = cpu + L.VCPU_gpr;
  if (size == 1) store<u8>(register, u8(element));
  else if (size == 2) store<u16>(register, u16(element));
  else store<u64>(register, element);
  advance(RSI, stepOf(size));
  return 0;
}

/** Sets the flags of first - second. Bit n of `borrows` is the borrow out of bit n. */
function compare(first: u64, second: u64, size: u32): void {
  const shift = u64(64 - (size << 3));
  const difference = first - second;
  const borrows = (~first & second) | ((~first | second) & difference);
  store<u64>(cpu + L.VCPU_flagResult, u64(i64(difference << shift) >> i64(shift)));
  store<u64>(cpu + L.VCPU_flagAux, ((borrows << shift) & 0xc000_0000_0000_0000) | (borrows & 8));
  store<u64>(cpu + L.VCPU_flagExtra, 0);
}

function compareElements(op: u32, size: u32): i32 {
  if (readElement(u32(load<u8>(op + OP_SEGMENT)), RSI, size)) return bail;
  const first = element;
  if (readElement(L.SEGMENT_ES, RDI, size)) return bail;
  compare(first, element, size);
  const step = stepOf(size);
  advance(RSI, step);
  advance(RDI, step);
  return 0;
}

function scanElement(op: u32, size: u32): i32 {
  if (readElement(L.SEGMENT_ES, RDI, size)) return bail;
  const mask = ~(<u64>0) >> u64(64 - (size << 3));
  compare(gpr(RAX) & mask, element, size);
  advance(RDI, stepOf(size));
  return 0;
}

const LODS: u32 = 0;
const CMPS: u32 = 1;
const SCAS: u32 = 2;

// @ts-ignore: decorator
@inline function oneElement(op: u32, size: u32, kind: u32): i32 {
  return kind == LODS ? loadElement(op, size) : kind == CMPS ? compareElements(op, size) : scanElement(op, size);
}

/** A repetition that is not over, or has faulted, shows the flags from before it. */
function keepFlags(result: u64, extra: u64, aux: u64, answer: i32): i32 {
  if (answer == 0) return 0;
  store<u64>(cpu + L.VCPU_flagResult, result);
  store<u64>(cpu + L.VCPU_flagExtra, extra);
  store<u64>(cpu + L.VCPU_flagAux, aux);
  return answer;
}

/** REPE goes on while ZF is set, REPNE while it is clear; LODS has no condition. */
// @ts-ignore: decorator
@inline function repeatElements(op: u32, size: u32, kind: u32): i32 {
  setAddressSize(op);
  if (!isRepeated(op)) return oneElement(op, size, kind);
  const whileZero = (load<u8>(op + OP_BITS) & OP_BITS_REPNE) == 0;
  const result = load<u64>(cpu + L.VCPU_flagResult);
  const extra = load<u64>(cpu + L.VCPU_flagExtra);
  const aux = load<u64>(cpu + L.VCPU_flagAux);
  const most: u32 = debugActive() || runsAlone ? 1 : STEP_ELEMENTS;
  for (let n: u32 = 0; counter(RCX) != 0; n++) {
    if (n == most) return keepFlags(result, extra, aux, again(op));
    const failed = oneElement(op, size, kind);
    if (failed) return keepFlags(result, extra, aux, failed);
    setCounter(RCX, counter(RCX) - 1);
    if (kind != LODS && zeroFlag(cpu) != whileZero) return 0;
  }
  return 0;
}

/** AC with 8-bit elements. */
export function lods8(op: u32): i32 { return repeatElements(op, 1, LODS); }
/** AD with 16-bit elements. */
export function lods16(op: u32): i32 { return repeatElements(op, 2, LODS); }
/** AD with 32-bit elements. */
export function lods32(op: u32): i32 { return repeatElements(op, 4, LODS); }
/** AD with 64-bit elements. */
export function lods64(op: u32): i32 { return repeatElements(op, 8, LODS); }
/** A6 with 8-bit elements. */
export function cmps8(op: u32): i32 { return repeatElements(op, 1, CMPS); }
/** A7 with 16-bit elements. */
export function cmps16(op: u32): i32 { return repeatElements(op, 2, CMPS); }
/** A7 with 32-bit elements. */
export function cmps32(op: u32): i32 { return repeatElements(op, 4, CMPS); }
/** A7 with 64-bit elements. */
export function cmps64(op: u32): i32 { return repeatElements(op, 8, CMPS); }
/** AE with 8-bit elements. */
export function scas8(op: u32): i32 { return repeatElements(op, 1, SCAS); }
/** AF with 16-bit elements. */
export function scas16(op: u32): i32 { return repeatElements(op, 2, SCAS); }
/** AF with 32-bit elements. */
export function scas32(op: u32): i32 { return repeatElements(op, 4, SCAS); }
/** AF with 64-bit elements. */
export function scas64(op: u32): i32 { return repeatElements(op, 8, SCAS); }
