/**
 * The registers of a vCPU as gdb numbers and packs them: the features of an amd64 target ("Debugging with GDB", appendix G.5 "i386 Features") and one of
 * our own with control registers, named as QEMU names them. The target description and the packets g, G, p and P are made from this one table.
 */
import {
  SEGMENT_BASE, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_SELECTOR, SEGMENT_SIZE, SEGMENT_SS, VCPU,
} from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";
import { FPU_REGISTERS } from "./fpu-registers.js";

/** One register. */
export interface Register {
  readonly name: string;
  readonly bits: 32 | 64 | 80 | 128;
  /** Its type in the target description. */
  readonly type: string;
  /** Group that `info registers` lists it in, where it is not the general one. */
  readonly group?: "float" | "vector" | "system";
  read(state: VcpuState): bigint;
  /** Absent: it can be read only. */
  readonly write?: (state: VcpuState, value: bigint) => void;
  /** Mode or translation of addresses hang on it: the core is told after a write. */
  readonly isControl?: boolean;
}

/** A feature of the target description. */
export interface RegisterFeature {
  readonly name: string;
  readonly registers: readonly Register[];
}

/** Order of gdb (amd64-tdep.c), by the number in instructions. */
const GENERAL: readonly (readonly [name: string, number: number])[] = [
  ["rax", 0], ["rbx", 3], ["rcx", 1], ["rdx", 2], ["rsi", 6], ["rdi", 7], ["rbp", 5], ["rsp", 4],
  ["r8", 8], ["r9", 9], ["r10", 10], ["r11", 11], ["r12", 12], ["r13", 13], ["r14", 14], ["r15", 15],
];
const SELECTORS: readonly (readonly [name: string, slot: number])[] = [
  ["cs", SEGMENT_CS], ["ss", SEGMENT_SS], ["ds", SEGMENT_DS], ["es", SEGMENT_ES], ["fs", SEGMENT_FS], ["gs", SEGMENT_GS],
];
const ARITHMETIC_FLAGS = 0x8d5n;
/** TF, IF, DF, IOPL, NT, AC, ID. */
const OTHER_FLAGS = 0x24_7700n;
const NO_EXCEPTION = 0xffff_ffff;
const XMM_COUNT = 16;
const XMM_BYTES = 16;

function general([name, number]: readonly [string, number]): Register {
  const isPointer = name === "rbp" || name === "rsp";
  return {
    name, bits: 64, type: isPointer ? "data_ptr" : "int64",
    read: (state) => state.gpr(number), write: (state, value) => state.setGpr(number, value),
  };
}

/** What was about to be raised belongs to the instruction that is left. */
function setInstructionPointer(state: VcpuState, value: bigint): void {
  state.rip = value;
  state.writeU32(VCPU.exceptionVector, NO_EXCEPTION);
}

function setFlags(state: VcpuState, value: bigint): void {
  state.setArithmeticFlags(value);
  const kept = state.readU64(VCPU.rflags) & ~(OTHER_FLAGS | ARITHMETIC_FLAGS);
  state.writeU64(VCPU.rflags, kept | (value & OTHER_FLAGS));
}

function selector([name, slot]: readonly [string, number]): Register {
  return { name, bits: 32, type: "int32", read: (state) => BigInt(state.readU32(VCPU.segments + slot * SEGMENT_SIZE + SEGMENT_SELECTOR) & 0xffff) };
}

function xmm(index: number): Register {
  const at = VCPU.xmm + index * XMM_BYTES;
  return {
    name: `xmm${index}`, bits: 128, type: "vec128", group: "vector",
    read: (state) => state.readU64(at) | (state.readU64(at + 8) << 64n),
    write(state, value) {
      state.writeU64(at, BigInt.asUintN(64, value));
      state.writeU64(at + 8, value >> 64n);
    },
  };
}

function segmentBase(name: string, slot: number): Register {
  return long(name, VCPU.segments + slot * SEGMENT_SIZE + SEGMENT_BASE, {});
}

