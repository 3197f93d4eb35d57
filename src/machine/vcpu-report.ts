/** What the operator sees of the vCPUs. */
import {
  REQUEST_CODE_INVALIDATE, REQUEST_CODE_LOG, REQUEST_DEBUG_MESSAGE, REQUEST_DEBUG_STOP, REQUEST_EVENT, REQUEST_INIT, REQUEST_KICK, REQUEST_PAUSE, REQUEST_STARTUP, REQUEST_STOP, REQUEST_TLB_FLUSH,
  STARTUP_RUNNING,
} from "../abi/layout.js";
import type { VcpuState } from "../cpu/index.js";
import { isInGuestMode } from "../exit/index.js";

/** Where a vCPU is: runs the guest's code, is in the hypervisor, sleeps in HLT, or is offline until it is started. */
export type VcpuMode = "in guest" | "outside" | "halted" | "parked";

/** One vCPU, at one moment. */
export interface VcpuReport {
  readonly index: number;
  readonly mode: VcpuMode;
  /** Instructions retired. */
  readonly instructions: number;
  /** Milliseconds spent in HLT. */
  readonly haltedMs: number;
  /** What it has been asked to do and has not done yet, by name. */
  readonly requests: readonly string[];
}

/** Names of the bits of the request word. */
const REQUEST_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [REQUEST_STOP, "stop"], [REQUEST_TLB_FLUSH, "tlb-flush"], [REQUEST_EVENT, "event"], [REQUEST_PAUSE, "pause"],
  [REQUEST_CODE_INVALIDATE, "code-invalidate"], [REQUEST_CODE_LOG, "code-log"], [REQUEST_INIT, "init"], [REQUEST_STARTUP, "startup"], [REQUEST_KICK, "kick"],
  [REQUEST_DEBUG_STOP, "debug-stop"], [REQUEST_DEBUG_MESSAGE, "debug-message"],
];

/** Looks at one vCPU; `isBlocked` = its run state is that of a sleeper. */
export function reportVcpu(vcpu: VcpuState, isBlocked: boolean, haltedNs: number): VcpuReport {
  return {
    index: vcpu.index, mode: modeOf(vcpu, isBlocked),
    instructions: vcpu.instructionsRetired, haltedMs: haltedNs / 1e6,
    requests: requestNames(vcpu.requests),
  };
}

function modeOf(vcpu: VcpuState, isBlocked: boolean): VcpuMode {
  if (isInGuestMode(vcpu)) return "in guest";
  if (vcpu.startup !== STARTUP_RUNNING) return "parked";
  return isBlocked ? "halted" : "outside";
}

/** Names of the bits that are set in a request word. */
export function requestNames(requests: number): string[] {
  return REQUEST_NAMES.filter(([bit]) => (requests & bit) !== 0).map(([, name]) => name);
}
