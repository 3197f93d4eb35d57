import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EXIT_BUDGET, EXIT_CPUID, EXIT_HLT, EXIT_HYPERCALL, EXIT_IO, EXIT_NAMES, EXIT_NPT, EXIT_RDRAND, EXIT_TRIPLE_FAULT, EXIT_WRMSR, REQUEST_APIC_RELOAD, REQUEST_EVENT, REQUEST_STOP, SEGMENT_CS, STARTUP_HALTED, STARTUP_RUNNING, STARTUP_WAITING, VCPU,
} from "../abi/layout.js";
import { RAX, RCX } from "../cpu/index.js";
import { EXIT_TABLE } from "./exit-table.js";
import { runVcpu } from "./run-loop.js";
import { createLinearMemory } from "./linear-memory.js";
import { guestModeEpoch } from "./requests/guest-mode.js";
import { createTestVcpu, type TestVcpu } from "./test-vcpu.js";

const FLAG_IF = 0x200n;

/** A core that makes these exits one after the other. */
function exitsOf(...reasons: number[]): { run: () => number } {
  return { run: () => reasons.shift() ?? EXIT_TRIPLE_FAULT };
}

test("every exit reason has a handler", () => {
  assert.deepEqual(Object.keys(EXIT_TABLE).map(Number), EXIT_NAMES.map((_, reason) => reason));
});

test("exits are counted by reason", () => {
  const vcpu = createTestVcpu({ core: exitsOf(EXIT_BUDGET, EXIT_CPUID, EXIT_CPUID, EXIT_TRIPLE_FAULT) });
  assert.equal(runVcpu(vcpu).kind, "triple-fault");
  const { budget, cpuid, "triple-fault": tripleFault, hlt } = vcpu.counters.exits();
  assert.deepEqual({ budget, cpuid, tripleFault, hlt }, { budget: 1, cpuid: 2, tripleFault: 1, hlt: 0 });
});

test("a triple fault is reported with rip, mode and registers", () => {
  const vcpu = createTestVcpu({ core: exitsOf(EXIT_TRIPLE_FAULT) });
  vcpu.state.setGpr(RAX, 0xabcn);
  const outcome = runVcpu(vcpu);
  assert.ok(outcome.kind === "triple-fault");
  assert.equal(outcome.report.rip, "0x1000");
  assert.equal(outcome.report.mode, "64-bit");
  assert.equal(outcome.report.registers["rax"], "0xabc");
  assert.equal(outcome.report.bytes, "unreadable");
});

test("HLT with interrupts off on the last vCPU is power-off", () => {
  assert.deepEqual(runVcpu(createTestVcpu({ core: exitsOf(EXIT_HLT) })), { kind: "power-off" });
});

test("HLT with interrupts on sleeps until the timer, which is fired once", () => {
  let fired = 0;
  let pending = false;
  const began = performance.now();
  const nowNs = (): number => (performance.now() - began) * 1e6;
  let deadlineNs: number | undefined;
  const vcpu = createTestVcpu({
    core: exitsOf(EXIT_HLT, EXIT_TRIPLE_FAULT),
    machine: { nowNs },
    hypercalls: {
      callbackVector: () => 0xf3,
      upcallPending: () => pending,
      // From when it is first asked for: on a busy host the run loop may begin late.
      timerDeadlineNs: () => (fired === 0 ? (deadlineNs ??= nowNs() + 20e6) : Infinity),
      fireTimer: () => {
        fired++;
        return (pending = true);
      },
    },
  });
  vcpu.state.writeU64(VCPU.rflags, 2n | FLAG_IF);
  assert.equal(runVcpu(vcpu).kind, "triple-fault");
  assert.equal(fired, 1);
  assert.ok(deadlineNs !== undefined && nowNs() >= deadlineNs && nowNs() < 2e9, `woke after ${nowNs()} ns`);
  assert.equal(vcpu.state.readU32(VCPU.pendingInterrupt), 0x1f3);
  assert.ok(vcpu.counters.get("haltedNs") > 10e6);
});

