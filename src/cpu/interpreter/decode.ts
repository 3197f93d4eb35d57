/**
 * The decoder: guest bytes to op records, driven by the tables that src/cpu/generate builds from the instruction table.
 * Intel SDM vol 2 chapter 2 (instruction format). Formats of the tables: src/cpu/generate/decoder-tables.ts.
 */
import * as L from "./generated/layout";
import {
  HANDLER_ADDRESS_32, HANDLER_ADDRESS_ABSOLUTE, HANDLER_ADDRESS_LEGACY, HANDLER_ADDRESS_ONLY, HANDLER_ADDRESS_SEGMENT, HANDLER_HOST_BREAKPOINT,
  HANDLER_INVALID, HANDLER_TOO_LONG, HANDLER_TRACE_END,
} from "./generated/handlers";
import { FUSION_HANDLERS, FUSION_INDEX, FUSIONS, MAPS, NODES, ROWS } from "./generated/tables";
import {
  ADDRESS_WRITES, OP_BITS, OP_BITS_ADDRESS_SHIFT, OP_BITS_LOCK, OP_BITS_MEMORY, OP_BITS_REP, OP_BITS_REPNE, OP_DISPLACEMENT, OP_HANDLER, OP_IMMEDIATE, OP_INDEX,
  OP_LENGTH, OP_REG, OP_RIP_OFFSET, OP_RM, OP_SCALE, OP_SEGMENT, OP_SIZE, TRACE_BYTES, TRACE_HEADER_SIZE, TRACE_INSTRUCTIONS, TRACE_RIP,
} from "./op";
import { cpu, gprAddress, segmentAddress } from "./state";
import { beginDecoding } from "./code-sharing";
import { isHostBreakpoint } from "./host-debug";
import { fetchGfn, fetchPointer } from "./memory";

const ROW_SIZE: u32 = 48;
const ROW_LOCK: u32 = 1;
const ROW_ONLY64: u32 = 2;
const ROW_NOT64: u32 = 4;
const ROW_ENDS_TRACE: u32 = 8;
const ROW_MODRM: u32 = 16;
const ROW_ADDRESS_ONLY: u32 = 32;
const ROW_STACK_INDEX: u32 = 64;
const ROW_SWAP: u32 = 128;
const ROW_JUMP: u32 = 256;
const ROW_REGISTER_ONLY: u32 = 512;
const ROW_MANDATORY_66: u32 = 1024;
const ROW_CONDITIONAL: u32 = 2048;
const ROW_WRITES: u32 = 4096;

const KIND_GPR8: u32 = 1, KIND_GPR: u32 = 2, KIND_XMM: u32 = 3, KIND_MMX: u32 = 4, KIND_SEGMENT: u32 = 5, KIND_CONTROL: u32 = 6, KIND_DEBUG: u32 = 7;
const KIND_OPCODE8: u32 = 8, KIND_OPCODE: u32 = 9, KIND_ACCUMULATOR: u32 = 10, KIND_CL: u32 = 11, KIND_IMMEDIATE: u32 = 12;

const INSTRUCTION_BYTES_MAX: u32 = 15;
/** Conditional jumps in a trace at most; what is behind one that is often taken is decoded in vain. */
const TRACE_JUMPS_MAX: u32 = 4;
/** Stands in OP_SEGMENT of a conditional jump of 64-bit mode, which has no memory operand. */
const SEGMENT_OF_JUMP: u8 = 0xff;

/** Instructions in the next trace at most; 1 while single-stepping. */
let instructionsMax: u32 = L.TRACE_INSTRUCTIONS_MAX;
export function setSingleInstructionTraces(single: bool): void { instructionsMax = single ? 1 : L.TRACE_INSTRUCTIONS_MAX; }
/** Whether the next trace has one instruction only. */
export function singleInstructionTraces(): bool { return instructionsMax == 1; }

/** Guest page of the second half of the instruction that spans two pages, after decodeTrace made such a trace. */
export let decodedSecondGfn: u32 = 0;

