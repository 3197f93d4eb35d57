/**
 * HLT: the vCPU sleeps until an event, its timer or a request.
 *
 *   vCPU thread                              other thread
 *   request = load(request word)             raise port: pending bits in guest memory
 *   upcall pending? timer due? -> leave      postRequest(EVENT): or, notify
 *   wait(request word, request)
 *
 * The word is read before the event state, so an event raised in between changes the word and the wait returns at once. A request of
 * REQUESTS_QUIET changes the word too, but wakes nobody and ends nothing: the next look around finds the same and sleeps on
 * the new value. A vCPU that is asked to pause stands at the gate and then sleeps on: its guest is still in HLT.
 */
import { REQUEST_EVENT, REQUEST_STARTUP, REQUESTS_GATE, REQUESTS_QUIET, STARTUP_HALTED } from "../abi/layout.js";
import { RUNSTATE_blocked, RUNSTATE_running } from "../abi/xen/index.js";
import { endStepInHalt } from "./debug-stop.js";
import { hasInterrupt, pollTimers, timerDeadlineNs } from "./interrupts.js";
import { standWhilePaused } from "./pause.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** Requests of other threads that a sleep passes over. A start-up IPI does nothing to a vCPU that has started. */
const REQUESTS_SLEPT_THROUGH = REQUESTS_QUIET | REQUESTS_GATE;

/** Waits shorter than this are spun through: a sleep and its wake-up cost about as much. */
const SPIN_NS = 20_000;
const NS_PER_MS = 1e6;

/** Handles EXIT_HLT. RIP is already behind the instruction. */
export function handleHalt(vcpu: VcpuContext): VcpuOutcome | undefined {
  endStepInHalt(vcpu);
  if (!vcpu.state.interruptsEnabled) return haltForGood(vcpu);
  if (!hasInterrupt(vcpu)) sleepUntilEvent(vcpu);
  return undefined;
}

/** Sleeps until an event is due for the vCPU. */
export function sleepUntilEvent(vcpu: VcpuContext): void {
  sleepUntil(vcpu, () => hasInterrupt(vcpu), Infinity);
}

/** Sleeps until `isReady`, `deadlineNs`, or a request that the run loop has to look at; the vCPU's timer fires meanwhile. */
export function sleepUntil(vcpu: VcpuContext, isReady: () => boolean, deadlineNs: number): void {
  const { hypercalls, machine, counters, index } = vcpu;
  const begunNs = machine.nowNs();
  hypercalls.setRunstate(index, RUNSTATE_blocked);
  while (!isSleepOver(vcpu, isReady, deadlineNs)) continue;
  hypercalls.setRunstate(index, RUNSTATE_running);
  counters.add("haltedNs", machine.nowNs() - begunNs);
}

/** One look around, then one sleep if there is nothing. */
function isSleepOver(vcpu: VcpuContext, isReady: () => boolean, deadlineNs: number): boolean {
  const { state, machine } = vcpu;
  standWhilePaused(vcpu);
  state.takeRequests(REQUEST_EVENT | REQUEST_STARTUP);
  const requests = state.requests;
  pollTimers(vcpu);
  const nowNs = machine.nowNs();
  if ((requests & ~REQUESTS_SLEPT_THROUGH) !== 0 || isReady() || nowNs >= deadlineNs) return true;
  const sleepNs = Math.min(timerDeadlineNs(vcpu), deadlineNs) - nowNs;
  if (sleepNs > SPIN_NS && (requests & REQUESTS_GATE) === 0) state.waitForRequest(requests, sleepNs / NS_PER_MS);
  return false;
}

/** CLI; HLT: Xen takes it as power-off on the last vCPU that is online, and as "this vCPU is down" on others: only INIT wakes it. */
export function haltForGood({ machine, state, hypercalls, index }: VcpuContext): VcpuOutcome | undefined {
  if (machine.wentOffline()) return { kind: "power-off" };
  hypercalls.markVcpuUp(index, false);
  state.startup = STARTUP_HALTED;
  return undefined;
}
