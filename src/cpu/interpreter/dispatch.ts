/**
 * Between traces: where to go on, and whether anything asks for attention first (budget, requests, interrupts, single step).
 *
 * The loop in generated/run.ts calls `enterDispatch` when a trace ends without a link, and `leaveTrace` when a handler left the
 * straight path. Both answer the op to go on with, or 0 to return to the run loop; further results are in the globals below.
 */
import { forgetKernelCode, forgetUserCode } from "./code-epochs";
import * as L from "./generated/layout";
import {
  BAIL_EXIT, BAIL_EXIT_NEXT, BAIL_FAULT, BAIL_JUMP, BAIL_TRAP, OP_HANDLER, OP_LENGTH, OP_RIP_OFFSET, OP_SIZE, TRACE_GFN, TRACE_HEADER_SIZE, TRACE_INSTRUCTIONS, TRACE_KEY, TRACE_RIP, TRACE_SECOND_GFN,
} from "./op";
import { bail, cpu, setCpu, setCodeChanged } from "./state";
import { apicAccept } from "./apic-access";
import { cachedTrace, findTrace, pcCacheSlot, resetCodeCache, sampleTrace } from "./code-cache";
import { joinCodeSharing, readCodeLog } from "./code-sharing";
import { setSingleInstructionTraces } from "./decode";
import { currentTlb, resetTlb, updateAccessWatch } from "./tlb";
import { deliverInterrupt, deliverPending } from "./exceptions";
import { afterInstruction, beforeInstruction, cancelSingleStep, debugActive } from "./debug";
import {
  beginHostDebug, forgetHit, hostStepping, hostStopDue, hostWatching, noteStep, setRunsAlone, stopsAt, takeAlone,
} from "./host-debug";
import { storeAwaited, takePortAnswer } from "./port-strings";
import { endInterruptShadow, interruptsHeld } from "./interrupt-window";
import { FLAG_IF, FLAG_TF } from "./flags";
import { endStanding } from "./split-lock";
import { DIFFERENT, endsAtTrace, endsInTrace, goesOn, IDLE, joinLockStep, lockStep } from "./lock-step";

const NO_VECTOR: u32 = 0xffff_ffff;
const NO_GFN: u32 = 0xffff_ffff;
const KEY_DEAD: u32 = 0xffff_ffff;
/** PC cache keys: epoch above the mode. */
const KEY_EPOCH_SHIFT: u32 = 2;
/** Set in every epoch of the kernel, so that no link made at one privilege counts at the other. */
const KERNEL_EPOCHS: u32 = 0x2000_0000;

export let dispatchTrace: u32 = 0;
export let dispatchRemaining: i32 = 0;
export let dispatchExit: i32 = 0;
/** Whether the loop may take the next traces from the PC cache by itself, until a handler leaves the straight path. */
export let dispatchQuick: bool = false;
/** What regions may not use of the budget, because they overdraw it and it has to be exact. */
export let regionOverdraft: i32 = 0;

/** Budget taken away so that the loop comes back at the next trace end. */
let reserve: i32 = 0;
let budgetAtEntry: i32 = 0;
/** The run is to end behind exactly its budget of instructions (VCPU.exactBudget). */
let exact: bool = false;
/** A part of the budget has run out: the trace found next is sampled. */
let sampling: bool = false;
/** State of the generator that draws the lengths of parts. */
let partDraw: u32 = 0;
/** The instruction just executed was run alone, under the eyes of debug.ts. */
let stepped: bool = false;
/** The run loop completes such an instruction; it has done so when RIP is found here. */
let stepAwaited: bool = false;
let stepAwaitedRip: u64 = 0;
let legacyCodeBase: u64 = 0;

/** Prepares the vCPU whose area begins at `base`, whose registers the host has set. */
export function initialise(base: u32): void {
  setCpu(base);
  const ops = base + L.VCPU_AREA_dispatchOps;
  memory.fill(ops, 0, 2 * OP_SIZE);
  store<u16>(ops + OP_HANDLER, 0);
  store<u16>(ops + OP_SIZE + OP_HANDLER, 1);
  store<u32>(cpu + L.VCPU_exceptionVector, NO_VECTOR);
  memory.fill(base + L.VCPU_AREA_userPcCache, 0xff, L.PC_CACHE_ENTRIES * L.PC_CACHE_ENTRY_SIZE);
  memory.fill(base + L.VCPU_AREA_kernelPcCache, 0xff, L.PC_CACHE_ENTRIES * L.PC_CACHE_ENTRY_SIZE);
  resetTlb();
  resetCodeCache();
  joinCodeSharing();
  joinLockStep();
}