// Results of decodeOne.
let decodedLength: u32 = 0;
let decodedEnds: bool = false;
/** The instruction is a conditional jump of 64-bit mode; its condition code is in OP_SCALE. */
let decodedJump: bool = false;

// The instruction being decoded.
let cursor: u32 = 0;
let rex: u32 = 0;
let segmentOverride: i32 = -1;
let operandPrefix: bool = false;
let addressPrefix: bool = false;
let lockPrefix: bool = false;
/** 0, or the last of F2 and F3. */
let repeatPrefix: u32 = 0;
let invalid: bool = false;

/** Decodes from host address `code` (linear address `linear`) into `trace`, whose header it completes. Returns the end, 0 on a fetch fault. */
export function decodeTrace(trace: u32, linear: u64, code: u32, mode: u32): u32 {
  const pageOffset = u32(linear) & 0xfff;
  const buffer = cpu + L.VCPU_AREA_fetch;
  let op = trace + TRACE_HEADER_SIZE;
  let count: u32 = 0;
  let bytes: u32 = 0;
  let jumps: u32 = 0;
  if (instructionsMax != 1 && isHostBreakpoint(linear)) { // An instruction with a breakpoint of the host begins a trace, behind an op that leaves.
    clearOp(op, 0);
    store<u16>(op + OP_HANDLER, HANDLER_HOST_BREAKPOINT);
    op += OP_SIZE;
  }
  while (count < instructionsMax) {
    if (count > 0 && isHostBreakpoint(linear + u64(bytes))) break;
    const available: u32 = 4096 - pageOffset - bytes;
    if (i32(available) <= 0) break;
    let next: u32;
    if (available >= INSTRUCTION_BYTES_MAX) {
      next = decodeOne(trace, op, code + bytes, bytes, mode);
    } else {
      memory.fill(buffer, 0, 48);
      memory.copy(buffer, code + bytes, available);
      next = decodeOne(trace, op, buffer, bytes, mode);
      if (decodedLength > available) {
        if (count > 0) break;
        const second = fetchPointer((linear | 0xfff) + 1);
        if (second == 0) return 0;
        decodedSecondGfn = fetchGfn & ~L.TLB_GLOBAL;
        beginDecoding(decodedSecondGfn);
        memory.copy(buffer + available, second, 16);
        next = decodeOne(trace, op, buffer, bytes, mode);
      }
    }
    if (decodedJump && count > 0 && next == op + OP_SIZE) fuse(op - OP_SIZE, op);
    op = next;
    count++;
    bytes += decodedLength;
    if (decodedJump && ++jumps == TRACE_JUMPS_MAX) break;
    if (decodedEnds) break;
  }
  if (jumps != 0) countBehindJumps(trace, count);
  clearOp(op, bytes);
  store<u16>(op + OP_HANDLER, HANDLER_TRACE_END);
  store<i32>(op + OP_DISPLACEMENT, i32(bytes));
  store<u16>(trace + TRACE_INSTRUCTIONS, u16(count));
  store<u16>(trace + TRACE_BYTES, u16(bytes));
  return op + OP_SIZE;
}

/** Gives each conditional jump in `trace` the number of instructions behind it: what is not executed when it is taken. */
function countBehindJumps(trace: u32, count: u32): void {
  let behind = count;
  for (let op = trace + TRACE_HEADER_SIZE; behind != 0; op += OP_SIZE) {
    if (load<u8>(op + OP_LENGTH) == 0) continue;
    behind--;
    if (load<u8>(op + OP_SEGMENT) == SEGMENT_OF_JUMP) store<u32>(op + OP_IMMEDIATE + 4, behind);
  }
}

/** Lets the comparison at `first` do the conditional jump at `second` too, where there is a handler for both. */
function fuse(first: u32, second: u32): void {
  const handler = u32(load<u16>(first + OP_HANDLER));
  if (handler >= FUSION_HANDLERS) return;
  const row = u32(load<u8>(u32(FUSION_INDEX) + handler));
  if (row == 0) return;
  const both = load<u16>(u32(FUSIONS) + (((row - 1) << 4) + u32(load<u8>(second + OP_SCALE))) * 2);
  if (both != 0) store<u16>(first + OP_HANDLER, both);
}