/**
 * A vCPU of KVM's personality whose core makes these exits by OUT or OUTS to a serial port, then ends. The port has no room until somebody has looked for
 * it twice, then for two bytes; `onBusy` runs when it refuses one.
 */
function createSender(exits: readonly { size: number; data: bigint }[], onBusy: (vcpu: TestVcpu) => void = () => undefined): { vcpu: TestVcpu; sent: string[] } {
  const sent: string[] = [];
  let room = 0;
  let looks = 0;
  const vcpu: TestVcpu = createTestVcpu({
    kvm: {
      domain: { hypercall: () => 0, readMsr: () => 0n, writeMsr: () => true, enterGuest: () => undefined, leaveGuest: () => undefined, resumed: () => undefined },
      uarts: [{
        read: () => 0,
        write: (_register, value) => {
          if (room === 0) return onBusy(vcpu), false;
          room--;
          return sent.push(String.fromCharCode(value)) > 0;
        },
        awaitRoom: () => {
          if (++looks % 2 === 0) return (room = 2) > 0;
          // The one that makes room comes between the look and the sleep.
          vcpu.state.postRequest(REQUEST_EVENT);
          return false;
        },
      }],
      ioApic: { readMmio: () => 0, writeMmio: () => undefined },
      rtc: { select: () => undefined, read: () => 0 },
    },
    core: {
      run: () => {
        const exit = exits[vcpu.counters.exits()["io"]!];
        if (exit === undefined) return EXIT_TRIPLE_FAULT;
        vcpu.setExit({ ...exit, address: 0x3f8, write: true });
        return EXIT_IO;
      },
    },
  });
  return { vcpu, sent };
}

test("what a busy port does not take is written when it does, each byte once, and the guest goes on only then", () => {
  // One byte; eight bytes of an OUTS that goes on (length 0); its last three.
  const { vcpu, sent } = createSender([
    { size: 0x1_0101, data: 0x61n }, { size: 0x8_0100, data: 0x6968_6766_6564_6362n }, { size: 0x3_0102, data: 0x6c_6b6an },
  ]);
  assert.equal(runVcpu(vcpu).kind, "triple-fault");
  assert.equal(sent.join(""), "abcdefghijkl");
  assert.equal(vcpu.state.rip, 0x1003n, "behind OUT, at OUTS, behind it");
  assert.equal(vcpu.counters.exits()["io"], 3);
});

test("a vCPU that waits for a port can be stopped, and INIT ends its wait", () => {
  const out = { size: 0x1_0101, data: 0x61n };
  const stopped = createSender([out], ({ state }) => state.postRequest(REQUEST_STOP));
  assert.deepEqual(runVcpu(stopped.vcpu), { kind: "stopped" });
  assert.equal(stopped.vcpu.state.rip, 0x1000n);
  const started = createSender([out], ({ state }) => {
    state.sendInit();
    state.sendStartup(0x9a);
  });
  assert.equal(runVcpu(started.vcpu).kind, "triple-fault");
  assert.equal(started.vcpu.state.segmentBase(SEGMENT_CS), 0x9a000n);
  assert.equal(started.vcpu.counters.get("unclaimedPorts"), 0, "nothing of the exit is looked at again");
  assert.deepEqual([...stopped.sent, ...started.sent], []);
});

test("an upcall that the guest has cleared is taken back", () => {
  let pending = true;
  const offered: number[] = [];
  const vcpu = createTestVcpu({
    core: {
      run: () => {
        offered.push(vcpu.state.readU32(VCPU.pendingInterrupt));
        pending = false;
        return offered.length < 2 ? EXIT_BUDGET : EXIT_TRIPLE_FAULT;
      },
    },
    hypercalls: { callbackVector: () => 0xf3, upcallPending: () => pending },
  });
  runVcpu(vcpu);
  assert.deepEqual(offered, [0x1f3, 0]);
});