/** To be called before the loop runs. Returns the part of the budget that it is to begin with. */
export function beginRun(budget: i32): i32 {
  reserve = 0;
  sampling = load<u32>(cpu + L.VCPU_samplePart) != 0;
  budgetAtEntry = budget;
  exact = load<u32>(cpu + L.VCPU_exactBudget) != 0;
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) | KERNEL_EPOCHS);
  stepped = stepAwaited && load<u64>(cpu + L.VCPU_rip) == stepAwaitedRip && load<u32>(cpu + L.VCPU_exceptionVector) == NO_VECTOR;
  if (!stepped) cancelSingleStep();
  stepAwaited = false;
  setCodeChanged(0);
  takePortAnswer();
  beginHostDebug();
  updateAccessWatch();
  dispatchRemaining = budget;
  takePart();
  return dispatchRemaining;
}

/**
 * Keeps back what is more than a part of the budget. At the end of each part a trace is sampled, for the translator. Parts are drawn, between half and three halves
 * of the length asked for: with equal ones, a loop of the guest would be sampled at the same few of its traces each time.
 */
function takePart(): void {
  const mean = load<u32>(cpu + L.VCPU_samplePart);
  // Numbers of a linear congruential generator (Numerical Recipes, 2nd edition, 7.1); its upper bits are the random ones.
  partDraw = partDraw * 1664525 + 1013904223;
  const part = i32((mean >> 1) + u32((u64(partDraw) * u64(mean)) >> 32));
  // A part overruns its end: what is kept back has to hold that, for the run's own end to be kept.
  if (part != 0 && dispatchRemaining > part + L.REGION_OVERDRAFT_MAX) {
    reserve = dispatchRemaining - part;
    dispatchRemaining = part;
  }
  regionOverdraft = exact && reserve == 0 ? L.REGION_OVERDRAFT_MAX : 0;
}

/** Notes where RIP will be when the run loop has completed the instruction that is left for it under single step. */
function awaitStep(): void {
  const reason = load<u32>(cpu + L.VCPU_exitReason);
  const length = load<u32>(cpu + L.VCPU_exitSize) & 0xff;
  // A missing page, and the question of an INS, have the instruction run again.
  stepAwaited = reason != L.EXIT_NPT && reason != L.EXIT_APIC_ACCESS && !(reason == L.EXIT_IO && length == 0 && load<u32>(cpu + L.VCPU_exitWrite) == 0);
  stepAwaitedRip = load<u64>(cpu + L.VCPU_rip) + u64(length);
}

function exitWith(reason: i32): u32 {
  const executed = budgetAtEntry - dispatchRemaining - reserve;
  store<u64>(cpu + L.VCPU_instructionsRetired, load<u64>(cpu + L.VCPU_instructionsRetired) + u64(executed));
  dispatchExit = reason;
  store<u32>(cpu + L.VCPU_exitReason, reason);
  return 0;
}

/** Leaves for the exit that a slow path recorded. */
function exitRecorded(): u32 { return exitWith(i32(load<u32>(cpu + L.VCPU_exitReason))); }

/** Takes the budget away, so that the next trace end comes to the dispatcher. */
function comeBackSoon(): void {
  reserve += dispatchRemaining;
  dispatchRemaining = min<i32>(reserve, 0);
  // Used up: the loop sees it by itself. Else who runs one instruction after the other alone would never end.
  reserve -= dispatchRemaining;
}

/** Delivers what raise* recorded. Returns false when the run loop must act first. */
function deliverRecorded(): bool {
  while (load<u32>(cpu + L.VCPU_exceptionVector) != NO_VECTOR) {
    const result = deliverPending();
    if (result == BAIL_EXIT) return false;
    noteStep();
  }
  return true;
}

/** Delivers an external interrupt that waits, if it may be taken now. Returns false when the run loop must act first. */
function deliverWaiting(): bool {
  const pending = load<u32>(cpu + L.VCPU_pendingInterrupt);
  if (pending == 0 || (load<u64>(cpu + L.VCPU_rflags) & FLAG_IF) == 0) return true;
  const result = deliverInterrupt(pending & 0xff);
  if (result == BAIL_EXIT) return false;
  store<u32>(cpu + L.VCPU_pendingInterrupt, 0);
  if ((pending & L.PENDING_FROM_APIC) != 0) apicAccept(pending & 0xff);
  store<u64>(cpu + L.VCPU_counterInterrupts, load<u64>(cpu + L.VCPU_counterInterrupts) + 1);
  return deliverRecorded();
}

