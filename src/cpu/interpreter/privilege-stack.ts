/**
 * The stack of an inner privilege level: stack pointers in the TSS, and stack frames that are put together before they are
 * written, so that a transfer either happens wholly or not at all (Intel SDM vol 3 §5.8.5, §6.12.1, §6.14.2, §7.7).
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_BIG, ATTRIBUTE_CODE, ATTRIBUTE_PRESENT, ATTRIBUTE_SEGMENT, ATTRIBUTE_WRITABLE, attributesIn, attributesOf, baseOf, descriptor,
  dplOf, isCanonical, isNull, limitOf, markAccessed, readDescriptor, scratch, SCRATCH_SIZE, selectorOf, setSlotFromDescriptor,
  stagedStack, tableAddress, withinLimit,
} from "./descriptors";
import { readPointerSystem, writeBytesSystem } from "./memory";
import { loadSized } from "./stack";
import { bail, raiseError, segmentAddress, VECTOR_SS, VECTOR_TS } from "./state";

/** Stack pointer that was read from the TSS, not aligned. */
export let innerStackPointer: u64 = 0;

let frameSize: u32 = 0;

/** Starts a frame; items are pushed downwards from the end of the scratch buffer. */
export function beginFrame(): void { frameSize = 0; }

/** Adds an item of 2, 4 or 8 bytes below the others. */
export function addToFrame(value: u64, size: u32): void {
  frameSize += size;
  const pointer = scratch() + SCRATCH_SIZE - frameSize;
  if (size == 8) store<u64>(pointer, value);
  else if (size == 4) store<u32>(pointer, u32(value));
  else store<u16>(pointer, u16(value));
}

/** Bytes in the frame. */
export function frameLength(): u32 { return frameSize; }
/** Host address of the frame. */
export function frameAddress(): u32 { return scratch() + SCRATCH_SIZE - frameSize; }

/**
 * Writes the frame below `top` of the stack segment in `slot`. Returns the new stack pointer through `framePointer`.
 * Fault: #SS with `selector` (0 for the present stack) and `external` as error code.
 */
export function writeFrame(slot: u32, top: u64, selector: u32, external: u32): i32 {
  const mask: u64 = (attributesOf(slot) & ATTRIBUTE_BIG) != 0 ? 0xffff_ffff : 0xffff;
  framePointer = (top - u64(frameSize)) & mask;
  if (!withinLimit(slot, framePointer, frameSize)) return raiseError(VECTOR_SS, (selector & 0xfffc) | external);
  return writeBytesSystem((baseOf(slot) + framePointer) & 0xffff_ffff, frameAddress(), frameSize);
}

/** Writes the frame below linear address `top` of a 64-bit stack. */
export function writeFrame64(top: u64, external: u32): i32 {
  framePointer = top - u64(frameSize);
  if (!isCanonical(framePointer) || !isCanonical(top - 1)) return raiseError(VECTOR_SS, external);
  return writeBytesSystem(framePointer, frameAddress(), frameSize);
}

/** Stack pointer below the frame that writeFrame or writeFrame64 wrote. */
export let framePointer: u64 = 0;

/** Host address of `size` bytes at `offset` of the TSS; 0 = return `bail` (#TS with TR's selector beyond its limit). */
function taskStatePointer(offset: u32, size: u32, external: u32): u32 {
  const task = segmentAddress(L.SEGMENT_TR);
  if (offset + size - 1 > limitOf(task)) {
    raiseError(VECTOR_TS, (selectorOf(task) & 0xfffc) | external);
    return 0;
  }
  return readPointerSystem(tableAddress(baseOf(task), offset), size);
}

/** Long mode: reads RSP0..2 (`ist` 0) or IST1..7 into `innerStackPointer`. Returns 0 or BAIL_*. */
export function readStackPointer64(privilege: u32, ist: u32, external: u32): i32 {
  const pointer = taskStatePointer(ist != 0 ? 28 + ist * 8 : 4 + privilege * 8, 8, external);
  if (!pointer) return bail;
  innerStackPointer = load<u64>(pointer);
  return isCanonical(innerStackPointer) ? 0 : raiseError(VECTOR_SS, external);
}

/**
 * Protected mode: reads the stack of `privilege` from the 16 or 32-bit TSS into `innerStackPointer` and the staged stack slot,
 * with the checks of an inter-privilege call (#TS, and #SS when not present). Returns 0 or BAIL_*.
 */
export function stageInnerStack(privilege: u32, external: u32): i32 {
  const wide = (attributesOf(segmentAddress(L.SEGMENT_TR)) & 8) != 0;
  const size: u32 = wide ? 4 : 2;
  const pointer = taskStatePointer(wide ? 4 + privilege * 8 : 2 + privilege * 4, wide ? 6 : 4, external);
  if (!pointer) return bail;
  innerStackPointer = loadSized(pointer, size);
  const selector = u32(load<u16>(pointer + size));
  if (isNull(selector)) return raiseError(VECTOR_TS, external);
  const result = readDescriptor(selector, VECTOR_TS, external);
  if (result) return result;
  const attributes = attributesIn(descriptor);
  const kind = attributes & (ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE);
  if ((selector & 3) != privilege || dplOf(attributes) != privilege || kind != (ATTRIBUTE_SEGMENT | ATTRIBUTE_WRITABLE)) {
    return raiseError(VECTOR_TS, (selector & 0xfffc) | external);
  }
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_SS, (selector & 0xfffc) | external);
  const marked = markAccessed();
  if (marked) return marked;
  setSlotFromDescriptor(stagedStack(), selector, descriptor);
  return 0;
}