test("a stop request ends the loop before guest mode, and an event request alone does not", () => {
  const vcpu = createTestVcpu({ core: exitsOf(EXIT_TRIPLE_FAULT) });
  vcpu.state.postRequest(REQUEST_STOP | REQUEST_EVENT);
  assert.deepEqual(runVcpu(vcpu), { kind: "stopped" });
  assert.equal(vcpu.state.requests, REQUEST_STOP | REQUEST_APIC_RELOAD);
  const other = createTestVcpu({ core: exitsOf(EXIT_TRIPLE_FAULT) });
  other.state.postRequest(REQUEST_EVENT);
  assert.equal(runVcpu(other).kind, "triple-fault");
});

test("a page without memslot is all ones but for the local APIC, and takes writes", () => {
  const written: [number, number][] = [];
  const reads: bigint[] = [];
  const accesses = [{ address: 0xd000_0000 }, { address: 0xfee0_0020 }, { address: 0xfee0_00b0, write: true, data: 0x1_0000_0007n }];
  const vcpu = createTestVcpu({
    machine: { faultIn: () => "no-slot" },
    apic: { readMmio: (offset) => offset + 0x4000_0000, writeMmio: (offset, value) => written.push([offset, value]) },
    core: {
      run: () => {
        reads.push(vcpu.state.readU64(VCPU.mmioValue));
        const next = accesses.shift();
        if (next === undefined) return EXIT_TRIPLE_FAULT;
        vcpu.setExit(next);
        return EXIT_NPT;
      },
    },
  });
  runVcpu(vcpu);
  assert.deepEqual(reads.slice(1, 3), [0xffff_ffff_ffff_ffffn, 0x4000_0020n]);
  assert.deepEqual(written, [[0xb0, 7]]);
  assert.equal(vcpu.state.readU32(VCPU.mmioState), 2);
  assert.equal(vcpu.counters.get("unclaimedMmio"), 1);
});

test("a page that cannot get a frame ends the guest", () => {
  const vcpu = createTestVcpu({ core: exitsOf(EXIT_NPT), machine: { faultIn: () => "out-of-memory" } });
  assert.deepEqual(runVcpu(vcpu), { kind: "out-of-memory" });
});

test("a hypercall gets number and six arguments, and its result is RAX", () => {
  const calls: unknown[] = [];
  const vcpu = createTestVcpu({
    core: exitsOf(EXIT_HYPERCALL, EXIT_TRIPLE_FAULT),
    hypercalls: {
      hypercall: (...args) => {
        calls.push(args.slice(0, 3));
        return -38n;
      },
    },
  });
  for (let n = 0; n < 16; n++) vcpu.state.setGpr(n, BigInt(100 + n));
  vcpu.setExit({ size: 3 });
  runVcpu(vcpu);
  assert.deepEqual(calls, [[0, 100, [107n, 106n, 102n, 110n, 108n, 109n]]]);
  assert.equal(vcpu.state.gpr(RAX), 0xffff_ffff_ffff_ffdan);
  assert.equal(vcpu.state.rip, 0x1003n);
});

test("a hypercall from user mode is refused with -EPERM and not carried out", () => {
  const vcpu = createTestVcpu({
    core: exitsOf(EXIT_HYPERCALL),
    hypercalls: { hypercall: () => assert.fail("carried out") },
  });
  vcpu.state.writeU32(VCPU.cpl, 3);
  runVcpu(vcpu);
  assert.equal(vcpu.state.gpr(RAX), 0xffff_ffff_ffff_ffffn);
});

test("shutdown reasons end the run with what they mean", () => {
  for (const [reason, kind] of [[0, "power-off"], [1, "reboot"], [2, "suspend"], [3, "crash"]] as const) {
    const vcpu = createTestVcpu({
      core: exitsOf(EXIT_HYPERCALL), hypercalls: { takeSchedulingRequest: () => ({ kind: "shutdown", reason }) },
    });
    assert.equal(runVcpu(vcpu).kind, kind);
  }
});