// @ts-ignore: decorator
@inline function pcCacheKey(user: bool): u32 {
  const epoch = load<u32>(user ? cpu + L.VCPU_userEpoch : cpu + L.VCPU_kernelEpoch);
  return (epoch << KEY_EPOCH_SHIFT) | load<u32>(cpu + L.VCPU_mode);
}

/** PC cache key in 64-bit mode at `epoch`; the quick way is for that mode only. */
// @ts-ignore: decorator
@inline export function quickKey(epoch: u32): u32 { return (epoch << KEY_EPOCH_SHIFT) | L.MODE_64; }

/** Outside 64-bit mode the same RIP means other code when the base of CS changes. */
function noteCodeBase(): void {
  const base = load<u64>(cpu + L.VCPU_segments + L.SEGMENT_CS * L.SEGMENT_SIZE + L.SEGMENT_BASE);
  if (base == legacyCodeBase) return;
  legacyCodeBase = base;
  forgetUserCode();
  forgetKernelCode();
}

/** As enterDispatch, in a stretch that is checked (lock-step.ts): requests and interrupts wait until it is over. */
function enterInStretch(): u32 {
  dispatchExit = 0;
  if (endsAtTrace(dispatchRemaining)) return 0;
  if (((load<u64>(cpu + L.VCPU_dr + 56) & 0xff) | (load<u64>(cpu + L.VCPU_rflags) & FLAG_TF)) != 0) { goesOn(0, dispatchRemaining); return 0; }
  const rip = load<u64>(cpu + L.VCPU_rip);
  const user = load<u32>(cpu + L.VCPU_cpl) == 3;
  const slot = pcCacheSlot(cpu + (user ? L.VCPU_AREA_userPcCache : L.VCPU_AREA_kernelPcCache), rip);
  const key = pcCacheKey(user);
  const cached = cachedTrace(rip, slot, key);
  const trace = cached != 0 ? cached : findTrace(rip, slot, key);
  if (!goesOn(trace, dispatchRemaining)) return 0;
  dispatchQuick = true;
  return enter(trace);
}

