/**
 * Translated code in lock step with the interpreter, in a guest that runs. At the entry of a region that is to be checked both run from the same
 * state, one after the other, and what they leave is compared: registers, flags, RIP, the count of instructions, each page that was stored to.
 *
 *   nobody else touches guest memory: other vCPUs stand (split-lock.ts), the hypervisor's threads open no read section
 *   keep the state; take all write tags away
 *   1  regions, from TLBs as they were      ends: at a trace's end with the budget used up, or at an instruction that cannot be done twice
 *      keep what it left; undo
 *   2  interpreter alone, just as far                compare, undo
 *   3  regions again, from warm TLBs                 compare; the guest goes on from here
 *
 * The code that is checked is the code that runs: it is not written otherwise for this. Whoever stores to guest memory needs a write tag, and gets it from
 * memory.ts, `resolve`; so a page is copied there before its first store, and putting the copies back undoes a run, whatever stored.
 *
 * A stretch ends in front of what has an effect beyond registers and memory, or another outcome each time: exits, exceptions, the time, system
 * instructions (`cutStretch`), stores to decoded code, the local APIC, marks in page tables that were stored to. The TLBs' contents stay
 * through all runs, and so do traces: nothing is decoded in a stretch.
 */
import * as L from "./generated/layout";
import { interpret } from "./generated/run";
import { BAIL_EXIT, BAIL_FAULT, BAIL_JUMP, BAIL_NEXT, TRACE_BYTES, TRACE_INSTRUCTIONS, TRACE_RIP } from "./op";
import { readRflags } from "./flags";
import { endInterruptShadow, interruptsHeld } from "./interrupt-window";
import { cpu, setBail, setCodeChanged } from "./state";
import { freeSplitLock, stopOthers, takeSplitLock } from "./split-lock";
import { flushFrames, updateAccessWatch } from "./tlb";
import { keepPages, noteWords, pagesDiffer, startPages, undoPages } from "./lock-step-pages";
import { closeGate, openGate } from "./lock-step-gate";

/** Every how manyth entry into a region is checked; 0 = none. */
export let checkEvery: u32 = 0;
/** What goes on: nothing; a stretch with regions; one without; a difference was found, and the guest may not go on. */
export const IDLE: u32 = 0;
const WITH_REGIONS: u32 = 1;
const INTERPRETED: u32 = 2;
export const DIFFERENT: u32 = 3;
export let lockStep: u32 = IDLE;
/** Whether regions may not be entered now. */
export let regionsHeld: bool = false;

const NO_VECTOR: u32 = 0xffff_ffff;
/** How often a stretch is tried again when a page came to the guest meanwhile. */
const ATTEMPTS: u32 = 3;

let entriesToCheck: u32 = 1;
let draw: u32 = 1;

/** How the run that was last ended: STRETCH_END and instructions. */
let end: u32 = 0;
let executed: i32 = 0;
let budget: i32 = 0;
/** The trace that did not fit in any more, 0 = it was something else. */
let nextTrace: u32 = 0;

// @ts-ignore: decorator
@inline function area(): u32 { return cpu + L.VCPU_AREA_lockStep; }

/** Learns from the host whether, and how often, regions are checked. */
export function joinLockStep(): void {
  checkEvery = load<u32>(L.LOCK_STEP_EVERY_ADDRESS);
  lockStep = IDLE;
  regionsHeld = false;
  entriesToCheck = 1;
}

/** Whether this entry is one to check: on average each `checkEvery`th, at uneven distances, lest a loop be met at one place only. */
export function checkDue(): bool {
  if (--entriesToCheck != 0) return false;
  draw = draw * 1664525 + 1013904223;
  entriesToCheck = 1 + u32((u64(draw) * u64(2 * checkEvery - 1)) >> 32);
  return true;
}

function count(table: u32, reason: u32): void {
  const counter = area() + table + (reason << 3);
  store<u64>(counter, load<u64>(counter) + 1);
}

function skip(reason: u32): i32 {
  count(L.LOCK_STEP_skipped, reason);
  return 0;
}

// ---------------------------------------------------------------------------------------------------- ends of a stretch

function finish(reason: u32, remaining: i32): void {
  end = reason;
  executed = budget - remaining;
}

/** Ends the stretch in front of the instruction that is about to be done. Returns the bail code for it to answer. */
export function cutStretch(reason: u32): i32 {
  end = reason;
  return setBail(BAIL_FAULT);
}