function clearOp(op: u32, ripOffset: u32): void {
  memory.fill(op, 0, OP_SIZE);
  store<u16>(op + OP_RIP_OFFSET, u16(ripOffset));
  const zero = cpu + L.VCPU_zero;
  store<u32>(op + OP_REG, zero);
  store<u32>(op + OP_RM, zero);
  store<u32>(op + OP_INDEX, zero);
}

// @ts-ignore: decorator
@inline function nextByte(): u32 { const value = u32(load<u8>(cursor)); cursor++; return value; }

function readPrefixes(mode: u32, start: u32): u32 {
  rex = 0;
  segmentOverride = -1;
  operandPrefix = false;
  addressPrefix = false;
  lockPrefix = false;
  repeatPrefix = 0;
  while (true) {
    const byte = nextByte();
    if (cursor - start > INSTRUCTION_BYTES_MAX) return byte;
    switch (byte) {
      // 64-bit mode ignores these four, even for the choice between #SS and #GP.
      case 0x26: if (mode != L.MODE_64) segmentOverride = L.SEGMENT_ES; break;
      case 0x2e: if (mode != L.MODE_64) segmentOverride = L.SEGMENT_CS; break;
      case 0x36: if (mode != L.MODE_64) segmentOverride = L.SEGMENT_SS; break;
      case 0x3e: if (mode != L.MODE_64) segmentOverride = L.SEGMENT_DS; break;
      case 0x64: segmentOverride = L.SEGMENT_FS; break;
      case 0x65: segmentOverride = L.SEGMENT_GS; break;
      case 0x66: operandPrefix = true; break;
      case 0x67: addressPrefix = true; break;
      case 0xf0: lockPrefix = true; break;
      case 0xf2: case 0xf3: repeatPrefix = byte; break;
      default:
        if (mode == L.MODE_64 && (byte & 0xf0) == 0x40) { rex = byte; continue; }
        return byte;
    }
    // A REX prefix counts only directly in front of the opcode.
    rex = 0;
  }
}

/** Row record of the opcode at the cursor, whose first byte is `byte`; 0 when there is none. Leaves the cursor behind the opcode. */
function findRow(byte: u32, mode: u32): u32 {
  let map: u32 = 0;
  if (byte == 0x0f) {
    map = 1;
    byte = nextByte();
    if (byte == 0x38) { map = 2; byte = nextByte(); }
    else if (byte == 0x3a) { map = 3; byte = nextByte(); }
  }
  // 90 is NOP, but with REX.B it exchanges R8 with the accumulator: the family of 91..97.
  opcodeByte = byte;
  if (map == 0 && byte == 0x90 && (rex & 1) != 0) byte = 0x91;
  let entry = u32(load<u16>(u32(MAPS) + (map * 256 + byte) * 2));
  const modrm = u32(load<u8>(cursor));
  while ((entry & 0x8000) != 0) {
    const node = u32(NODES) + (entry & 0x7fff) * 2;
    let index: u32 = 0;
    switch (u32(load<u16>(node))) {
      case 0: index = repeatPrefix == 0xf3 ? 2 : repeatPrefix == 0xf2 ? 3 : operandPrefix ? 1 : 0; break;
      case 1: modrmSeen = true; index = ((modrm >> 3) & 7) | (modrm >= 0xc0 ? 8 : 0); break;
      case 2: modrmSeen = true; index = modrm & 7; break;
      case 3: index = (rex >> 3) & 1; break;
      default: index = mode == L.MODE_64 ? 1 : 0; break;
    }
    entry = u32(load<u16>(node + 2 + index * 2));
  }
  return entry == 0 ? 0 : u32(ROWS) + (entry - 1) * ROW_SIZE;
}
let opcodeByte: u32 = 0;
/** The ModRM byte had a say in the choice of the row, so that even an invalid instruction needs it fetched. */
let modrmSeen: bool = false;

