import assert from "node:assert/strict";
import { test } from "node:test";
import { RAX } from "../cpu/index.js";
import { handlePortAccess } from "./port-io.js";
import { createTestVcpu } from "./test-vcpu.js";

const ONE_BYTE = 0x100 | 1;
const TWO_BYTES = 0x200 | 2;
const FOUR_BYTES = 0x400 | 1;

test("IN answers all ones and touches no more of RAX than the instruction does", () => {
  const vcpu = createTestVcpu();
  const before = 0x1122_3344_5566_7788n;
  for (const [size, expected] of [
    [ONE_BYTE, 0x1122_3344_5566_77ffn], [TWO_BYTES, 0x1122_3344_5566_ffffn], [FOUR_BYTES, 0xffff_ffffn],
  ] as const) {
    vcpu.state.setGpr(RAX, before);
    vcpu.setExit({ size, address: 0xcf8 });
    assert.equal(handlePortAccess(vcpu), undefined);
    assert.equal(vcpu.state.gpr(RAX), expected);
  }
  assert.equal(vcpu.state.rip, 0x1004n);
});

test("port 0x42 reads 0, which ends the kernel's PIT calibration", () => {
  const vcpu = createTestVcpu();
  vcpu.state.setGpr(RAX, 0xffffn);
  vcpu.setExit({ size: ONE_BYTE, address: 0x42 });
  handlePortAccess(vcpu);
  assert.equal(vcpu.state.gpr(RAX), 0xff00n);
});

test("port 0xE9 passes bytes on, and reads as the port that is there", () => {
  const bytes: number[] = [];
  const vcpu = createTestVcpu({ machine: { debugByte: (byte) => bytes.push(byte) } });
  vcpu.setExit({ size: ONE_BYTE, address: 0xe9, write: true, data: 0x41n });
  assert.equal(handlePortAccess(vcpu), undefined);
  assert.deepEqual(bytes, [0x41]);
});

test("the keyboard controller's reset command restarts the machine, other commands do not", () => {
  const vcpu = createTestVcpu();
  vcpu.setExit({ size: ONE_BYTE, address: 0x64, write: true, data: 0xfen });
  assert.deepEqual(handlePortAccess(vcpu), { kind: "reboot" });
  vcpu.setExit({ size: ONE_BYTE, address: 0x64, write: true, data: 0x20n });
  assert.equal(handlePortAccess(vcpu), undefined);
});