/**
 * At a trace's end: whether the stretch goes on with `trace` (0 = there is none decoded), with `remaining` instructions left. The interpreter has to come just
 * as far as regions did, whose budget may be overdrawn: it begins a trace as long as anything is left, for a branch may leave it early.
 */
export function goesOn(trace: u32, remaining: i32): bool {
  nextTrace = trace;
  // What the look-up met on its way is met again outside; or not, if somebody else has had the host give the page meanwhile, and then it would be met by one run only.
  if (trace == 0) settle();
  if (lockStep == INTERPRETED && remaining <= 0) {
    finish(L.STRETCH_END_full, remaining);
    return false;
  }
  if (trace == 0) {
    finish(L.STRETCH_END_fetch, remaining);
    return false;
  }
  if (lockStep == INTERPRETED || remaining >= i32(load<u16>(trace + TRACE_INSTRUCTIONS))) return true;
  finish(L.STRETCH_END_full, remaining);
  return false;
}

/** At a trace's end: ends the stretch there if something forbids to go on. Returns whether it did. */
export function endsAtTrace(remaining: i32): bool {
  nextTrace = 0;
  let reason: u32 = 0;
  if (load<i32>(cpu + L.VCPU_request) != 0) reason = L.STRETCH_END_request;
  else if (load<u32>(cpu + L.VCPU_mode) != L.MODE_64) reason = L.STRETCH_END_system;
  else if (load<u32>(cpu + L.VCPU_interruptShadow) != 0) {
    if (interruptsHeld()) reason = L.STRETCH_END_shadow;
    else endInterruptShadow();
  }
  if (reason == 0) return false;
  finish(reason, remaining);
  return true;
}

/** A handler left its trace with the bail code `bail`. Returns whether the stretch ends. */
export function endsInTrace(bail: i32, remaining: i32): bool {
  if (bail == BAIL_NEXT || bail == BAIL_JUMP) return false;
  if (bail == BAIL_EXIT) end = L.STRETCH_END_exit;
  else if (bail != BAIL_FAULT) end = L.STRETCH_END_trap;
  else if (load<u32>(cpu + L.VCPU_exceptionVector) != NO_VECTOR) end = L.STRETCH_END_fault;
  finish(end, remaining);
  return true;
}

// ---------------------------------------------------------------------------------------------------- running and comparing

function copyState(to: u32, from: u32): void {
  // The epochs of the PC caches never go back: what was entered under one would count again.
  memory.copy(to, from, L.VCPU_userEpoch);
  memory.copy(to + L.VCPU_mxcsr, from + L.VCPU_mxcsr, L.LOCK_STEP_STATE_SIZE - L.VCPU_mxcsr);
}

/** Goes back to the start of the stretch. */
function undo(): void {
  undoPages();
  copyState(cpu, area() + L.LOCK_STEP_start);
  setCodeChanged(0);
  updateAccessWatch();
}

/** Runs from the start; the guest's state is what comes of it. */
function run(how: u32, instructions: i32): void {
  lockStep = how;
  regionsHeld = how == INTERPRETED;
  budget = instructions;
  end = L.STRETCH_END_full;
  interpret(cpu, instructions);
  regionsHeld = false;
  lockStep = IDLE;
}

/** Keeps the state at `state`, with all of RFLAGS in a scratch word. */
function keepState(state: u32): void {
  copyState(area() + state, cpu);
  store<u64>(area() + state + L.VCPU_temporaryValue, readRflags());
}

/** Keeps what a run has left, to be compared with the next. */
function keep(state: u32): void {
  keepState(state);
  keepPages();
}

function bytesDiffer(a: u32, b: u32, from: u32, to: u32): bool {
  for (let at = from; at < to; at += 4) if (load<u32>(a + at) != load<u32>(b + at)) return true;
  return false;
}

/** Whether the vCPU's state differs from the one kept at `state`. What is scratch, or counts, does not tell. */
function stateDiffers(state: u32): bool {
  const kept = area() + state;
  return bytesDiffer(kept, cpu, L.VCPU_gpr, L.VCPU_flagResult) || load<u64>(kept + L.VCPU_temporaryValue) != readRflags()
    || bytesDiffer(kept, cpu, L.VCPU_cpl, L.VCPU_interruptShadow) || bytesDiffer(kept, cpu, L.VCPU_segments, L.VCPU_currentOp)
    || bytesDiffer(kept, cpu, L.VCPU_exitReason, L.VCPU_userEpoch) || bytesDiffer(kept, cpu, L.VCPU_mxcsr, L.VCPU_counterTlbFills);
}