/** log2 of the operand size in bytes. */
function operandSize(rule: u32, mode: u32, ignore66: bool): u32 {
  const prefixed = operandPrefix && !ignore66;
  if (rule == 0) return 0;
  if (rule == 4) return 1;
  if (mode == L.MODE_64) {
    if (rule == 5) return 3;
    if ((rex & 8) != 0) return 3;
    if (rule == 2) return 2;
    if (prefixed) return 1;
    return rule == 3 ? 3 : 2;
  }
  if (rule == 2) return 2;
  return (mode == L.MODE_32) != prefixed ? 2 : 1;
}

/** Address of the register `number` (0..15) of a kind that ModRM names. */
function registerAddress(kind: u32, number: u32): u32 {
  switch (kind) {
    case KIND_GPR8: return rex == 0 && number >= 4 ? gprAddress(number - 4) + 1 : gprAddress(number);
    case KIND_GPR: return gprAddress(number);
    case KIND_XMM: return cpu + L.VCPU_xmm + (number << 4);
    case KIND_MMX: return cpu + L.VCPU_fpuRegisters + ((number & 7) << 4);
    case KIND_SEGMENT:
      if ((number & 7) > L.SEGMENT_GS) invalid = true;
      return segmentAddress(number & 7);
    case KIND_CONTROL:
      if (number == 0) return cpu + L.VCPU_cr0;
      if (number == 2) return cpu + L.VCPU_cr2;
      if (number == 3) return cpu + L.VCPU_cr3;
      if (number == 4) return cpu + L.VCPU_cr4;
      if (number == 8) return cpu + L.VCPU_cr8;
      invalid = true;
      return cpu + L.VCPU_zero;
    case KIND_DEBUG:
      if (number > 7) invalid = true;
      return cpu + L.VCPU_dr + ((number & 7) << 3);
    default: return cpu + L.VCPU_zero;
  }
}

/** Address of a register that ModRM does not name; 0 when the kind is one that it does. */
function impliedAddress(op: u32, kind: u32): u32 {
  switch (kind) {
    case KIND_OPCODE8: return registerAddress(KIND_GPR8, (opcodeByte & 7) | ((rex & 1) << 3));
    case KIND_OPCODE: return gprAddress((opcodeByte & 7) | ((rex & 1) << 3));
    case KIND_ACCUMULATOR: return gprAddress(0);
    case KIND_CL: return gprAddress(1);
    case KIND_IMMEDIATE: return op + OP_IMMEDIATE;
    default: return 0;
  }
}