test("RDRAND fills the register of its size and sets only CF", () => {
  for (const [bytes, kept] of [[2, 0x1122_3344_5566_0000n], [4, 0n], [8, 0n]] as const) {
    const vcpu = createTestVcpu({ core: exitsOf(EXIT_RDRAND, EXIT_RDRAND, EXIT_TRIPLE_FAULT) });
    vcpu.state.setGpr(9, 0x1122_3344_5566_7788n);
    vcpu.state.setArithmeticFlags(0x8d4n);
    vcpu.setExit({ size: 4 | (bytes << 8), address: 9 });
    runVcpu(vcpu);
    const mask = (1n << BigInt(bytes * 8)) - 1n;
    assert.equal(vcpu.state.gpr(9) & ~mask, kept);
    assert.equal(vcpu.state.rflags & 0x8d5n, 1n);
    assert.equal(vcpu.state.rip, 0x1008n);
  }
});

test("a vector of the local APIC is offered as one, after the event upcall", () => {
  const offered: number[] = [];
  let isUpcall = true;
  const vcpu = createTestVcpu({
    hypercalls: { callbackVector: () => 0xf3, upcallPending: () => isUpcall },
    apic: { pendingVector: () => 0xf6 },
    core: {
      run: () => {
        offered.push(vcpu.state.readU32(VCPU.pendingInterrupt));
        isUpcall = false;
        return offered.length < 2 ? EXIT_BUDGET : EXIT_TRIPLE_FAULT;
      },
    },
  });
  runVcpu(vcpu);
  assert.deepEqual(offered, [0x1f3, 0x3f6]);
});

test("the frame of the APIC access page is looked up before the first entry, and again until nothing changes it", () => {
  const answers = ["changing", "changing", 0x1000_5000] as const;
  let asked = 0;
  const frames: number[] = [];
  const vcpu = createTestVcpu({
    machine: { findApicFrame: () => answers[asked++]! },
    core: { run: () => (frames.push(vcpu.state.apicAccessFrame), EXIT_TRIPLE_FAULT) },
  });
  assert.equal(runVcpu(vcpu).kind, "triple-fault");
  assert.deepEqual([asked, frames], [3, [0x1000_5000]]);
});

test("a local APIC that was moved, or is off, has no access page, and gets it back", () => {
  let base: number | undefined = 0xfee0_0000;
  const frames: number[] = [];
  const vcpu: TestVcpu = createTestVcpu({
    machine: { findApicFrame: () => 0x1000_5000 },
    apic: { mmioBase: () => base, writeMsr: (_msr, value) => (base = Number(value), true) },
    core: {
      run: () => {
        frames.push(vcpu.state.apicAccessFrame);
        vcpu.state.setGpr(RCX, 0x1bn);
        vcpu.state.setGpr(RAX, frames.length === 1 ? 0xfed0_0000n : 0xfee0_0000n);
        return frames.length < 3 ? EXIT_WRMSR : EXIT_TRIPLE_FAULT;
      },
    },
  });
  runVcpu(vcpu);
  assert.deepEqual(frames, [0x1000_5000, 0, 0x1000_5000]);
});

test("a walk for a hypercall's argument counts as guest mode, so that no frame is freed under it", () => {
  const epochs: (number | undefined)[] = [];
  const vcpu: TestVcpu = createTestVcpu({
    core: {
      translate: () => {
        epochs.push(guestModeEpoch(vcpu.state));
        return 0x5000;
      },
    },
  });
  assert.equal(createLinearMemory(vcpu).translate(0x1000n), 0x5000);
  assert.notEqual(epochs[0], undefined);
  assert.equal(guestModeEpoch(vcpu.state), undefined);
});

test("a start-up IPI right behind INIT counts, one before it does not", () => {
  for (const startup of [STARTUP_RUNNING, STARTUP_WAITING, STARTUP_HALTED]) {
    const begun: bigint[] = [];
    const vcpu = createTestVcpu({
      core: { run: () => (begun.push(vcpu.state.segmentBase(SEGMENT_CS)), EXIT_TRIPLE_FAULT) },
    });
    vcpu.state.startup = startup;
    vcpu.state.sendStartup(0x77);
    vcpu.state.sendInit();
    vcpu.state.sendStartup(0x9a);
    runVcpu(vcpu);
    assert.deepEqual([begun, vcpu.state.startup], [[0x9a000n], STARTUP_RUNNING]);
  }
  const { state } = createTestVcpu();
  state.sendStartup(0x77);
  state.sendInit();
  assert.equal(state.takeStartupPage(), undefined);
});