const AGREE: u32 = 0;
const DIFFER: u32 = 1;
/** One of the runs met something by which nothing is said. */
const UNCLEAR: u32 = 2;
/** Ends after which the runs say nothing about each other. */
// @ts-ignore: decorator
@inline function isUnclear(): bool { return end == L.STRETCH_END_request || end == L.STRETCH_END_trap; }

let translatedCount: i32 = 0;
let translatedEnd: u32 = 0;

/** Whether `reason` is one for which a stretch ends between two traces. */
// @ts-ignore: decorator
@inline function isBetweenTraces(reason: u32): bool { return reason == L.STRETCH_END_full || reason == L.STRETCH_END_fetch || reason == L.STRETCH_END_shadow; }

/** Whether the run that was last has left something else than what is kept of translated code, which ended after `instructions` for `reason`. */
function differsFrom(instructions: i32, reason: u32): bool {
  if (executed != instructions || (end != reason && !(isBetweenTraces(end) && isBetweenTraces(reason)))) return true;
  return stateDiffers(L.LOCK_STEP_translated) || pagesDiffer();
}

/** Keeps what translated code has left, lets the interpreter come just as far, and compares. The state is the interpreter's. */
function interpretAsFar(): u32 {
  keep(L.LOCK_STEP_translated);
  undo();
  // Regions that were left in front of an instruction: the interpreter has to find out for itself that it cannot be done.
  run(INTERPRETED, isBetweenTraces(translatedEnd) ? translatedCount : translatedCount + 1);
  // Regions go from trace to trace without a look-up, which may miss a page: the interpreter then ends between two traces, in front of what is to be compared.
  if (isUnclear() || (end == L.STRETCH_END_fetch && (executed < translatedCount || !isBetweenTraces(translatedEnd)))) return UNCLEAR;
  return differsFrom(translatedCount, translatedEnd) ? DIFFER : AGREE;
}

function runTranslated(instructions: i32): bool {
  run(WITH_REGIONS, instructions);
  translatedCount = executed;
  translatedEnd = end;
  return !isUnclear();
}

/** Runs translated code for about `instructions`, and the interpreter as far. The state is the interpreter's. */
function runBoth(instructions: i32): u32 {
  return runTranslated(instructions) ? interpretAsFar() : UNCLEAR;
}

/** As runBoth; then translated code once more, from the TLBs that the interpreter has filled. The state is that of the run which was last. */
function runThrice(instructions: i32): u32 {
  const first = runBoth(instructions);
  if (first != AGREE || executed == 0) return first;
  const interpretedCount = executed, interpretedEnd = end;
  undo();
  if (!runTranslated(instructions)) return UNCLEAR;
  // What is kept is the interpreter's too, for they agreed. With warm TLBs regions may have come to another end.
  return differsFrom(interpretedCount, interpretedEnd) ? interpretAsFar() : AGREE;
}

// ---------------------------------------------------------------------------------------------------- checking an entry

/**
 * Checks the entry into the region of `trace`, with `remaining` instructions of the budget left. Returns how many of them were done: the state is the one
 * behind them, RIP included. 0 = none, the entry could not be checked. Where the two differ, `lockStep` is DIFFERENT from then on.
 */
export function checkEntry(trace: u32, remaining: i32): i32 {
  if (load<i32>(cpu + L.VCPU_request) != 0) return skip(L.STRETCH_END_request);
  if (load<u32>(cpu + L.VCPU_mmioState) != 0) return skip(L.STRETCH_END_device);
  store<u64>(cpu + L.VCPU_rip, load<u64>(trace + TRACE_RIP));
  if (load<u32>(cpu + L.VCPU_interruptShadow) != 0) {
    if (interruptsHeld()) return skip(L.STRETCH_END_shadow);
    endInterruptShadow();
  }
  takeSplitLock();
  stopOthers();
  closeGate();
  const done = check(trace, min<i32>(remaining, L.LOCK_STEP_INSTRUCTIONS));
  openGate();
  freeSplitLock();
  return done;
}

function check(trace: u32, instructions: i32): i32 {
  copyState(area() + L.LOCK_STEP_start, cpu);
  startPages();
  let result = runThrice(instructions);
  for (let attempt: u32 = 1; attempt < ATTEMPTS; attempt++) {
    if (result == UNCLEAR && end == L.STRETCH_END_fetch && executed > 0) instructions = executed;
    // The host may have given or taken a page that one of the runs asked for.
    else if (result != DIFFER || (end != L.STRETCH_END_exit && translatedEnd != L.STRETCH_END_exit)) break;
    undo();
    result = runThrice(instructions);
  }
  if (result == DIFFER) {
    tellDifference(trace, instructions);
    return 0;
  }
  if (result != AGREE || executed == 0) {
    undo();
    return skip(end);
  }
  settle();
  count(L.LOCK_STEP_ends, end);
  store<u64>(area() + L.LOCK_STEP_checked, load<u64>(area() + L.LOCK_STEP_checked) + 1);
  store<u64>(area() + L.LOCK_STEP_instructions, load<u64>(area() + L.LOCK_STEP_instructions) + u64(executed));
  return executed;
}

