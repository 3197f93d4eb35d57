/**
 * Single stepping and hardware breakpoints (Intel SDM vol 3 §17.2, §17.3).
 *
 * Costs nothing while off: the dispatcher asks `debugActive` when it enters, and only then executes one instruction at a time,
 * between `beforeInstruction` and `afterInstruction`.
 */
import * as L from "./generated/layout";
import { FLAG_RF, FLAG_TF } from "./flags";
import { BAIL_TRAP } from "./op";
import { cpu, raise, VECTOR_DB } from "./state";

const DR6: u32 = L.VCPU_dr + 48;
const DR7: u32 = L.VCPU_dr + 56;
const DR6_BS: u64 = 0x4000;
const DR7_ENABLES: u64 = 0xff;
const CR4_DE: u64 = 8;

const TYPE_EXECUTE: u64 = 0;
const TYPE_WRITE: u64 = 1;
const TYPE_PORT: u64 = 2;

/** TF as it was when the instruction began. */
let stepArmed: bool = false;
/** DR6 bits of data breakpoints that the instruction has hit. */
let hits: u64 = 0;
/** The instruction loaded RF itself (IRET), so it stays set for the next one. */
let resumeFlagLoaded: bool = false;
/** The instruction loaded SS: its #DB waits until the next one is complete. */
let trapsHeld: bool = false;
/** What such an instruction hit. */
let heldHits: u64 = 0;
/** The instruction loaded SS: breakpoints at the next one do not count. */
let breakpointsInhibited: bool = false;
/** A repeated string instruction has more to do: RF stays set until its last element. */
let repetitionUnfinished: bool = false;

/** Whether TF or an enabled breakpoint asks for one instruction at a time. */
export function debugActive(): bool {
  return (load<u64>(cpu + L.VCPU_rflags) & FLAG_TF) != 0 || (load<u64>(cpu + DR7) & DR7_ENABLES) != 0 || heldHits != 0;
}

/** Whether breakpoint n is enabled, locally or globally. */
// @ts-ignore: decorator
@inline function isEnabled(dr7: u64, n: u64): bool { return ((dr7 >> (n << 1)) & 3) != 0; }
// @ts-ignore: decorator
@inline function typeOfBreakpoint(dr7: u64, n: u64): u64 { return (dr7 >> (16 + (n << 2))) & 3; }
/** Bytes that breakpoint n covers: 1, 2, 8 or 4 for LEN 0..3. */
// @ts-ignore: decorator
@inline function lengthOfBreakpoint(dr7: u64, n: u64): u64 {
  const field = (dr7 >> (18 + (n << 2))) & 3;
  return field == 2 ? 8 : field + 1;
}

/** Before the instruction at linear address `linear`. Returns 0, or BAIL_FAULT with #DB for an execution breakpoint. */
export function beforeInstruction(linear: u64): i32 {
  const flags = load<u64>(cpu + L.VCPU_rflags);
  stepArmed = (flags & FLAG_TF) != 0;
  hits = heldHits;
  const inhibited = breakpointsInhibited;
  breakpointsInhibited = false;
  repetitionUnfinished = false;
  const dr7 = load<u64>(cpu + DR7);
  if ((dr7 & DR7_ENABLES) == 0 || inhibited || (flags & FLAG_RF) != 0) return 0;
  let found: u64 = 0;
  for (let n: u64 = 0; n < 4; n++) {
    if (isEnabled(dr7, n) && typeOfBreakpoint(dr7, n) == TYPE_EXECUTE && load<u64>(cpu + L.VCPU_dr + (u32(n) << 3)) == linear) found |= <u64>1 << n;
  }
  if (found == 0) return 0;
  store<u64>(cpu + DR6, load<u64>(cpu + DR6) | found);
  return raise(VECTOR_DB);
}

/** After a complete instruction, VCPU.rip behind it. Returns 0, or BAIL_TRAP with #DB pending. */
export function afterInstruction(): i32 {
  const flags = load<u64>(cpu + L.VCPU_rflags);
  if (repetitionUnfinished) store<u64>(cpu + L.VCPU_rflags, flags | FLAG_RF);
  else if (!resumeFlagLoaded) store<u64>(cpu + L.VCPU_rflags, flags & ~FLAG_RF);
  resumeFlagLoaded = false;
  repetitionUnfinished = false;
  if (trapsHeld) {
    trapsHeld = false;
    breakpointsInhibited = true;
    heldHits = hits;
    return 0;
  }
  const found = hits | (stepArmed ? DR6_BS : 0);
  hits = 0;
  heldHits = 0;
  stepArmed = false;
  if (found == 0) return 0;
  store<u64>(cpu + DR6, load<u64>(cpu + DR6) | found);
  raise(VECTOR_DB);
  return BAIL_TRAP;
}

function noteRange(address: u64, size: u32, write: bool, port: bool): void {
  const dr7 = load<u64>(cpu + DR7);
  if ((dr7 & DR7_ENABLES) == 0) return;
  for (let n: u64 = 0; n < 4; n++) {
    const type = typeOfBreakpoint(dr7, n);
    if (!isEnabled(dr7, n) || type == TYPE_EXECUTE || (type == TYPE_PORT) != port || (type == TYPE_WRITE && !write)) continue;
    const length = lengthOfBreakpoint(dr7, n);
    const first = load<u64>(cpu + L.VCPU_dr + (u32(n) << 3)) & ~(length - 1);
    if (address < first + length && address + u64(size) > first) hits |= <u64>1 << n;
  }
}

/** Tells of a data access of the current instruction (slow path only, while a breakpoint is enabled). */
export function dataBreakpoint(va: u64, size: u32, write: bool): void { noteRange(va, size, write, false); }

/** Tells of an access to an I/O port (CR4.DE). */
export function portBreakpoint(port: u32, size: u32): void {
  if ((load<u64>(cpu + L.VCPU_cr4) & CR4_DE) != 0) noteRange(u64(port), size, true, true);
}

/** A repeated string instruction stops with elements left: RF, which keeps breakpoints at it quiet, outlasts the step. */
export function keepResumeFlag(): void { repetitionUnfinished = debugActive(); }

/** Whether a single-step trap follows the instruction that is executed. */
export function singleStepArmed(): bool { return stepArmed; }

/** The instruction did not happen, or entered a handler with TF clear: no single-step trap follows it. */
export function cancelSingleStep(): void { stepArmed = false; }

/** The instruction loaded SS: #DB is held back for one instruction. */
export function holdTraps(): void { trapsHeld = debugActive(); }

/** Whether RF of a popped RFLAGS is to be kept: only breakpoints look at it. */
export function loadResumeFlag(flags: u64): u64 {
  if ((flags & FLAG_RF) == 0 || (load<u64>(cpu + DR7) & DR7_ENABLES) == 0) return flags & ~FLAG_RF;
  resumeFlagLoaded = true;
  return flags;
}
