/**
 * The debugger outside the guest (src/machine/gdb): breakpoints, watchpoints and single steps that the guest cannot see. Nothing of it is in guest
 * memory, in the guest's debug registers or in its flags.
 *
 *   breakpoint   the decoder begins a trace at its address with an op that leaves for the debugger: no instruction looks for any. Linear
 *                addresses, in whatever address space
 *   watchpoint   TLBs get no tags for data of its page, so that each access there comes to the slow way. One that hits is undone, and run again
 *                alone, so that it can be left behind it
 *   step         one instruction alone; the run loop offers no interrupt meanwhile. An exception ends it too, at its handler
 */
import * as L from "./generated/layout";
import { cpu, exitFor, setBail } from "./state";
import { BAIL_EXIT } from "./op";

/** Whether there is a watchpoint. */
export let hostWatching: bool = false;
/** Whether the debugger wants one instruction. */
export let hostStepping: bool = false;
/** Whether the instruction that is executed is alone, for the debugger's sake. */
export let runsAlone: bool = false;
export function setRunsAlone(alone: bool): void { runsAlone = alone; }

/** The next instruction is to run alone: it hits a watchpoint. */
let aloneAwaited: bool = false;
/** WATCH_* bits and address of the watchpoint that the instruction has hit; 0 = none. */
let hitKind: u32 = 0;
let hitAddress: u64 = 0;
/** The step is done. */
let stepDone: bool = false;

// @ts-ignore: decorator
@inline function entryAddress(index: u32): u32 { return L.DEBUG_TABLE_BASE + L.DEBUG_TABLE_ENTRIES + index * L.DEBUG_ENTRY_SIZE; }

/** Before the loop runs: what the debugger, which has no say while it runs, wants by now. */
export function beginHostDebug(): void {
  hostStepping = load<u32>(cpu + L.VCPU_debugStep) != 0;
  hostWatching = load<u32>(L.DEBUG_TABLE_BASE + L.DEBUG_TABLE_WATCHPOINTS) != 0;
  runsAlone = false;
  stepDone = false;
  if (hostWatching) return;
  aloneAwaited = false;
  hitKind = 0;
}

/** Whether a breakpoint is at linear address `linear`. */
export function isHostBreakpoint(linear: u64): bool {
  const count = load<u32>(L.DEBUG_TABLE_BASE + L.DEBUG_TABLE_BREAKPOINTS);
  for (let index: u32 = 0; index < count; index++) {
    if (load<u64>(entryAddress(index)) == linear) return true;
  }
  return false;
}

/** The op in front of an instruction with a breakpoint. */
export function hostBreakpoint(op: u32): i32 {
  store<u32>(cpu + L.VCPU_debugStop, L.DEBUG_STOP_BREAKPOINT);
  return exitFor(L.EXIT_DEBUG, op);
}

/** Whether to leave for a breakpoint at `linear`, where an instruction is about to run alone. A step goes over it. */
export function stopsAt(linear: u64): bool {
  if (hostStepping || !isHostBreakpoint(linear)) return false;
  store<u32>(cpu + L.VCPU_debugStop, L.DEBUG_STOP_BREAKPOINT);
  return true;
}

/** Whether the next instruction has to run alone; asked once. */
export function takeAlone(): bool {
  const alone = hostStepping || aloneAwaited;
  aloneAwaited = false;
  return alone;
}

/** An instruction has run alone, or an exception has been delivered. */
export function noteStep(): void { stepDone = true; }

/** The instruction did not happen: what it would have touched does not count. */
export function forgetHit(): void { hitKind = 0; }

/** Between two instructions: whether the debugger is to be told of something; VCPU.debugStop says what. */
export function hostStopDue(): bool {
  if (hitKind != 0) {
    store<u32>(cpu + L.VCPU_debugStop, L.DEBUG_STOP_WATCHPOINT);
    store<u64>(cpu + L.VCPU_debugWatchAddress, hitAddress);
    store<u32>(cpu + L.VCPU_debugWatchKind, hitKind);
    hitKind = 0;
    return true;
  }
  if (!hostStepping || !stepDone) return false;
  store<u32>(cpu + L.VCPU_debugStop, L.DEBUG_STOP_STEP);
  return true;
}

/** Index of the first watchpoint in the table, and the index behind the last. */
// @ts-ignore: decorator
@inline function firstWatchpoint(): u32 { return load<u32>(L.DEBUG_TABLE_BASE + L.DEBUG_TABLE_BREAKPOINTS); }
// @ts-ignore: decorator
@inline function endOfWatchpoints(): u32 { return firstWatchpoint() + load<u32>(L.DEBUG_TABLE_BASE + L.DEBUG_TABLE_WATCHPOINTS); }

/** Whether a watchpoint touches the page that begins at `page`. */
export function isPageWatched(page: u64): bool {
  if (!hostWatching) return false;
  for (let index = firstWatchpoint(); index < endOfWatchpoints(); index++) {
    const entry = entryAddress(index);
    const first = load<u64>(entry);
    if (first < page + 4096 && first + u64(load<u32>(entry + L.DEBUG_ENTRY_LENGTH)) > page) return true;
  }
  return false;
}

/**
 * Tells of an access of `size` bytes to `va` that is about to be made. False = it is not to be made, `bail` is set: the instruction has to
 * be run again alone. The delivery of an exception goes on, and is told of behind it.
 */
export function watchForHost(va: u64, size: u32, write: bool): bool {
  const kind: u32 = write ? L.WATCH_WRITE : L.WATCH_READ;
  for (let index = firstWatchpoint(); index < endOfWatchpoints(); index++) {
    const entry = entryAddress(index);
    const first = load<u64>(entry);
    if ((load<u32>(entry + L.DEBUG_ENTRY_KIND) & kind) == 0) continue;
    if (va >= first + u64(load<u32>(entry + L.DEBUG_ENTRY_LENGTH)) || va + u64(size) <= first) continue;
    if (!runsAlone && load<u32>(cpu + L.VCPU_delivering) == 0) return leaveToRunAlone();
    if (hitKind != 0) return true;
    hitKind = load<u32>(entry + L.DEBUG_ENTRY_KIND);
    hitAddress = first;
    return true;
  }
  return true;
}

function leaveToRunAlone(): bool {
  aloneAwaited = true;
  store<u32>(cpu + L.VCPU_debugStop, L.DEBUG_STOP_NONE);
  store<u32>(cpu + L.VCPU_exitReason, L.EXIT_DEBUG);
  store<u32>(cpu + L.VCPU_exitSize, 0);
  setBail(BAIL_EXIT);
  return false;
}
