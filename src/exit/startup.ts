/**
 * Start of the vCPUs behind the first (Intel SDM vol 3 §9.4): INIT resets one and has it wait, a start-up IPI sets it going in
 * real mode. A vCPU that went offline (CLI; HLT) stays so until INIT.
 */
import { REQUEST_EVENT, REQUEST_STARTUP, REQUESTS_QUIET, STARTUP_HALTED, STARTUP_RUNNING, STARTUP_WAITING } from "../abi/layout.js";
import type { VcpuContext } from "./vcpu-context.js";

/** Deals with INIT, before other work of the vCPU. */
export function handleInit({ state, apic, core, machine, hypercalls, index }: VcpuContext): void {
  if (state.startup === STARTUP_RUNNING) {
    machine.wentOffline();
    hypercalls.markVcpuUp(index, false);
  }
  state.startup = STARTUP_WAITING;
  apic.reset();
  core.flushTlb();
}

/** Whether the vCPU is not to enter guest mode now. */
export function isParked({ state }: VcpuContext): boolean {
  return state.startup !== STARTUP_RUNNING;
}

/** Sleeps until a parked vCPU has something to do; begins when that is a start-up IPI. */
export function waitForStartup(vcpu: VcpuContext): void {
  const { state, core, machine, hypercalls, index } = vcpu;
  state.takeRequests(REQUEST_EVENT | REQUEST_STARTUP);
  const requests = state.requests;
  const page = state.startup === STARTUP_HALTED ? undefined : state.takeStartupPage();
  if (page === undefined) {
    if ((requests & ~REQUESTS_QUIET) === 0) state.waitForRequest(requests, Infinity);
    return;
  }
  state.resetForStartup(page);
  core.flushTlb();
  state.startup = STARTUP_RUNNING;
  machine.cameOnline();
  hypercalls.markVcpuUp(index, true);
}
