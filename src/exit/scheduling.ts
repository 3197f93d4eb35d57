/** What a hypercall left for the run loop to do: sched_op's yield, block, poll and shutdown. */
import { REQUESTS_QUIET } from "../abi/layout.js";
import { SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_suspend } from "../abi/xen/index.js";
import type { VcpuState } from "../cpu/index.js";
import type { SchedulingRequest } from "../hypercall/index.js";
import { haltForGood, sleepUntil, sleepUntilEvent } from "./halt.js";
import { xenOf } from "./personality.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** A guest yields while a console ring is full: long enough for the device thread to take something out of it. */
const YIELD_MS = 0.05;

/** Carries out `request`; undefined = run on. */
export function obeySchedulingRequest(vcpu: VcpuContext, request: SchedulingRequest): VcpuOutcome | undefined {
  const { state, index } = vcpu;
  switch (request.kind) {
    case "none":
      return undefined;
    case "yield":
      yieldProcessor(state);
      return undefined;
    case "block":
      sleepUntilEvent(vcpu);
      return undefined;
    case "poll":
      sleepUntil(vcpu, () => xenOf(vcpu).pollReady(index), request.deadlineNs);
      xenOf(vcpu).endPoll(index);
      return undefined;
    case "down":
      return haltForGood(vcpu);
    case "shutdown":
      return shutdownOutcome(request.reason);
  }
}

function yieldProcessor(state: VcpuState): void {
  const { requests } = state;
  if ((requests & ~REQUESTS_QUIET) === 0) state.waitForRequest(requests, YIELD_MS);
}

/** What a SCHEDOP_shutdown of reason `reason` (SHUTDOWN_*) means for the VM. */
export function shutdownOutcome(reason: number): VcpuOutcome {
  if (reason === SHUTDOWN_poweroff) return { kind: "power-off" };
  if (reason === SHUTDOWN_crash) return { kind: "crash" };
  return { kind: reason === SHUTDOWN_suspend ? "suspend" : "reboot" };
}