/** Finds the trace to run at VCPU.rip. `link` is the branch field to point at it, 0 for none, in trace `from`. */
export function enterDispatch(remaining: i32, link: u32, from: u32): u32 {
  dispatchRemaining = remaining;
  dispatchQuick = false;
  if (lockStep != IDLE) return lockStep == DIFFERENT ? exitWith(L.EXIT_LOCK_STEP) : enterInStretch();
  if (stepped) {
    stepped = false;
    setRunsAlone(false);
    noteStep();
    if (afterInstruction() != 0) { link = 0; if (!deliverRecorded()) return exitRecorded(); }
  }
  if (hostStepping || hostWatching) {
    // Before anything else leaves: what is told is where the instruction has left the vCPU.
    if (load<u32>(cpu + L.VCPU_exceptionVector) != NO_VECTOR) { link = 0; if (!deliverRecorded()) return exitRecorded(); }
    if (hostStopDue()) return exitWith(L.EXIT_DEBUG);
  }
  if (dispatchRemaining < 0 || (exact && dispatchRemaining == 0)) {
    dispatchRemaining += reserve;
    reserve = 0;
    if (dispatchRemaining < 0 || (exact && dispatchRemaining == 0)) return exitWith(L.EXIT_BUDGET);
    sampling = load<u32>(cpu + L.VCPU_samplePart) != 0;
    takePart();
  }
  if (load<i32>(cpu + L.VCPU_request) != 0) {
    if ((atomic.and<u32>(cpu + L.VCPU_request, ~L.REQUEST_CODE_LOG) & L.REQUEST_CODE_LOG) != 0) { readCodeLog(); endStanding(); link = 0; }
    // What comes for the core meanwhile is seen behind the next trace, so that this vCPU goes on however often others ask.
    if ((load<i32>(cpu + L.VCPU_request) & ~L.REQUEST_CODE_LOG) != 0) return exitWith(L.EXIT_REQUEST);
  }
  if (load<u32>(cpu + L.VCPU_exceptionVector) != NO_VECTOR) { link = 0; if (!deliverRecorded()) return exitRecorded(); }
  if ((load<u32>(cpu + L.VCPU_pendingInterrupt) | load<u32>(cpu + L.VCPU_interruptShadow)) != 0) {
    // The instruction behind STI or MOV SS comes before the interrupt, and alone: the one behind it may be CLI.
    const held = interruptsHeld() || storeAwaited();
    const alone = held && load<u32>(cpu + L.VCPU_pendingInterrupt) != 0;
    if (alone && stopsAt(linearRip(load<u64>(cpu + L.VCPU_rip)))) return exitWith(L.EXIT_DEBUG);
    endInterruptShadow();
    if (alone) {
      stepped = debugActive() || hostWatching;
      if (!stepped || beforeInstruction(linearRip(load<u64>(cpu + L.VCPU_rip))) == 0) return enterAlone(load<u64>(cpu + L.VCPU_rip));
    }
    const before = load<u64>(cpu + L.VCPU_rip);
    if (!deliverWaiting()) return exitRecorded();
    if (load<u64>(cpu + L.VCPU_rip) != before) link = 0;
  }
  const rip = load<u64>(cpu + L.VCPU_rip);
  const mode = load<u32>(cpu + L.VCPU_mode);
  if (mode != L.MODE_64) noteCodeBase();
  const breakpoints = (load<u64>(cpu + L.VCPU_dr + 56) & 0xff) != 0;
  if (breakpoints || (load<u64>(cpu + L.VCPU_rflags) & FLAG_TF) != 0) return enterStep(rip);
  if ((hostStepping || hostWatching) && takeAlone()) return enterStep(rip);
  const user = load<u32>(cpu + L.VCPU_cpl) == 3;
  const slot = pcCacheSlot(cpu + (user ? L.VCPU_AREA_userPcCache : L.VCPU_AREA_kernelPcCache), rip);
  const key = pcCacheKey(user);
  let trace = cachedTrace(rip, slot, key);
  if (trace == 0) {
    const flushes = load<u64>(cpu + L.VCPU_counterArenaFlushes);
    trace = findTrace(rip, slot, key);
    if (trace == 0) return fetchFailed();
    if (load<u64>(cpu + L.VCPU_counterArenaFlushes) != flushes) link = 0;
  }
  if (exact && reserve == 0 && i32(load<u16>(trace + TRACE_INSTRUCTIONS)) > dispatchRemaining) return enterAlone(rip);
  if (link != 0) linkTraces(link, from, trace, rip);
  dispatchQuick = mode == L.MODE_64;
  if (sampling && load<u32>(trace + TRACE_KEY) != KEY_DEAD) {
    sampling = false;
    if (dispatchQuick) sampleTrace(trace);
  }
  return enter(trace);
}

function enter(trace: u32): u32 {
  dispatchRemaining -= i32(load<u16>(trace + TRACE_INSTRUCTIONS));
  dispatchTrace = trace;
  return trace + TRACE_HEADER_SIZE;
}

function fetchFailed(): u32 {
  if (bail == BAIL_EXIT) return exitRecorded();
  if (!deliverRecorded()) return exitRecorded();
  // The handler's first trace is looked up by the next round.
  return cpu + L.VCPU_AREA_dispatchOps;
}

/** Lets the branch at `link` in trace `from` go straight to `trace`: only inside one page, where nothing but the page's own bytes can part them. */
function linkTraces(link: u32, from: u32, trace: u32, rip: u64): void {
  if (load<u32>(from + TRACE_KEY) == KEY_DEAD || load<u32>(from + TRACE_SECOND_GFN) != NO_GFN) return;
  if (load<u32>(trace + TRACE_SECOND_GFN) != NO_GFN || load<u32>(trace + TRACE_GFN) != load<u32>(from + TRACE_GFN)) return;
  if (((load<u64>(from + TRACE_RIP) ^ rip) >> 12) != 0) return;
  if (((load<u32>(from + TRACE_KEY) ^ load<u32>(trace + TRACE_KEY)) & 0xff) != 0) return;
  store<u32>(link, trace);
}

