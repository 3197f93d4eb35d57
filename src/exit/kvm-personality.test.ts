import assert from "node:assert/strict";
import { test } from "node:test";
import { MODE_32, VCPU } from "../abi/layout.js";
import { RAX, RCX, RDX } from "../cpu/index.js";
import { cpuid } from "./cpuid-table.js";
import { handleHypercall, handleRdmsr, handleWrmsr } from "./instruction-exits.js";
import { handleNestedPageFault } from "./mmio.js";
import { handlePortAccess } from "./port-io.js";
import { KVM_PERSONALITY } from "./kvm-personality.js";
import { createTestVcpu, type TestVcpu } from "./test-vcpu.js";
import { XEN_PERSONALITY } from "./xen-personality.js";

interface Calls {
  readonly vcpu: TestVcpu;
  readonly calls: (string | number | bigint)[][];
}

function create(): Calls {
  const calls: (string | number | bigint)[][] = [];
  const log = (...call: (string | number | bigint)[]): void => void calls.push(call);
  const vcpu = createTestVcpu({
    machine: { faultIn: () => "no-slot" },
    kvm: {
      domain: {
        hypercall: (number, cpl) => (log("hypercall", number, cpl), -1000),
        readMsr: (index, msr) => (log("readMsr", index, msr), 0x1_0000_0005n),
        writeMsr: (index, msr, value) => (log("writeMsr", index, msr, value), true),
        enterGuest: () => undefined, leaveGuest: () => undefined, resumed: () => undefined,
      },
      uarts: Array.from({ length: 8 }, (_, n) => ({
        read: (register: number) => (log("uart read", n, register), 0x60), write: (register: number, value: number) => (log("uart write", n, register, value), true),
        awaitRoom: () => true,
      })),
      rtc: { select: (register) => log("rtc select", register), read: () => 0x59 },
      ioApic: { readMmio: (offset) => (log("io apic read", offset), 7), writeMmio: (offset, value) => log("io apic write", offset, value) },
    },
  });
  return { vcpu, calls };
}

const caller = { vcpuIndex: 0, vcpuCount: 1, personality: KVM_PERSONALITY };

test("the hypervisor's leaves are KVM's, with the features that are there and no other", () => {
  const [last, ...signature] = cpuid(0x4000_0000, 0, caller);
  assert.equal(last, 0x4000_0001);
  assert.equal(Buffer.from(Uint32Array.from(signature).buffer).toString(), "KVMKVMKVM\0\0\0");
  const [features, ebx, ecx, hints] = cpuid(0x4000_0001, 0, caller);
  assert.deepEqual(Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((features >>> bit) & 1) !== 0), [0, 1, 3, 5, 6, 9, 24]);
  assert.deepEqual([ebx, ecx, hints], [0, 0, 0]);
  for (const leaf of [2, 3, 4, 0x10]) assert.deepEqual(cpuid(0x4000_0000 + leaf, 0, caller), [0, 0, 0, 0]);
});

test("the deadline timer is KVM's to offer, the invariant TSC Xen's", () => {
  const xen = { ...caller, personality: XEN_PERSONALITY };
  assert.equal((cpuid(1, 0, caller)[2] >>> 24) & 1, 1);
  assert.equal((cpuid(1, 0, xen)[2] >>> 24) & 1, 0);
  assert.deepEqual([cpuid(6, 0, caller), cpuid(6, 0, xen)], [[4, 0, 0, 0], [0, 0, 0, 0]], "a timer that never stops");
  assert.equal(cpuid(0x8000_0007, 0, caller)[3], 0);
  assert.equal(cpuid(0x8000_0007, 0, xen)[3], 0x100);
});

test("KVM's registers reach the domain of this vCPU, and a Xen guest has none of them", () => {
  for (const msr of [0x11, 0x12, 0x4b56_4d00, 0x4b56_4d01, 0x4b56_4d03, 0x4b56_4d04]) {
    const { vcpu, calls } = create();
    vcpu.setExit({ size: 2 });
    vcpu.state.setGpr(RCX, BigInt(msr));
    handleRdmsr(vcpu);
    assert.deepEqual([vcpu.state.gpr(RAX), vcpu.state.gpr(RDX)], [5n, 1n]);
    handleWrmsr(vcpu);
    assert.deepEqual(calls, [["readMsr", 0, msr], ["writeMsr", 0, msr, 0x1_0000_0005n]]);
    const xen = createTestVcpu();
    xen.setExit({ size: 2 });
    xen.state.setGpr(RCX, BigInt(msr));
    handleRdmsr(xen);
    assert.equal(xen.state.readU32(VCPU.exceptionVector), 13, msr.toString(16));
  }
});

