import assert from "node:assert/strict";
import { test } from "node:test";
import { FRAMES_BASE, SEGMENT_CS, SEGMENT_FS, VCPU } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/index.js";
import { createTestMemory } from "../../exit/test-memory.raw.js";
import { numberOfRegister, placeOfRegister, readRegisters, REGISTERS_BYTES, writeRegisters } from "./registers.js";
import { TARGET_DESCRIPTION } from "./target-description.js";

function makeState(): VcpuState {
  const state = new VcpuState(createTestMemory(FRAMES_BASE), 0);
  state.reset();
  return state;
}

function valueOf(packed: Uint8Array, name: string): bigint {
  const { offset, lengthBytes } = placeOfRegister(numberOfRegister(name))!;
  return packed.subarray(offset, offset + lengthBytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function withValue(packed: Uint8Array, name: string, value: bigint): Uint8Array {
  const { offset, lengthBytes } = placeOfRegister(numberOfRegister(name))!;
  return packed.map((byte, at) => (at < offset || at >= offset + lengthBytes ? byte : Number((value >> BigInt(8 * (at - offset))) & 0xffn)));
}

test("general registers have gdb's order, and rip, eflags and selectors follow at its offsets", () => {
  const state = makeState();
  for (let number = 0; number < 16; number++) state.setGpr(number, BigInt(number + 1) << 60n | BigInt(number));
  state.rip = 0xffff_ffff_8100_0000n;
  state.writeU64(VCPU.rflags, 0x202n);
  state.setArithmeticFlags(0x45n);
  state.setSegment(SEGMENT_CS, 0x33, 0xa0fb, 0xffff_ffff);
  const packed = readRegisters(state);
  assert.equal(packed.length, REGISTERS_BYTES);
  const order = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
  assert.deepEqual(order.map((_, index) => Number(packed[8 * index]!)), order);
  assert.deepEqual(["rip", "eflags", "cs"].map((name) => valueOf(packed, name)), [0xffff_ffff_8100_0000n, 0x247n, 0x33n]);
  assert.deepEqual(["rip", "eflags", "cs", "st0", "fctrl", "xmm0", "mxcsr", "fs_base"].map(numberOfRegister), [16, 17, 18, 24, 32, 40, 56, 57]);
});

test("every register that can be written comes back as it was written, and only what differs is", () => {
  const state = makeState();
  const names = ["rax", "r15", "rip", "xmm3", "mxcsr", "fs_base", "k_gs_base", "cr2", "st2", "fctrl", "fioff", "fiseg", "fop"];
  const values: Readonly<Record<string, bigint>> = { mxcsr: 0x1f81n, fctrl: 0x27fn, fiseg: 0x12n, fop: 0x123n, fioff: 0x1234_5678n, st2: 0x3fff_8000_0000_0000_0001n, xmm3: (1n << 127n) | 5n };
  let controls = 0;
  for (const name of names) {
    const value = values[name] ?? 0x1122_3344_5566_7788n;
    assert.equal(writeRegisters(state, withValue(readRegisters(state), name, value), () => controls++), true, name);
    assert.equal(valueOf(readRegisters(state), name), value, name);
  }
  assert.equal(controls, 0);
  assert.equal(state.segmentBase(SEGMENT_FS), 0x1122_3344_5566_7788n);
  assert.equal(writeRegisters(state, withValue(readRegisters(state), "cr4", 0x20n), () => controls++), true);
  assert.equal(controls, 1);
});

test("a selector cannot be written, and unchanged it is no error", () => {
  const state = makeState();
  const packed = readRegisters(state);
  assert.equal(writeRegisters(state, packed, () => assert.fail()), true);
  assert.equal(writeRegisters(state, withValue(packed, "cs", 8n), () => assert.fail()), false);
  assert.equal(valueOf(readRegisters(state), "cs"), 0n);
});

test("flags are taken but for those that the processor fixes", () => {
  const state = makeState();
  writeRegisters(state, withValue(readRegisters(state), "eflags", 0xffff_ffffn), () => undefined);
  assert.equal(valueOf(readRegisters(state), "eflags"), 0x24_7fd7n);
  writeRegisters(state, withValue(readRegisters(state), "eflags", 0n), () => undefined);
  assert.equal(valueOf(readRegisters(state), "eflags"), 2n);
});

test("a new RIP takes back the exception that waited for the old one", () => {
  const state = makeState();
  state.injectException(13, 0);
  writeRegisters(state, withValue(readRegisters(state), "rip", 0x1000n), () => undefined);
  assert.equal(state.readU32(VCPU.exceptionVector), 0xffff_ffff);
});

test("the x87 stack is seen from its top, and tags are those of FSAVE", () => {
  const state = makeState();
  state.writeU32(VCPU.fpuStatus, 6 << 11);
  state.writeU32(VCPU.fpuTag, 0b1100_0001);
  state.writeU64(VCPU.fpuRegisters + 6 * 16, 1n << 63n);
  state.writeU64(VCPU.fpuRegisters + 6 * 16 + 8, 0x3fffn);
  state.writeU64(VCPU.fpuRegisters + 7 * 16 + 8, 0x7fffn);
  const packed = readRegisters(state);
  assert.equal(valueOf(packed, "st0"), 0x3fff_8000_0000_0000_0000n);
  // Register 7 is an infinity, 6 a number, 0 a zero, the others are empty.
  assert.equal(valueOf(packed, "ftag"), 0b10_00_11_11_11_11_11_01n);
  writeRegisters(state, withValue(packed, "ftag", 0xffffn), () => undefined);
  assert.equal(state.readU32(VCPU.fpuTag), 0);
});

test("the target description names every register once, in the order of their numbers", () => {
  const names = [...TARGET_DESCRIPTION.matchAll(/<reg name="(\w+)"/g)].map(([, name]) => name!);
  assert.deepEqual(names.map(numberOfRegister), names.map((_, index) => index));
  assert.equal(placeOfRegister(names.length), undefined);
  for (const [, type] of TARGET_DESCRIPTION.matchAll(/type="(i386_\w+|vec128)"/g)) assert.match(TARGET_DESCRIPTION, new RegExp(`id="${type!}"`));
});