/** Enters a trace of one instruction, behind which the loop comes back. */
function enterAlone(rip: u64): u32 {
  setSingleInstructionTraces(true);
  // A look-up slot that never matches: single-instruction traces stay out of the PC cache.
  const trace = findTrace(rip, cpu + L.VCPU_AREA_dispatchOps + 4 * OP_SIZE, 0);
  setSingleInstructionTraces(false);
  if (trace == 0) { stepped = false; cancelSingleStep(); return fetchFailed(); }
  setRunsAlone(hostStepping || hostWatching);
  const op = enter(trace);
  comeBackSoon();
  return op;
}

/** Breakpoints name linear addresses. */
function linearRip(rip: u64): u64 {
  return load<u32>(cpu + L.VCPU_mode) == L.MODE_64 ? rip : (rip + load<u64>(cpu + L.VCPU_segments + L.SEGMENT_CS * L.SEGMENT_SIZE + L.SEGMENT_BASE)) & 0xffff_ffff;
}

/** One instruction alone, with breakpoints before and traps behind it. */
function enterStep(rip: u64): u32 {
  if (stopsAt(linearRip(rip))) return exitWith(L.EXIT_DEBUG);
  if (beforeInstruction(linearRip(rip)) != 0) {
    if (!deliverRecorded()) return exitRecorded();
    return cpu + L.VCPU_AREA_dispatchOps;
  }
  stepped = true;
  return enterAlone(rip);
}

/**
 * Whether a region may go on at VCPU.rip by itself, behind an instruction that has gone there and may have changed privilege, flags and mode: when
 * the dispatcher would do no more than look for the trace. VCPU.regionTlb is the TLB for it.
 */
export function goesOnInRegion(): bool {
  if (lockStep != IDLE || stepped || hostStepping || hostWatching || load<u32>(cpu + L.VCPU_mode) != L.MODE_64) return false;
  if (load<u32>(cpu + L.VCPU_pendingInterrupt) != 0 || load<u32>(cpu + L.VCPU_exceptionVector) != NO_VECTOR) return false;
  if (((load<u64>(cpu + L.VCPU_dr + 56) & 0xff) | (load<u64>(cpu + L.VCPU_rflags) & FLAG_TF)) != 0 || interruptsHeld()) return false;
  endInterruptShadow();
  updateAccessWatch();
  store<u32>(cpu + L.VCPU_regionTlb, currentTlb());
  return true;
}

/** Instructions of `trace` from `op` on, `op` counted too when `including`. Micro-operations have length 0. */
function notExecuted(trace: u32, op: u32, including: bool): i32 {
  let executed: i32 = 0;
  for (let at = trace + TRACE_HEADER_SIZE; at < op; at += OP_SIZE) if (load<u8>(at + OP_LENGTH) != 0) executed++;
  return i32(load<u16>(trace + TRACE_INSTRUCTIONS)) - executed - (including ? 0 : 1);
}

/** Ends `trace` at VCPU.currentOp, for the reason in `bail`. */
export function leaveTrace(trace: u32, remaining: i32): u32 {
  const op = load<u32>(cpu + L.VCPU_currentOp);
  const reason = bail;
  const undone = reason == BAIL_FAULT || reason == BAIL_EXIT;
  dispatchRemaining = remaining + notExecuted(trace, op, undone);
  setCodeChanged(0);
  if (reason != BAIL_JUMP && reason != BAIL_TRAP) {
    let rip = load<u64>(trace + TRACE_RIP) + u64(load<u16>(op + OP_RIP_OFFSET));
    if (!undone) rip += u64(load<u8>(op + OP_LENGTH));
    if (load<u32>(cpu + L.VCPU_mode) != L.MODE_64) rip &= 0xffff_ffff;
    store<u64>(cpu + L.VCPU_rip, rip);
  }
  if (undone) {
    if (stepped && reason == BAIL_EXIT) awaitStep();
    else cancelSingleStep();
    if (!stepAwaited) forgetHit();
    stepped = false;
    setRunsAlone(false);
  } else updateAccessWatch();
  if (lockStep != IDLE) {
    dispatchExit = 0;
    return endsInTrace(reason, dispatchRemaining) ? 0 : cpu + L.VCPU_AREA_dispatchOps;
  }
  if (reason == BAIL_FAULT || reason == BAIL_TRAP) {
    if (!deliverRecorded()) return exitRecorded();
  } else if (reason == BAIL_EXIT || reason == BAIL_EXIT_NEXT) {
    return exitRecorded();
  }
  return cpu + L.VCPU_AREA_dispatchOps;
}
