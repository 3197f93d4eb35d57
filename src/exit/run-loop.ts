/** The run loop of one vCPU: requests, timer, upcall, guest mode, exit, and again. */
import {
  EXIT_BUDGET, REQUEST_APIC_RELOAD, REQUEST_CODE_INVALIDATE, REQUEST_DEBUG_MESSAGE, REQUEST_EVENT, REQUEST_INIT, REQUEST_KICK, REQUEST_STARTUP, REQUEST_STOP,
  REQUEST_TLB_FLUSH,
} from "../abi/layout.js";
import type { Core, VcpuState } from "../cpu/index.js";
import { reloadApicAccess } from "./apic-reload.js";
import { EXIT_TABLE } from "./exit-table.js";
import { offerInterrupt, pollTimers, timerDeadlineNs } from "./interrupts.js";
import { standWhilePaused } from "./pause.js";
import { enterGuestMode, leaveGuestMode } from "./requests/guest-mode.js";
import { handleInit, isParked, waitForStartup } from "./startup.js";
import type { ExitHandler, VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** How long the core should stay in guest mode at most; a timer may fire this much late. */
const TURN_NS = 1e6;
const BUDGET_MIN = 5_000;
const BUDGET_MAX = 1_000_000;
const BUDGET_FIRST = 200_000;

/** What a turn leaves to the next. */
interface Progress {
  readonly pace: Pace;
  /** Handler of an exit that has to be finished before the guest goes on. */
  unfinished: ExitHandler | undefined;
}

/** Runs vCPU `vcpu` until it is stopped or the guest ends. */
export function runVcpu(vcpu: VcpuContext): VcpuOutcome {
  const progress: Progress = { pace: new Pace(), unfinished: undefined };
  vcpu.state.repeatRequest(REQUEST_APIC_RELOAD);
  for (;;) {
    const outcome = runTurn(vcpu, progress);
    if (outcome !== undefined) return outcome;
  }
}

function runTurn(vcpu: VcpuContext, progress: Progress): VcpuOutcome | undefined {
  if (vcpu.state.requests !== 0) {
    const outcome = handleRequests(vcpu);
    if (outcome !== undefined) return outcome;
  }
  if (isParked(vcpu)) {
    // INIT: what the vCPU was at is forgotten.
    progress.unfinished = undefined;
    waitForStartup(vcpu);
    return undefined;
  }
  const handler = progress.unfinished ?? visitGuest(vcpu, progress.pace);
  const outcome = handler?.(vcpu);
  progress.unfinished = outcome === "unfinished" ? handler : undefined;
  return outcome === "unfinished" ? undefined : outcome;
}

/** Lets the guest run until the next exit, and returns that exit's handler; undefined = a request came first. */
function visitGuest(vcpu: VcpuContext, pace: Pace): ExitHandler | undefined {
  const offeredVector = bringEvents(vcpu);
  vcpu.kvm?.domain.enterGuest(vcpu.index, vcpu.apic, offeredVector);
  const { core, state, machine, counters } = vcpu;
  const begunNs = machine.nowNs();
  const paced = pace.budget(timerDeadlineNs(vcpu) - begunNs);
  const budget = vcpu.sampler?.beforeRun(paced) ?? paced;
  const reason = runGuest(core, state, budget);
  if (reason === undefined) return undefined;
  vcpu.kvm?.domain.leaveGuest(vcpu.index, vcpu.apic);
  core.translateHot();
  // What a sampler cuts short says more of the entry and the exit than of the guest.
  if (reason === EXIT_BUDGET && budget >= BUDGET_MIN) pace.learn(budget, machine.nowNs() - begunNs);
  counters.countExit(reason);
  const handler = EXIT_TABLE[reason];
  if (handler === undefined) throw new Error(`expected an exit reason of the table, got ${reason}`);
  return handler;
}

/** Timers and interrupts, before guest mode; under single step by the debugger they wait. Returns the vector of the local APIC that is offered, -1 = none. */
function bringEvents(vcpu: VcpuContext): number {
  if (vcpu.state.isStepping) {
    vcpu.state.setPendingInterrupt(undefined);
    return -1;
  }
  pollTimers(vcpu);
  return offerInterrupt(vcpu);
}

/** Guest mode; undefined = a request came before the first instruction. Whatever happens to the core, nobody waits for it afterwards. */
function runGuest(core: Core, state: VcpuState, budget: number): number | undefined {
  if (!enterGuestMode(state)) return undefined;
  try {
    return core.run(budget);
  } finally {
    leaveGuestMode(state);
  }
}

/** A request is taken before its work is done: one that comes meanwhile is for the next turn. */
function handleRequests(vcpu: VcpuContext): VcpuOutcome | undefined {
  const { state, core } = vcpu;
  state.takeRequests(REQUEST_EVENT | REQUEST_STARTUP | REQUEST_KICK | REQUEST_DEBUG_MESSAGE);
  standWhilePaused(vcpu);
  if (state.takeRequests(REQUEST_INIT) !== 0) handleInit(vcpu);
  if (state.takeRequests(REQUEST_TLB_FLUSH) !== 0) core.flushFrames();
  if (state.takeRequests(REQUEST_CODE_INVALIDATE) !== 0) core.flushCode();
  if ((state.requests & REQUEST_STOP) !== 0) return { kind: "stopped" };
  return state.takeRequests(REQUEST_APIC_RELOAD) !== 0 ? reloadApicAccess(vcpu) : undefined;
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
