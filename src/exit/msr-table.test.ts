import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { RAX, RCX, RDX } from "../cpu/index.js";
import { handleRdmsr, handleWrmsr } from "./instruction-exits.js";
import { MSR_TABLE } from "./msr-table.js";
import { createTestVcpu, type TestVcpu } from "./test-vcpu.js";

const EFER = 0xc000_0080;
const NO_EXCEPTION = 0xffff_ffff;

function write(vcpu: TestVcpu, msr: number, value: bigint): boolean {
  vcpu.setExit({ size: 2 });
  vcpu.state.rip = 0x1000n;
  vcpu.state.writeU32(VCPU.exceptionVector, NO_EXCEPTION);
  vcpu.state.setGpr(RCX, BigInt(msr));
  vcpu.state.setGpr(RAX, (0xdead_beefn << 32n) | (value & 0xffff_ffffn));
  vcpu.state.setGpr(RDX, value >> 32n);
  handleWrmsr(vcpu);
  return vcpu.state.rip === 0x1002n;
}

function read(vcpu: TestVcpu, msr: number): bigint | undefined {
  vcpu.setExit({ size: 2 });
  vcpu.state.rip = 0x1000n;
  vcpu.state.setGpr(RCX, BigInt(msr));
  handleRdmsr(vcpu);
  return vcpu.state.rip === 0x1002n ? (vcpu.state.gpr(RDX) << 32n) | vcpu.state.gpr(RAX) : undefined;
}

test("an unknown register raises #GP(0) and leaves RIP at the instruction", () => {
  const vcpu = createTestVcpu();
  for (const msr of [0x1a0, 0xfe, 0x179, 0x277, 0xc001_0000, 0xc001_0007]) {
    assert.equal(read(vcpu, msr), undefined, msr.toString(16));
    assert.equal(write(vcpu, msr, 0n), false, msr.toString(16));
    assert.equal(vcpu.state.readU32(VCPU.exceptionVector), 13);
    assert.equal(vcpu.state.readU32(VCPU.exceptionHasErrorCode), 1);
  }
  assert.equal(vcpu.counters.get("refusedMsrs"), 12);
});

test("registers that hold a value give it back, all 64 bits of it", () => {
  const vcpu = createTestVcpu();
  for (const msr of [0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
    const value = 0xffff_8123_4567_8000n + BigInt(msr & 0xff);
    assert.ok(write(vcpu, msr, value), msr.toString(16));
    assert.equal(read(vcpu, msr), value, msr.toString(16));
  }
});

test("an address that is not canonical raises #GP", () => {
  const vcpu = createTestVcpu();
  for (const msr of [0x175, 0x176, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
    assert.equal(write(vcpu, msr, 0x0000_8000_0000_0000n), false, msr.toString(16));
    assert.equal(write(vcpu, msr, 0xffff_7fff_ffff_ffffn), false, msr.toString(16));
  }
});

test("EFER keeps LMA, refuses reserved bits, and refuses a change of LME under paging", () => {
  const vcpu = createTestVcpu();
  assert.ok(write(vcpu, EFER, 0x100n));
  vcpu.state.writeU64(VCPU.efer, 0x500n);
  vcpu.state.writeU64(VCPU.cr0, 0x8000_0011n);
  assert.ok(write(vcpu, EFER, 0x901n));
  assert.equal(read(vcpu, EFER), 0xd01n);
  assert.equal(write(vcpu, EFER, 0x801n), false, "LME cleared under paging");
  assert.equal(write(vcpu, EFER, 0x1d01n), false, "SVME");
  assert.equal(read(vcpu, EFER), 0xd01n);
});

test("a change of EFER.NXE drops the TLB, another write does not", () => {
  const vcpu = createTestVcpu();
  write(vcpu, EFER, 1n);
  assert.deepEqual(vcpu.log, []);
  write(vcpu, EFER, 0x801n);
  assert.deepEqual(vcpu.log, ["flushTlb"]);
});

test("user mode gets #GP for every register", () => {
  const vcpu = createTestVcpu();
  vcpu.state.writeU32(VCPU.cpl, 3);
  assert.equal(read(vcpu, EFER), undefined);
  assert.equal(write(vcpu, 0xc000_0100, 0n), false);
});

test("the local APIC answers for its base and the x2APIC range", () => {
  const seen: [number, bigint][] = [];
  const vcpu = createTestVcpu({
    apic: { readMsr: (msr) => BigInt(msr) + (1n << 40n), writeMsr: (msr, value) => seen.push([msr, value]) > 0 },
  });
  assert.equal(read(vcpu, 0x1b), 0x1bn + (1n << 40n));
  assert.equal(read(vcpu, 0x8ff), 0x8ffn + (1n << 40n));
  assert.ok(write(vcpu, 0x830, 0x2_0000_c500n));
  assert.deepEqual(seen, [[0x830, 0x2_0000_c500n]]);
});

test("the hypercall page gets 128 stubs that load EAX and call", () => {
  const vcpu = createTestVcpu();
  assert.equal(write(vcpu, 0x4000_0000, 0x5001n), false, "only page 0 exists");
  assert.ok(write(vcpu, 0x4000_0000, 0x5000n));
  const page = vcpu.written.get(0x5000)!;
  assert.equal(page.length, 4096);
  assert.deepEqual([...page.subarray(29 * 32, 29 * 32 + 9)], [0xb8, 29, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3]);
});

test("no two entries of the table overlap", () => {
  const ranges = MSR_TABLE.map(({ first, last = first }) => [first, last] as const).sort((a, b) => a[0] - b[0]);
  for (const [i, [first]] of ranges.entries()) assert.ok(i === 0 || first > ranges[i - 1]![1], first.toString(16));
});
