/**
 * When an external interrupt may come between two instructions (Intel SDM vol 3 §6.8; vol 2 "STI", "MOV").
 *
 * STI that sets IF, MOV SS and POP SS hold interrupts back until the next instruction is complete. VCPU.interruptShadow says that
 * this is so, and `shadowRip` for which instruction: a shadow that is found at another RIP is spent, so the straight
 * path need not clear it.
 */
import * as L from "./generated/layout";
import { FLAG_AC, FLAG_IF, FLAG_TF } from "./flags";
import { BAIL_NEXT } from "./op";
import { cpu } from "./state";
import { updateAccessWatch } from "./tlb";

let shadowRip: u64 = 0;

/** Starts the shadow over the instruction at `rip`. Returns what the handler answers: 0, or BAIL_NEXT when an interrupt waits. */
export function holdInterrupts(rip: u64): i32 {
  shadowRip = rip;
  store<u32>(cpu + L.VCPU_interruptShadow, 1);
  return load<u32>(cpu + L.VCPU_pendingInterrupt) != 0 ? BAIL_NEXT : 0;
}

/** Whether the instruction at VCPU.rip has to be executed before an interrupt may be delivered. */
export function interruptsHeld(): bool {
  return load<u32>(cpu + L.VCPU_interruptShadow) != 0 && load<u64>(cpu + L.VCPU_rip) == shadowRip;
}

/** Ends the shadow: the instruction behind STI or MOV SS is complete. */
export function endInterruptShadow(): void { store<u32>(cpu + L.VCPU_interruptShadow, 0); }

/** Whether the interrupt that waits in VCPU.pendingInterrupt can be delivered at VCPU.rip now. */
export function interruptDeliverable(): bool {
  if (load<u32>(cpu + L.VCPU_pendingInterrupt) == 0 || (load<u64>(cpu + L.VCPU_rflags) & FLAG_IF) == 0) return false;
  return !interruptsHeld();
}

/**
 * Answer of a complete instruction that wrote RFLAGS, given VCPU.rflags before it: BAIL_NEXT when the dispatcher has
 * to look at the new flags (an interrupt waits and IF opened, TF was set, AC changed), else 0.
 */
export function afterFlagsChange(before: u64): i32 {
  const now = load<u64>(cpu + L.VCPU_rflags);
  const set = now & ~before;
  // The loop takes the TLB for the new AC only on its way through the dispatcher.
  if (((now ^ before) & FLAG_AC) != 0) { updateAccessWatch(); return BAIL_NEXT; }
  if ((set & FLAG_TF) != 0) return BAIL_NEXT;
  return (set & FLAG_IF) != 0 && load<u32>(cpu + L.VCPU_pendingInterrupt) != 0 ? BAIL_NEXT : 0;
}