function decodeOne(trace: u32, op: u32, start: u32, ripOffset: u32, mode: u32): u32 {
  cursor = start;
  invalid = false;
  modrmSeen = false;
  decodedEnds = false;
  decodedJump = false;
  const first = readPrefixes(mode, start);
  const row = findRow(first, mode);
  if (row == 0) return finishInvalid(op, start, ripOffset);
  const bits = u32(load<u16>(row + 28));
  if ((bits & (mode == L.MODE_64 ? ROW_NOT64 : ROW_ONLY64)) != 0) return finishInvalid(op, start, ripOffset);
  const size = operandSize(u32(load<u8>(row + 33)), mode, (bits & ROW_MANDATORY_66) != 0);
  const addressSize: u32 = mode == L.MODE_64 ? (addressPrefix ? 1 : 2) : (mode == L.MODE_32) != addressPrefix ? 1 : 0;
  clearOp(op, ripOffset);

  // ModRM, and with it a memory operand; an address micro-operation moves the main op one record on.
  let modrm: u32 = 0xc0;
  let memoryOperand = false;
  const micro = op;
  let immediateKind = u32(load<u8>(row + 32));
  if ((bits & ROW_MODRM) != 0) {
    modrm = nextByte();
    memoryOperand = modrm < 0xc0 && (bits & ROW_REGISTER_ONLY) == 0;
    if (memoryOperand) op = decodeMemory(trace, op, ripOffset, modrm, mode, addressSize, (bits & ROW_ADDRESS_ONLY) != 0);
  } else if (immediateKind == 5) {
    memoryOperand = true;
    op = decodeOffset(op, ripOffset, mode, addressSize);
    immediateKind = 0;
  }

  const regKind = u32(load<u8>(row + 30));
  const rmKind = u32(load<u8>(row + 31));
  if (!memoryOperand) {
    const implied = impliedAddress(op, rmKind);
    store<u32>(op + OP_RM, implied != 0 ? implied : registerAddress(rmKind, (modrm & 7) | ((rex & 1) << 3)));
  }
  let reg = impliedAddress(op, regKind);
  if (reg == 0) reg = regKind == 0 ? load<u32>(op + OP_RM) : registerAddress(regKind, ((modrm >> 3) & 7) | ((rex & 4) << 1));
  store<u32>(op + OP_REG, reg);

  if ((bits & ROW_STACK_INDEX) != 0) store<i64>(op + OP_IMMEDIATE, i64(modrm & 7));
  decodeImmediate(op, immediateKind, size);
  const length = cursor - start;
  if (length > INSTRUCTION_BYTES_MAX) return finishTooLong(micro, ripOffset);
  if (invalid) return finishInvalid(micro, start, ripOffset);

  let opBits = size | (addressSize << OP_BITS_ADDRESS_SHIFT);
  if (lockPrefix) opBits |= OP_BITS_LOCK;
  if (repeatPrefix == 0xf3) opBits |= OP_BITS_REP;
  if (repeatPrefix == 0xf2) opBits |= OP_BITS_REPNE;
  if (memoryOperand) opBits |= OP_BITS_MEMORY;
  store<u8>(op + OP_BITS, u8(opBits));
  store<u8>(op + OP_LENGTH, u8(length));
  if (!memoryOperand) store<u8>(op + OP_SEGMENT, u8(segmentOverride >= 0 ? segmentOverride : i32(L.SEGMENT_DS)));
  relocateRipRelative(micro, op, trace, length);
  if (micro != op) describeMicro(micro, row, size);

  const form: u32 = !memoryOperand ? 0 : load<u32>(op + OP_INDEX) == cpu + L.VCPU_zero ? 2 : 1;
  let handler = u32(load<u16>(row + (size * 3 + form) * 2));
  if (lockPrefix) {
    if (!memoryOperand || (bits & ROW_LOCK) == 0) return finishInvalid(micro, start, ripOffset);
    const locked = u32(load<u16>(row + 24));
    if (locked != 0) handler = locked;
  }
  const legacy = u32(load<u16>(row + 26));
  if (mode != L.MODE_64 && legacy != 0) {
    handler = legacy;
    if ((bits & ROW_JUMP) != 0) store<u8>(op + OP_SCALE, load<u8>(row + 36));
  } else if ((bits & ROW_JUMP) != 0) {
    store<i32>(op + OP_DISPLACEMENT, i32(ripOffset + length) + i32(load<i64>(op + OP_IMMEDIATE)));
    store<u64>(op + OP_IMMEDIATE, 0);
    store<u8>(op + OP_SCALE, load<u8>(row + 36));
    decodedJump = (bits & ROW_CONDITIONAL) != 0;
    if (decodedJump) store<u8>(op + OP_SEGMENT, SEGMENT_OF_JUMP);
  }
  if ((bits & ROW_SWAP) != 0 && !memoryOperand) {
    const rm = load<u32>(op + OP_RM);
    store<u32>(op + OP_RM, load<u32>(op + OP_REG));
    store<u32>(op + OP_REG, rm);
  }
  if (handler == 0) return finishInvalid(micro, start, ripOffset);
  store<u16>(op + OP_HANDLER, u16(handler));
  decodedLength = length;
  decodedEnds = (bits & ROW_ENDS_TRACE) != 0 && !decodedJump;
  return op + OP_SIZE;
}

