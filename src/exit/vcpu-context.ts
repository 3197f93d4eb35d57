/** What the handlers of one vCPU's exits work on. */
import type { Gfn, Gpa } from "../abi/address.js";
import type { Core, VcpuState } from "../cpu/index.js";
import type { IoApic, LocalApic, Rtc, Uart } from "../device/index.js";
import type { LinearMemory, XenDomain } from "../hypercall/index.js";
import type { KvmDomain } from "../kvm/index.js";
import type { GuestReport, TranslatorDifference } from "./guest-report.js";
import type { VcpuCounters } from "./counters.raw.js";
import type { Personality } from "./personality.js";

/** What the run loop needs of the rooms hypercall or kvm: what interrupts a vCPU besides its local APIC, and its run states. */
export type HypercallTarget = Pick<
  XenDomain, "upcallPending" | "callbackVector" | "timerDeadlineNs" | "fireTimer" | "setRunstate" | "markVcpuUp"
>;

/** What Xen's personality needs of the room hypercall. */
export type XenTarget = Pick<XenDomain, "hypercall" | "takeSchedulingRequest" | "pollReady" | "endPoll">;

/** What KVM's personality needs of the rooms kvm and device. */
export interface KvmTarget {
  readonly domain: Pick<KvmDomain, "hypercall" | "readMsr" | "writeMsr" | "enterGuest" | "leaveGuest" | "resumed">;
  readonly uarts: readonly Pick<Uart, "read" | "write" | "awaitRoom">[];
  readonly ioApic: Pick<IoApic, "readMmio" | "writeMmio">;
  readonly rtc: Pick<Rtc, "select" | "read">;
}

/** What the run loop needs of the local APIC. */
export type LocalApicTarget = Pick<
  LocalApic,
  "mmioBase" | "readMmio" | "writeMmio" | "readMsr" | "writeMsr" | "pendingVector" | "timerDeadlineNs" | "fireTimer" | "reset"
  | "hasSoleInterrupt" | "endInterrupt"
>;

/** Guest memory by guest-physical address. */
export interface PhysicalMemory {
  read(gpa: Gpa, lengthBytes: number): Uint8Array | undefined;
  write(gpa: Gpa, bytes: Uint8Array): boolean;
}

/** What the run loop asks of the machine around it. */
export interface MachineCalls {
  /** Gives a guest page its frame (nested page fault). */
  faultIn(gfn: Gfn, write: boolean): "mapped" | "no-slot" | "out-of-memory" | "stalled";
  /**
   * The address of the frame of the APIC access page, such that no invalidation of it had begun when it was looked up and none has since;
   * "changing" = ask again. May sleep until the change is over.
   */
  findApicFrame(): number | "changing" | "no-slot" | "out-of-memory";
  /** Nanoseconds since VM start, the guest's TSC. */
  nowNs(): number;
  /** This vCPU halted for good (CLI; HLT). True when no other vCPU is left. */
  wentOffline(): boolean;
  /** This vCPU begins to run after a start-up IPI. */
  cameOnline(): void;
  /** This vCPU stands at the gate (requests/gate.ts) from now on. */
  paused(): void;
  /** This vCPU has something to tell the debugger (VCPU.debugStop): all vCPUs are to stand. */
  stopForDebugger(): void;
  /** Deals with the debugger's messages that have come. This vCPU stands at the gate. */
  serveDebugger(): void;
  /** A byte written to the debug port 0xE9. */
  debugByte(byte: number): void;
}

/** Samples what the vCPU executes. */
export interface InstructionSampler {
  /**
   * Takes a sample if one is due. To be called before each run of at most `budget` instructions, when no exit is being dealt with; returns how
   * many it may have, at least 1.
   */
  beforeRun(budget: number): number;
}

/** One vCPU, as the exit handlers see it. */
export interface VcpuContext {
  readonly index: number;
  readonly vcpuCount: number;
  readonly core: Core;
  readonly state: VcpuState;
  readonly personality: Personality;
  readonly hypercalls: HypercallTarget;
  /** Of the two, that of the personality is there. */
  readonly xen?: XenTarget;
  readonly kvm?: KvmTarget;
  readonly apic: LocalApicTarget;
  readonly memory: PhysicalMemory;
  readonly linear: LinearMemory;
  readonly machine: MachineCalls;
  readonly counters: VcpuCounters;
  /** undefined = nothing is sampled. */
  readonly sampler?: InstructionSampler | undefined;
}

/** Why a vCPU's run loop came back. */
export type VcpuOutcome =
  | { readonly kind: "stopped" | "power-off" | "reboot" | "crash" | "suspend" | "out-of-memory" }
  | { readonly kind: "triple-fault" | "unsupported-instruction"; readonly report: GuestReport }
  | { readonly kind: "translator-difference"; readonly report: GuestReport; readonly difference: TranslatorDifference };

/** Acts on one exit; undefined = run on, "unfinished" = call it again before the guest goes on, requests first. */
export type ExitHandler = (vcpu: VcpuContext) => VcpuOutcome | "unfinished" | undefined;