test("features that are not offered have no register either", () => {
  for (const msr of [0x4000_0000, 0x4b56_4d02, 0x4b56_4d05, 0x4b56_4d06, 0x4b56_4d07, 0x4b56_4d08]) {
    const { vcpu, calls } = create();
    vcpu.setExit({ size: 2 });
    vcpu.state.setGpr(RCX, BigInt(msr));
    handleWrmsr(vcpu);
    assert.equal(vcpu.state.readU32(VCPU.exceptionVector), 13, msr.toString(16));
    assert.deepEqual(calls, []);
  }
});

test("a hypercall passes number and privilege, and its answer fits the mode", () => {
  const { vcpu, calls } = create();
  vcpu.setExit({ size: 3 });
  vcpu.state.setGpr(RAX, 0xdead_0000_0005n);
  assert.equal(handleHypercall(vcpu), undefined);
  assert.equal(vcpu.state.gpr(RAX), BigInt.asUintN(64, -1000n));
  assert.equal(vcpu.state.rip, 0x1003n);
  vcpu.state.writeU32(VCPU.mode, MODE_32);
  vcpu.state.writeU32(VCPU.cpl, 3);
  vcpu.state.setGpr(RAX, 9n);
  handleHypercall(vcpu);
  assert.equal(vcpu.state.gpr(RAX), 0xffff_fc18n);
  assert.deepEqual(calls, [["hypercall", 5, 0], ["hypercall", 9, 3]]);
});

test("serial ports answer at their addresses, byte by byte", () => {
  const { vcpu, calls } = create();
  for (const [address, write, data] of [[0x3f8, true, 0x41n], [0x2fd, false, 0n], [0x1bf, true, 0x155n]] as const) {
    vcpu.setExit({ size: 0x101, address, write, data });
    handlePortAccess(vcpu);
  }
  assert.deepEqual(calls, [["uart write", 0, 0, 0x41], ["uart read", 1, 5], ["uart write", 7, 7, 0x55]]);
  assert.equal(vcpu.state.gpr32(RAX) & 0xff, 0x60);
  assert.equal(vcpu.counters.get("unclaimedPorts"), 0);
});

test("the PC's clock answers at its two ports", () => {
  const { vcpu, calls } = create();
  vcpu.setExit({ size: 0x101, address: 0x70, write: true, data: 0x8bn });
  handlePortAccess(vcpu);
  vcpu.setExit({ size: 0x101, address: 0x71 });
  handlePortAccess(vcpu);
  assert.deepEqual(calls, [["rtc select", 0x8b]]);
  assert.equal(vcpu.state.gpr32(RAX) & 0xff, 0x59);
});

test("sleep type 5 with the enable bit powers off, the reset register restarts, and nothing else does", () => {
  const { vcpu } = create();
  const write = (address: number, data: bigint): string | undefined => {
    vcpu.setExit({ size: 0x101, address, write: true, data });
    const outcome = handlePortAccess(vcpu);
    return outcome === "unfinished" ? outcome : outcome?.kind;
  };
  assert.equal(write(0x600, 0x34n), "power-off");
  for (const value of [0x14n, 0x20n, 0x2cn, 0n]) assert.equal(write(0x600, value), undefined);
  assert.equal(write(0x602, 1n), "reboot");
  assert.equal(write(0x602, 0n), undefined);
});

test("the I/O APIC answers at its page, which a Xen guest does not have", () => {
  const { vcpu, calls } = create();
  vcpu.setExit({ size: 4, address: 0xfec0_0010, write: true, data: 0x1_0000n });
  handleNestedPageFault(vcpu);
  vcpu.setExit({ size: 4, address: 0xfec0_0010 });
  handleNestedPageFault(vcpu);
  assert.deepEqual(calls, [["io apic write", 0x10, 0x1_0000], ["io apic read", 0x10]]);
  assert.equal(vcpu.counters.get("unclaimedMmio"), 0);
  const xen = createTestVcpu({ machine: { faultIn: () => "no-slot" } });
  xen.setExit({ size: 4, address: 0xfec0_0010 });
  handleNestedPageFault(xen);
  assert.equal(xen.counters.get("unclaimedMmio"), 1);
});

test("no register, port or leaf of the personality hides one of the processor's", async () => {
  const { MSR_TABLE } = await import("./msr-table.js");
  const { PORT_TABLE } = await import("./port-io.js");
  const { CPUID_TABLE } = await import("./cpuid-table.js");
  for (const { msrs, ports, leaves } of [KVM_PERSONALITY, XEN_PERSONALITY]) {
    const ranges = [...MSR_TABLE, ...msrs].map(({ first, last = first }) => [first, last] as const).sort((a, b) => a[0] - b[0]);
    for (const [i, [first]] of ranges.entries()) assert.ok(i === 0 || first > ranges[i - 1]![1], first.toString(16));
    const numbers = [...PORT_TABLE, ...ports].map(({ port }) => port);
    assert.equal(new Set(numbers).size, numbers.length);
    const leafNumbers = [...CPUID_TABLE, ...leaves].map(({ leaf, subleaf }) => `${leaf}.${subleaf}`);
    assert.equal(new Set(leafNumbers).size, leafNumbers.length);
  }
});
