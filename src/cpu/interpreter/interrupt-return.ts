/**
 * IRET in real, protected and 64-bit mode (Intel SDM vol 2 "IRET/IRETD/IRETQ"), and the parts of a return that RET far shares.
 * Virtual-8086 mode and nested tasks are not offered: EXIT_UNSUPPORTED.
 */
import * as L from "./generated/layout";
import { loadResumeFlag } from "./debug";
import {
  ATTRIBUTE_BIG, ATTRIBUTE_CODE, ATTRIBUTE_CONFORMING, ATTRIBUTE_LONG, ATTRIBUTE_PRESENT, ATTRIBUTE_SEGMENT, attributesIn, attributesOf,
  commitSlot, currentPrivilege, descriptor, dplOf, is64, isCanonical, isLong, isNull, isProtected, limitOf, markAccessed, readDescriptor,
  setSlotFromDescriptor, stagedCode, stagedStack,
} from "./descriptors";
import {
  FLAG_AC, FLAG_DF, FLAG_ID, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VIF, FLAG_VIP, FLAG_VM, FLAGS_ARITHMETIC, readRflags, writeRflags,
} from "./flags";
import { afterFlagsChange } from "./interrupt-window";
import { BAIL_JUMP } from "./op";
import { setRealSegment, stageStackSegment, updateMode } from "./segments";
import { dropStack, loadSized, operandSize, stackReadPointer } from "./stack";
import { bail, cpu, exitFor, raiseError, segmentAddress, VECTOR_GP, VECTOR_NP } from "./state";

let frameRip: u64 = 0;
let frameSelector: u32 = 0;
let frameFlags: u64 = 0;
let frameStackPointer: u64 = 0;
let frameStackSelector: u32 = 0;

/**
 * Checks the code segment that a return goes to and stages it. Requested privilege below the present one, a wrong DPL and the like are
 * #GP(selector). Returns 0 or BAIL_*.
 */
export function stageReturnCode(selector: u32): i32 {
  if (isNull(selector)) return raiseError(VECTOR_GP, 0);
  const result = readDescriptor(selector, VECTOR_GP, 0);
  if (result) return result;
  const attributes = attributesIn(descriptor);
  const requested = selector & 3;
  const code: u32 = ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE;
  const conforming = (attributes & ATTRIBUTE_CONFORMING) != 0;
  const level = conforming ? dplOf(attributes) <= requested : dplOf(attributes) == requested;
  const both = ATTRIBUTE_LONG | ATTRIBUTE_BIG;
  if ((attributes & code) != code || requested < currentPrivilege() || !level || (isLong() && (attributes & both) == both)) {
    return raiseError(VECTOR_GP, selector & 0xfffc);
  }
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_NP, selector & 0xfffc);
  const marked = markAccessed();
  if (marked) return marked;
  setSlotFromDescriptor(stagedCode(), selector, descriptor);
  return 0;
}

/** Whether the staged code segment holds 64-bit code. */
export function returnsTo64(): bool { return isLong() && (attributesOf(stagedCode()) & ATTRIBUTE_LONG) != 0; }

/** Checks `target` against the staged code segment: canonical, or within the limit. Returns 0 or BAIL_FAULT with #GP(0). */
export function checkReturnTarget(target: u64): i32 {
  const inside = returnsTo64() ? isCanonical(target) : target <= u64(limitOf(stagedCode()));
  return inside ? 0 : raiseError(VECTOR_GP, 0);
}

/** Makes a data segment register null that the outer privilege level may not use. Null ones keep their base. */
function protectSegment(segment: u32, privilege: u32): void {
  const slot = segmentAddress(segment);
  const attributes = attributesOf(slot);
  const conforming = (attributes & (ATTRIBUTE_CODE | ATTRIBUTE_CONFORMING)) == (ATTRIBUTE_CODE | ATTRIBUTE_CONFORMING);
  if ((attributes & ATTRIBUTE_PRESENT) == 0 || dplOf(attributes) >= privilege || conforming) return;
  store<u16>(slot + L.SEGMENT_SELECTOR, 0);
  store<u32>(slot + L.SEGMENT_ATTRIBUTES, 0);
}

/** Data segments after a return from the present privilege to an outer one. */
export function protectSegments(privilege: u32): void {
  protectSegment(L.SEGMENT_ES, privilege);
  protectSegment(L.SEGMENT_DS, privilege);
  protectSegment(L.SEGMENT_FS, privilege);
  protectSegment(L.SEGMENT_GS, privilege);
}