function finishInvalid(op: u32, start: u32, ripOffset: u32): u32 {
  clearOp(op, ripOffset);
  store<u16>(op + OP_HANDLER, HANDLER_INVALID);
  decodedLength = max<u32>(cursor - start + (modrmSeen ? 1 : 0), 1);
  store<u8>(op + OP_LENGTH, u8(min<u32>(decodedLength, INSTRUCTION_BYTES_MAX)));
  decodedLength = min<u32>(decodedLength, INSTRUCTION_BYTES_MAX);
  decodedEnds = true;
  return op + OP_SIZE;
}

function finishTooLong(op: u32, ripOffset: u32): u32 {
  clearOp(op, ripOffset);
  store<u16>(op + OP_HANDLER, HANDLER_TOO_LONG);
  store<u8>(op + OP_LENGTH, u8(INSTRUCTION_BYTES_MAX));
  decodedLength = INSTRUCTION_BYTES_MAX;
  decodedEnds = true;
  return op + OP_SIZE;
}

// ---------------------------------------------------------------------------------------------------- operands

function readSigned(bytes: u32): i64 {
  const at = cursor;
  cursor += bytes;
  switch (bytes) {
    case 1: return i64(load<i8>(at));
    case 2: return i64(load<i16>(at));
    case 4: return i64(load<i32>(at));
    case 8: return load<i64>(at);
    default: return 0;
  }
}

function decodeImmediate(op: u32, kind: u32, size: u32): void {
  let value: i64 = 0;
  const z: u32 = size == 1 ? 2 : 4;
  switch (kind) {
    case 1: value = readSigned(1); break;
    case 2: value = readSigned(2) & 0xffff; break;
    case 3: value = readSigned(z); break;
    case 4: value = readSigned(1 << size); break;
    case 6: value = readSigned(z) & (z == 2 ? 0xffff : 0xffff_ffff); value |= (readSigned(2) & 0xffff) << 32; break;
    case 7: value = readSigned(2) & 0xffff; value |= (readSigned(1) & 0xff) << 16; break;
    case 8: value = 1; break;
    default: return;
  }
  store<i64>(op + OP_IMMEDIATE, value);
}

/** MOV with an absolute offset (A0..A3): always an address micro-operation. Returns the main op. */
function decodeOffset(op: u32, ripOffset: u32, mode: u32, addressSize: u32): u32 {
  const value = addressSize == 2 ? readSigned(8) : addressSize == 1 ? readSigned(4) & 0xffff_ffff : readSigned(2) & 0xffff;
  store<i64>(op + OP_IMMEDIATE, value);
  store<u8>(op + OP_SEGMENT, u8(segmentOverride >= 0 ? segmentOverride : i32(L.SEGMENT_DS)));
  store<u8>(op + OP_BITS, u8(addressSize << OP_BITS_ADDRESS_SHIFT));
  store<u16>(op + OP_HANDLER, HANDLER_ADDRESS_ABSOLUTE);
  return followMicro(op, ripOffset);
}

/** Begins the main op behind the micro-operation `op`: its operand is the address that the micro-operation leaves. */
function followMicro(op: u32, ripOffset: u32): u32 {
  const main = op + OP_SIZE;
  clearOp(main, ripOffset);
  store<u32>(main + OP_RM, cpu + L.VCPU_temporaryAddress);
  store<u8>(main + OP_SEGMENT, load<u8>(op + OP_SEGMENT));
  return main;
}

/** Decodes ModRM's memory operand into `op`, or into a micro-operation there. Returns the main op. */
function decodeMemory(trace: u32, op: u32, ripOffset: u32, modrm: u32, mode: u32, addressSize: u32, addressOnly: bool): u32 {
  let segment: i32 = L.SEGMENT_DS;
  if (addressSize == 0) segment = decodeModrm16(op, modrm);
  else segment = decodeModrm32(trace, op, modrm, mode);
  if (segmentOverride >= 0) segment = segmentOverride;
  store<u8>(op + OP_SEGMENT, u8(segment));
  if (mode == L.MODE_64 && addressSize == 2) {
    if (addressOnly || segment < i32(L.SEGMENT_FS)) return op;
    const base = segmentAddress(u32(segment)) + L.SEGMENT_BASE;
    if (load<u32>(op + OP_INDEX) == cpu + L.VCPU_zero) {
      store<u32>(op + OP_INDEX, base);
      store<u8>(op + OP_SCALE, 0);
      return op;
    }
    store<u16>(op + OP_HANDLER, HANDLER_ADDRESS_SEGMENT);
    return followMicro(op, ripOffset);
  }
  store<u16>(op + OP_HANDLER, addressOnly ? HANDLER_ADDRESS_ONLY : mode == L.MODE_64 ? HANDLER_ADDRESS_32 : HANDLER_ADDRESS_LEGACY);
  store<u8>(op + OP_BITS, u8(addressSize << OP_BITS_ADDRESS_SHIFT));
  return followMicro(op, ripOffset);
}

