/** The run loop of one vCPU: requests, timer, upcall, guest mode, exit, and again. */
import {
  EXIT_BUDGET, REQUEST_CODE_INVALIDATE, REQUEST_EVENT, REQUEST_INIT, REQUEST_PAUSE, REQUEST_STARTUP, REQUEST_STOP, REQUEST_TLB_FLUSH, VCPU_IN_GUEST_MODE,
  VCPU_OUTSIDE_GUEST_MODE,
} from "../abi/layout.js";
import { EXIT_TABLE } from "./exit-table.js";
import { InterruptOffers, pollTimers, timerDeadlineNs } from "./interrupts.js";
import { handleInit, isParked, waitForStartup } from "./startup.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** How long the core should stay in guest mode at most; a timer may fire this much late. */
const TURN_NS = 1e6;
const BUDGET_MIN = 5_000;
const BUDGET_MAX = 1_000_000;
const BUDGET_FIRST = 200_000;

/** Runs vCPU `vcpu` until it is stopped or the guest ends. */
export function runVcpu(vcpu: VcpuContext): VcpuOutcome {
  const turns = { pace: new Pace(), offers: new InterruptOffers() };
  for (;;) {
    const outcome = runTurn(vcpu, turns);
    if (outcome !== undefined) return outcome;
  }
}

/** What the loop remembers from turn to turn. */
interface Turns {
  readonly pace: Pace;
  readonly offers: InterruptOffers;
}

function runTurn(vcpu: VcpuContext, { pace, offers }: Turns): VcpuOutcome | undefined {
  if (vcpu.state.requests !== 0) {
    const stopped = handleRequests(vcpu);
    if (stopped !== undefined) return stopped;
  }
  if (isParked(vcpu)) {
    waitForStartup(vcpu);
    return undefined;
  }
  pollTimers(vcpu);
  offers.offer(vcpu);
  vcpu.kvm?.domain.enterGuest(vcpu.index, vcpu.apic, offers.apicVector);
  const { core, state, machine, counters } = vcpu;
  const begunNs = machine.nowNs();
  const budget = pace.budget(timerDeadlineNs(vcpu) - begunNs);
  state.setGuestMode(VCPU_IN_GUEST_MODE);
  const reason = core.run(budget);
  state.setGuestMode(VCPU_OUTSIDE_GUEST_MODE);
  offers.collect(vcpu);
  vcpu.kvm?.domain.leaveGuest(vcpu.index, vcpu.apic);
  if (reason === EXIT_BUDGET) pace.learn(budget, machine.nowNs() - begunNs);
  counters.countExit(reason);
  const handler = EXIT_TABLE[reason];
  if (handler === undefined) throw new Error(`expected an exit reason of the table, got ${reason}`);
  return handler(vcpu);
}

function handleRequests(vcpu: VcpuContext): VcpuOutcome | undefined {
  const { state, core } = vcpu;
  state.takeRequests(REQUEST_EVENT | REQUEST_STARTUP);
  if ((state.requests & REQUEST_PAUSE) !== 0) {
    waitWhilePaused(vcpu);
    vcpu.kvm?.domain.resumed(vcpu.index);
  }
  if (state.takeRequests(REQUEST_INIT) !== 0) handleInit(vcpu);
  if (state.acknowledgeRequests(REQUEST_TLB_FLUSH) !== 0) core.flushTlb();
  if (state.acknowledgeRequests(REQUEST_CODE_INVALIDATE) !== 0) core.flushCode();
  return (state.requests & REQUEST_STOP) !== 0 ? { kind: "stopped" } : undefined;
}

function waitWhilePaused({ state, machine }: VcpuContext): void {
  machine.paused();
  for (;;) {
    const requests = state.requests;
    if ((requests & REQUEST_PAUSE) === 0 || (requests & REQUEST_STOP) !== 0) return;
    state.waitForRequest(requests, Infinity);
  }
}

/** How many instructions fill one turn, learnt from the turns before. */
class Pace {
  #instructionsPerNs = BUDGET_FIRST / TURN_NS;

  /** Budget for a turn that should not outlast `remainingNs` (until the next timer, may be Infinity or past). */
  budget(remainingNs: number): number {
    const turnNs = Math.min(TURN_NS, Math.max(remainingNs, 0));
    return Math.round(Math.min(BUDGET_MAX, Math.max(BUDGET_MIN, turnNs * this.#instructionsPerNs)));
  }

  /** Takes in that `instructions` took `elapsedNs`. */
  learn(instructions: number, elapsedNs: number): void {
    if (elapsedNs <= 0) return;
    this.#instructionsPerNs += (instructions / elapsedNs - this.#instructionsPerNs) / 4;
  }
}