/** A register that is a u64 field of the state. */
function long(name: string, at: number, rest: Pick<Register, "group" | "isControl">): Register {
  return { name, bits: 64, type: "int64", ...rest, read: (state) => state.readU64(at), write: (state, value) => state.writeU64(at, value) };
}

/** All registers, in the order of their numbers. */
export const REGISTER_FEATURES: readonly RegisterFeature[] = [
  {
    name: "org.gnu.gdb.i386.core",
    registers: [
      ...GENERAL.map(general),
      { name: "rip", bits: 64, type: "code_ptr", read: (state) => state.rip, write: setInstructionPointer },
      { name: "eflags", bits: 32, type: "i386_eflags", read: (state) => state.rflags & 0xffff_ffffn, write: setFlags },
      ...SELECTORS.map(selector),
      ...FPU_REGISTERS,
    ],
  },
  {
    name: "org.gnu.gdb.i386.sse",
    registers: [
      ...Array.from({ length: XMM_COUNT }, (_, index) => xmm(index)),
      {
        name: "mxcsr", bits: 32, type: "i386_mxcsr", group: "vector",
        read: (state) => BigInt(state.readU32(VCPU.mxcsr)), write: (state, value) => state.writeU32(VCPU.mxcsr, Number(value & 0xffffn)),
      },
    ],
  },
  { name: "org.gnu.gdb.i386.segments", registers: [segmentBase("fs_base", SEGMENT_FS), segmentBase("gs_base", SEGMENT_GS)] },
  {
    name: "org.unpinned.x86.system",
    registers: [
      long("k_gs_base", VCPU.kernelGsBase, { group: "system" }),
      long("cr0", VCPU.cr0, { group: "system", isControl: true }),
      long("cr2", VCPU.cr2, { group: "system" }),
      long("cr3", VCPU.cr3, { group: "system", isControl: true }),
      long("cr4", VCPU.cr4, { group: "system", isControl: true }),
      long("cr8", VCPU.cr8, { group: "system" }),
      long("efer", VCPU.efer, { group: "system", isControl: true }),
    ],
  },
];

const REGISTERS: readonly Register[] = REGISTER_FEATURES.flatMap(({ registers }) => registers);

/** Where a register is in the packed ones, and how long. */
export interface RegisterPlace {
  readonly offset: number;
  readonly lengthBytes: number;
}

const PLACES: readonly RegisterPlace[] = (() => {
  let offset = 0;
  return REGISTERS.map(({ bits }) => {
    const place = { offset, lengthBytes: bits / 8 };
    offset += bits / 8;
    return place;
  });
})();
/** Bytes of all registers, packed. */
export const REGISTERS_BYTES = PLACES.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

/** The place of register `number`; undefined = there is none. */
export function placeOfRegister(number: number): RegisterPlace | undefined {
  return PLACES[number];
}

/** Number of the register called `name`, -1 = there is none. */
export function numberOfRegister(name: string): number {
  return REGISTERS.findIndex((register) => register.name === name);
}

/** All registers, packed in order, little endian. vCPU's thread. */
export function readRegisters(state: VcpuState): Uint8Array {
  const packed = new Uint8Array(REGISTERS_BYTES);
  REGISTERS.forEach((register, number) => {
    let value = register.read(state);
    const { offset, lengthBytes } = PLACES[number]!;
    for (let index = 0; index < lengthBytes; index++, value >>= 8n) packed[offset + index] = Number(value & 0xffn);
  });
  return packed;
}

/**
 * Writes those of the packed registers that are not what they were. False = one of them cannot be written; the others are. `onControl` is
 * called when the core has to look at them anew. vCPU's thread.
 */
export function writeRegisters(state: VcpuState, packed: Uint8Array, onControl: () => void): boolean {
  let isDone = true;
  let isControl = false;
  REGISTERS.forEach((register, number) => {
    const { offset, lengthBytes } = PLACES[number]!;
    const value = packed.subarray(offset, offset + lengthBytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (value === register.read(state)) return;
    if (register.write === undefined) isDone = false;
    else {
      register.write(state, value);
      isControl ||= register.isControl === true;
    }
  });
  if (isControl) onControl();
  return isDone;
}
