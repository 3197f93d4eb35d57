/** The x87 registers as gdb has them: the stack from its top, control words as FSAVE stores them (Intel SDM vol 1 §8.1). */
import { VCPU } from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";
import type { Register } from "./registers.js";

const STACK_SIZE = 8;
const REGISTER_BYTES = 16;
const TOP_SHIFT = 11;
const TAG_VALID = 0;
const TAG_ZERO = 1;
const TAG_SPECIAL = 2;
const TAG_EMPTY = 3;
const INTEGER_BIT = 1n << 63n;
const EXPONENT_MASK = 0x7fffn;

/** Offset in the state of physical register `number`: u64 significand, u16 sign and exponent. */
function physical(number: number): number {
  return VCPU.fpuRegisters + number * REGISTER_BYTES;
}

function stackRegister(state: VcpuState, index: number): number {
  return physical(((state.readU32(VCPU.fpuStatus) >> TOP_SHIFT) + index) & (STACK_SIZE - 1));
}

function stack(index: number): Register {
  return {
    name: `st${index}`, bits: 80, type: "i387_ext",
    read(state) {
      const at = stackRegister(state, index);
      return state.readU64(at) | ((state.readU64(at + 8) & 0xffffn) << 64n);
    },
    write(state, value) {
      const at = stackRegister(state, index);
      state.writeU64(at, BigInt.asUintN(64, value));
      state.writeU64(at + 8, value >> 64n);
    },
  };
}

/** The tag of a register in use, which the processor keeps nowhere. */
function tagOf(state: VcpuState, number: number): number {
  const significand = state.readU64(physical(number));
  const exponent = state.readU64(physical(number) + 8) & EXPONENT_MASK;
  if (exponent === 0n && significand === 0n) return TAG_ZERO;
  return exponent === 0n || exponent === EXPONENT_MASK || (significand & INTEGER_BIT) === 0n ? TAG_SPECIAL : TAG_VALID;
}

function readTags(state: VcpuState): bigint {
  const used = state.readU32(VCPU.fpuTag);
  let tags = 0;
  for (let number = 0; number < STACK_SIZE; number++) {
    tags |= ((used & (1 << number)) === 0 ? TAG_EMPTY : tagOf(state, number)) << (2 * number);
  }
  return BigInt(tags);
}

function writeTags(state: VcpuState, value: bigint): void {
  let used = 0;
  for (let number = 0; number < STACK_SIZE; number++) {
    if (((Number(value & 0xffffn) >> (2 * number)) & 3) !== TAG_EMPTY) used |= 1 << number;
  }
  state.writeU32(VCPU.fpuTag, used);
}

function word(name: string, at: number, mask: bigint): Register {
  return {
    name, bits: 32, type: "int", group: "float",
    read: (state) => BigInt(state.readU32(at)) & mask, write: (state, value) => state.writeU32(at, Number(value & mask)),
  };
}

/** In 64-bit mode the selectors are the upper half of the pointers. */
function pointer(segment: string, offset: string, at: number): readonly Register[] {
  return [word(segment, at + 4, 0xffffn), word(offset, at, 0xffff_ffffn)];
}

/** In gdb's order. */
export const FPU_REGISTERS: readonly Register[] = [
  ...Array.from({ length: STACK_SIZE }, (_, index) => stack(index)),
  word("fctrl", VCPU.fpuControl, 0xffffn),
  word("fstat", VCPU.fpuStatus, 0xffffn),
  { name: "ftag", bits: 32, type: "int", group: "float", read: readTags, write: writeTags },
  ...pointer("fiseg", "fioff", VCPU.fpuInstructionPointer),
  ...pointer("foseg", "fooff", VCPU.fpuDataPointer),
  word("fop", VCPU.fpuOpcode, 0x7ffn),
];
