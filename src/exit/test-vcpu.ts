/** A vCPU without a core, for tests of the exit handlers. */
import type { Gpa } from "../abi/address.js";
import { FRAMES_BASE, MODE_64, VCPU } from "../abi/layout.js";
import { type Core, VcpuState } from "../cpu/index.js";
import type { LinearMemory } from "../hypercall/index.js";
import { VcpuCounters } from "./counters.raw.js";
import { createTestMemory } from "./test-memory.raw.js";
import { KVM_PERSONALITY } from "./kvm-personality.js";
import type { HypercallTarget, KvmTarget, LocalApicTarget, MachineCalls, VcpuContext, XenTarget } from "./vcpu-context.js";
import { XEN_PERSONALITY } from "./xen-personality.js";

/** What a test vCPU recorded. */
export interface TestVcpu extends VcpuContext {
  readonly log: string[];
  readonly written: Map<number, Uint8Array>;
  /** Puts down an exit as the core does. */
  setExit(exit: { size?: number; address?: number; write?: boolean; data?: bigint }): void;
}

/** Parts a test replaces. */
export interface TestVcpuParts {
  readonly hypercalls?: Partial<HypercallTarget & XenTarget>;
  /** Makes it a vCPU of KVM's personality. */
  readonly kvm?: KvmTarget;
  readonly apic?: Partial<LocalApicTarget>;
  readonly machine?: Partial<MachineCalls>;
  readonly core?: Partial<Core>;
  readonly linear?: Partial<LinearMemory>;
  /** Host memory that other threads see too, and the vCPU's index in it; default a new one and 0. */
  readonly memory?: WebAssembly.Memory;
  readonly index?: number;
}

const QUIET_HYPERCALLS: HypercallTarget & XenTarget = {
  hypercall: () => 0n,
  takeSchedulingRequest: () => ({ kind: "none" }),
  pollReady: () => false,
  endPoll: () => undefined,
  upcallPending: () => false,
  callbackVector: () => 0,
  timerDeadlineNs: () => Infinity,
  fireTimer: () => false,
  setRunstate: () => undefined,
  markVcpuUp: () => undefined,
};

/** Makes a vCPU in 64-bit mode at CPL 0 with RIP 0x1000. */
export function createTestVcpu(parts: TestVcpuParts = {}): TestVcpu {
  const { memory = createTestMemory(FRAMES_BASE), index = 0 } = parts;
  const state = new VcpuState(memory, index);
  state.reset();
  state.rip = 0x1000n;
  state.writeU32(VCPU.mode, MODE_64);
  const log: string[] = [];
  const written = new Map<number, Uint8Array>();
  return {
    index, vcpuCount: 1, state, log, written,
    core: {
      run: () => 0, translate: (gva) => Number(gva), flushTlb: () => log.push("flushTlb"),
      flushFrames: () => log.push("flushFrames"), invalidateCode: () => undefined,
      flushCode: () => undefined, registersChanged: () => undefined, translateHot: () => undefined, entry: undefined, ...parts.core,
    },
    personality: parts.kvm === undefined ? XEN_PERSONALITY : KVM_PERSONALITY,
    hypercalls: { ...QUIET_HYPERCALLS, ...parts.hypercalls },
    ...(parts.kvm === undefined ? { xen: { ...QUIET_HYPERCALLS, ...parts.hypercalls } } : { kvm: parts.kvm }),
    apic: {
      mmioBase: () => 0xfee0_0000, readMmio: () => 0, writeMmio: () => undefined, readMsr: () => undefined, writeMsr: () => false,
      pendingVector: () => -1, timerDeadlineNs: () => Infinity, fireTimer: () => false, reset: () => undefined,
      hasSoleInterrupt: () => false, endInterrupt: () => undefined, ...parts.apic,
    },
    memory: { read: (_gpa, length) => new Uint8Array(length), write: (gpa: Gpa, bytes) => written.set(gpa, bytes.slice()) !== undefined },
    linear: { read: () => undefined, write: () => false, translate: () => undefined, ...parts.linear },
    machine: {
      faultIn: () => "mapped", findApicFrame: () => "no-slot", nowNs: () => 0, cameOnline: () => undefined, wentOffline: () => true, paused: () => undefined, stopForDebugger: () => undefined,
      serveDebugger: () => undefined, debugByte: () => undefined, ...parts.machine,
    },
    counters: new VcpuCounters(memory, index),
    setExit({ size = 2, address = 0, write = false, data = 0n }) {
      state.writeU32(VCPU.exitSize, size);
      state.writeU64(VCPU.exitAddress, BigInt(address));
      state.writeU32(VCPU.exitWrite, write ? 1 : 0);
      state.writeU64(VCPU.exitData, data);
    },
  };
}