/** 16-bit addressing (SDM vol 2 table 2-1). Returns the default segment. */
function decodeModrm16(op: u32, modrm: u32): i32 {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod == 0 && rm == 6) {
    store<i32>(op + OP_DISPLACEMENT, i32(readSigned(2)));
    return L.SEGMENT_DS;
  }
  const base: u32 = rm == 0 || rm == 1 || rm == 7 ? 3 : rm == 2 || rm == 3 || rm == 6 ? 5 : rm == 4 ? 6 : 7;
  store<u32>(op + OP_RM, gprAddress(base));
  if (rm < 4) store<u32>(op + OP_INDEX, gprAddress((rm & 1) == 0 ? 6 : 7));
  if (mod != 0) store<i32>(op + OP_DISPLACEMENT, i32(readSigned(mod)));
  return base == 5 ? L.SEGMENT_SS : L.SEGMENT_DS;
}

/** 32 and 64-bit addressing with SIB (SDM vol 2 tables 2-2, 2-3, §2.2.1.6 for RIP-relative). Returns the default segment. */
function decodeModrm32(trace: u32, op: u32, modrm: u32, mode: u32): i32 {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  let base = rm | ((rex & 1) << 3);
  let hasBase = true;
  if (rm == 4) {
    const sib = nextByte();
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    base = (sib & 7) | ((rex & 1) << 3);
    if (index != 4) {
      store<u32>(op + OP_INDEX, gprAddress(index));
      store<u8>(op + OP_SCALE, u8(sib >> 6));
    }
    if ((sib & 7) == 5 && mod == 0) hasBase = false;
  } else if (rm == 5 && mod == 0) {
    hasBase = false;
    // The displacement is completed by relocateRipRelative, once the length is known.
    if (mode == L.MODE_64) store<u32>(op + OP_RM, trace + TRACE_RIP);
  }
  if (hasBase) store<u32>(op + OP_RM, gprAddress(base));
  if (mod == 1) store<i32>(op + OP_DISPLACEMENT, i32(readSigned(1)));
  else if (mod == 2 || !hasBase) store<i32>(op + OP_DISPLACEMENT, i32(readSigned(4)));
  return hasBase && (base == 4 || base == 5) ? L.SEGMENT_SS : L.SEGMENT_DS;
}

/** RIP-relative operands count from the end of the instruction; the trace header's RIP serves as their base register. */
function relocateRipRelative(micro: u32, op: u32, trace: u32, length: u32): void {
  const holder = micro != op ? micro : op;
  if (load<u32>(holder + OP_RM) != trace + TRACE_RIP) return;
  store<i32>(holder + OP_DISPLACEMENT, load<i32>(holder + OP_DISPLACEMENT) + i32(u32(load<u16>(op + OP_RIP_OFFSET)) + length));
}

/** Gives the micro-operation the bytes of the access, for the segment's limit, and whether it writes, for its type. */
function describeMicro(micro: u32, row: u32, size: u32): void {
  const bytes = u32(load<u16>(row + 34));
  store<u32>(micro + OP_REG, bytes != 0 ? bytes : 1 << size);
  if ((u32(load<u16>(row + 28)) & ROW_WRITES) != 0) store<u8>(micro + OP_BITS, load<u8>(micro + OP_BITS) | ADDRESS_WRITES);
}