/** Forgets the exception or exit that ended the stretch: the instruction is done again outside. */
function settle(): void {
  const kept = area() + L.LOCK_STEP_start;
  store<u32>(cpu + L.VCPU_exceptionVector, NO_VECTOR);
  store<u64>(cpu + L.VCPU_cr2, load<u64>(kept + L.VCPU_cr2));
  memory.copy(cpu + L.VCPU_exitReason, kept + L.VCPU_exitReason, L.VCPU_userEpoch - L.VCPU_exitReason);
}

// ---------------------------------------------------------------------------------------------------- telling a difference

/** Writes down the difference between the run of translated code that is kept and the state now, the interpreter's. */
function note(narrowed: bool): void {
  const to = area();
  keepState(L.LOCK_STEP_interpreted);
  // What is run to narrow the difference down writes over what is kept.
  copyState(to + L.LOCK_STEP_told, to + L.LOCK_STEP_translated);
  store<u64>(to + L.LOCK_STEP_entryRip, load<u64>(to + L.LOCK_STEP_start + L.VCPU_rip));
  store<i32>(to + L.LOCK_STEP_translatedCount, translatedCount);
  store<i32>(to + L.LOCK_STEP_interpretedCount, executed);
  store<u32>(to + L.LOCK_STEP_translatedEnd, translatedEnd);
  store<u32>(to + L.LOCK_STEP_interpretedEnd, end);
  store<u32>(to + L.LOCK_STEP_narrowed, narrowed ? 1 : 0);
  noteWords();
}

/** Whether a stretch of `length` instructions differs, from empty TLBs or as they are. */
function differsAt(length: i32, isCold: bool): bool {
  undo();
  if (isCold) flushFrames();
  return runBoth(length) == DIFFER;
}

function noteBlock(index: u32, rip: u64, bytes: u32): void {
  const record = area() + L.LOCK_STEP_blocks + (index << 4);
  store<u64>(record, rip);
  store<u32>(record + 8, bytes);
  store<u32>(area() + L.LOCK_STEP_blockCount, index + 1);
}

/** Lists the traces that the interpreter goes through from `from` instructions on to `to`. Regions may not be had to stop between them. */
function noteBlocks(from: i32, to: i32, rip: u64, bytes: u32): void {
  noteBlock(0, rip, bytes);
  for (let block: u32 = 1; block < L.LOCK_STEP_BLOCKS_MAX; block++) {
    undo();
    run(INTERPRETED, from + 1);
    if (executed <= from || executed >= to || nextTrace == 0 || !isBetweenTraces(end)) return;
    from = executed;
    noteBlock(block, load<u64>(nextTrace + TRACE_RIP), u32(load<u16>(nextTrace + TRACE_BYTES)));
  }
}

/**
 * Finds the shortest stretch at whose end the two differ, by running ever longer ones; each of them from empty TLBs and from warm ones. The state that
 * stays is the interpreter's.
 */
function tellDifference(trace: u32, instructions: i32): void {
  noteBlock(0, load<u64>(trace + TRACE_RIP), u32(load<u16>(trace + TRACE_BYTES)));
  note(false);
  let agreed: i32 = 0;
  let rip = load<u64>(trace + TRACE_RIP);
  let bytes = u32(load<u16>(trace + TRACE_BYTES));
  for (let length = i32(load<u16>(trace + TRACE_INSTRUCTIONS)); length <= instructions; length++) {
    const cold = differsAt(length, true);
    if (cold || differsAt(length, false)) {
      noteBlocks(agreed, max<i32>(executed, translatedCount), rip, bytes);
      differsAt(length, cold);
      note(true);
      break;
    }
    if (nextTrace == 0 || !isBetweenTraces(end)) break;
    if (executed == agreed) continue;
    agreed = executed;
    rip = load<u64>(nextTrace + TRACE_RIP);
    bytes = u32(load<u16>(nextTrace + TRACE_BYTES));
  }
  store<u32>(area() + L.LOCK_STEP_differences, 1);
  lockStep = DIFFERENT;
}