/** Flags that IRET and POPF may change at the present privilege, before RF is looked at. */
export function changeableFlags(size: u32): u64 {
  const flags = load<u64>(cpu + L.VCPU_rflags);
  const privilege = u64(currentPrivilege());
  let mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;
  if (size > 2) mask |= FLAG_AC | FLAG_ID;
  if (privilege <= (flags & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (privilege == 0) mask |= FLAG_IOPL;
  return mask;
}

/** Loads RFLAGS from a stack frame with operand size `size`; `mask` is what the privilege before the return allowed. */
function loadFrameFlags(mask: u64): void {
  const before = load<u64>(cpu + L.VCPU_rflags);
  writeRflags((readRflags() & ~(mask | FLAG_RF)) | (loadResumeFlag(frameFlags) & (mask | FLAG_RF)));
  afterFlagsChange(before);
}

function frameFlagsMask(size: u32): u64 {
  const mask = changeableFlags(size);
  return size > 2 && currentPrivilege() == 0 ? mask | FLAG_VIF | FLAG_VIP : mask;
}

/** Reads `count` (3 or 5) items of `size` bytes from the stack. Returns 0 or BAIL_*. */
function readFrame(count: u32, size: u32): i32 {
  const pointer = stackReadPointer(0, count * size);
  if (!pointer) return bail;
  frameRip = loadSized(pointer, size);
  frameSelector = u32(load<u16>(pointer + size));
  frameFlags = loadSized(pointer + 2 * size, size);
  if (count == 5) {
    frameStackPointer = loadSized(pointer + 3 * size, size);
    frameStackSelector = u32(load<u16>(pointer + 4 * size));
  }
  return 0;
}

/** CF. */
export function iret(op: u32): i32 {
  const size = operandSize(op);
  if (!isProtected()) return iretReal(size);
  if ((load<u64>(cpu + L.VCPU_rflags) & FLAG_NT) != 0) return isLong() ? raiseError(VECTOR_GP, 0) : exitFor(L.EXIT_UNSUPPORTED, op);
  const from64 = is64();
  if (readFrame(from64 ? 5 : 3, size)) return bail;
  if (!isLong() && (frameFlags & FLAG_VM) != 0 && currentPrivilege() == 0) return exitFor(L.EXIT_UNSUPPORTED, op);
  if (stageReturnCode(frameSelector)) return bail;
  const privilege = frameSelector & 3;
  const outer = privilege > currentPrivilege();
  if (!outer && !from64) {
    if (checkReturnTarget(frameRip)) return bail;
    dropStack(3 * size);
    return completeReturn(frameFlagsMask(size));
  }
  if (!from64 && readFrame(5, size)) return bail;
  if (stageStackSegment(stagedStack(), frameStackSelector, privilege, returnsTo64())) return bail;
  if (checkReturnTarget(frameRip)) return bail;
  const mask = frameFlagsMask(size);
  commitSlot(L.SEGMENT_SS, stagedStack());
  loadReturnStack(frameStackPointer, size);
  if (outer) protectSegments(privilege);
  return completeReturn(mask);
}

/** Loads RSP, ESP or SP for the staged stack and code segments: 64-bit code gets all of it. */
export function loadReturnStack(value: u64, size: u32): void {
  const stack = cpu + L.VCPU_gpr + 4 * 8;
  const wide = returnsTo64() || (attributesOf(stagedStack()) & ATTRIBUTE_BIG) != 0;
  if (wide) store<u64>(stack, size == 8 ? value : u64(u32(value)));
  else store<u16>(stack, u16(value));
}

function completeReturn(mask: u64): i32 {
  commitSlot(L.SEGMENT_CS, stagedCode());
  store<u64>(cpu + L.VCPU_rip, frameRip);
  loadFrameFlags(mask);
  updateMode();
  return BAIL_JUMP;
}

function iretReal(size: u32): i32 {
  if (readFrame(3, size)) return bail;
  if (frameRip > u64(limitOf(segmentAddress(L.SEGMENT_CS)))) return raiseError(VECTOR_GP, 0);
  dropStack(3 * size);
  setRealSegment(L.SEGMENT_CS, frameSelector);
  store<u64>(cpu + L.VCPU_rip, frameRip);
  loadFrameFlags(changeableFlags(size));
  return BAIL_JUMP;
}
