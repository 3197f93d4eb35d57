/** Address micro-operations: forms of memory operands that one base + index + displacement cannot say. They leave a linear address in VCPU.temporaryAddress. */
import * as L from "./generated/layout";
import { ADDRESS_WRITES, OP_BITS, OP_BITS_ADDRESS_SHIFT, OP_IMMEDIATE, OP_REG, OP_SEGMENT } from "./op";
import { cpu, effectiveAddress, exitFor, raise, raiseError, segmentAddress, VECTOR_GP, VECTOR_SS, VECTOR_UD } from "./state";

const TYPE_WRITABLE: u32 = 2;
const TYPE_CODE: u32 = 8;
const TYPE_EXPAND_DOWN: u32 = 4;
const ATTRIBUTE_PRESENT: u32 = 0x80;
const ATTRIBUTE_BIG: u32 = 0x4000;

// @ts-ignore: decorator
@inline function addressMask(op: u32): u64 {
  const size = (u32(load<u8>(op + OP_BITS)) >> OP_BITS_ADDRESS_SHIFT) & 3;
  return size == 0 ? 0xffff : size == 1 ? 0xffff_ffff : u64(-1);
}

// @ts-ignore: decorator
@inline function leave(address: u64): i32 {
  store<u64>(cpu + L.VCPU_temporaryAddress, address);
  return 0;
}

/** LEA: the offset alone, cut to the address size. */
export function addressOnly(op: u32): i32 { return leave(effectiveAddress(op) & addressMask(op)); }

/** 32-bit address in 64-bit mode, plus FS or GS base. */
export function addressShort(op: u32): i32 {
  let address = effectiveAddress(op) & 0xffff_ffff;
  const segment = u32(load<u8>(op + OP_SEGMENT));
  if (segment >= L.SEGMENT_FS) address += load<u64>(segmentAddress(segment) + L.SEGMENT_BASE);
  return leave(address);
}

/** Outside 64-bit mode: offset, segment limit, base. */
export function addressLegacy(op: u32): i32 { return leaveSegmented(op, effectiveAddress(op) & addressMask(op)); }

/** Absolute offset in the instruction (MOV A0..A3). */
export function addressAbsolute(op: u32): i32 {
  const offset = load<u64>(op + OP_IMMEDIATE);
  if (load<u32>(cpu + L.VCPU_mode) != L.MODE_64) return leaveSegmented(op, offset);
  const segment = u32(load<u8>(op + OP_SEGMENT));
  return leave(segment >= L.SEGMENT_FS ? offset + load<u64>(segmentAddress(segment) + L.SEGMENT_BASE) : offset);
}

/** Code is never written and may be closed to reads, data is always readable and may be closed to writes. */
// @ts-ignore: decorator
@inline function isTypeAllowed(op: u32, attributes: u32): bool {
  const capable = (attributes & TYPE_WRITABLE) != 0;
  const code = (attributes & TYPE_CODE) != 0;
  return (load<u8>(op + OP_BITS) & ADDRESS_WRITES) != 0 ? capable && !code : capable || !code;
}

/** Checks `offset` against the segment (SDM vol 3 §5.3) and leaves the linear address. The reg slot holds the bytes of the access. */
function leaveSegmented(op: u32, offset: u64): i32 {
  const segment = u32(load<u8>(op + OP_SEGMENT));
  const slot = segmentAddress(segment);
  const limit = u64(load<u32>(slot + L.SEGMENT_LIMIT));
  const attributes = load<u32>(slot + L.SEGMENT_ATTRIBUTES);
  const last = offset + u64(load<u32>(op + OP_REG)) - 1;
  const protectedMode = (load<u64>(cpu + L.VCPU_cr0) & 1) != 0;
  const expandDown = protectedMode && (attributes & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN;
  const unusable = protectedMode && ((attributes & ATTRIBUTE_PRESENT) == 0 || !isTypeAllowed(op, attributes));
  const top: u64 = (attributes & ATTRIBUTE_BIG) != 0 ? 0xffff_ffff : 0xffff;
  const outside = expandDown ? offset <= limit || last > top : last > limit;
  if (unusable || outside) return raiseError(segment == L.SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
  return leave((offset + load<u64>(slot + L.SEGMENT_BASE)) & 0xffff_ffff);
}

/** #UD: no such instruction, or not in this mode. */
export function invalidOpcode(op: u32): i32 { return raise(VECTOR_UD); }

/** #GP(0): more than 15 bytes. */
export function instructionTooLong(op: u32): i32 { return raiseError(VECTOR_GP, 0); }

/** An instruction that the table knows and this processor cannot run: the run loop reports it. */
export function unsupportedInstruction(op: u32): i32 { return exitFor(L.EXIT_UNSUPPORTED, op); }
