import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestVcpu } from "./test-vcpu.js";

test("all 64 settings of the arithmetic flags survive the lazy form", () => {
  const { state } = createTestVcpu();
  const places = [1n, 4n, 0x10n, 0x40n, 0x80n, 0x800n];
  for (let setting = 0; setting < 64; setting++) {
    const flags = places.reduce((value, place, i) => ((setting >> i) & 1 ? value | place : value), 0n);
    state.setArithmeticFlags(flags | 0x200n);
    // A result of zero always has even parity; with ZF the core never needs the odd one but must keep it.
    assert.equal(state.rflags & 0x8d5n, flags, flags.toString(16));
  }
});

test("RIP wraps at 32 bits outside long mode", () => {
  const { state, setExit } = createTestVcpu();
  state.resetForPvh(0xffff_fffe, 0x2000);
  setExit({ size: 3 });
  state.skipInstruction();
  assert.equal(state.rip, 1n);
});

test("the PVH entry state is flat 32-bit protected mode with EBX at the start info", () => {
  const { state } = createTestVcpu();
  state.resetForPvh(0x100_0000, 0x2000);
  assert.equal(state.rip, 0x100_0000n);
  assert.equal(state.gpr(3), 0x2000n);
  assert.equal(state.mode, 1);
  assert.equal(state.rflags & 0x200n, 0n);
  assert.equal(state.cpl, 0);
});
