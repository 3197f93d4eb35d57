/**
 * What interrupts a vCPU: Xen's event upcall first, then its local APIC. The core delivers the one that was offered as soon
 * as the guest takes interrupts, clears the word, and moves a vector of the local APIC from requested to in service.
 */
import type { VcpuContext } from "./vcpu-context.js";

/**
 * Before guest mode. The upcall is a level: offered while vcpu_info.upcall_pending is set, taken back when the guest
 * cleared it without an interrupt. Returns the vector of the local APIC that is offered, -1 = none of it.
 */
export function offerInterrupt({ hypercalls, apic, state, index }: VcpuContext): number {
  const upcallVector = hypercalls.callbackVector();
  if (upcallVector !== 0 && hypercalls.upcallPending(index)) {
    state.setPendingInterrupt(upcallVector);
    return -1;
  }
  const vector = apic.pendingVector();
  state.setPendingInterrupt(vector >= 0 ? vector : undefined, true);
  return vector;
}

/** True when something waits to interrupt the vCPU. */
export function hasInterrupt({ hypercalls, apic, index }: VcpuContext): boolean {
  return (hypercalls.callbackVector() !== 0 && hypercalls.upcallPending(index)) || apic.pendingVector() >= 0;
}

/** Absolute ns of the vCPU's next timer event, Infinity = none. */
export function timerDeadlineNs({ hypercalls, apic, index }: VcpuContext): number {
  return Math.min(hypercalls.timerDeadlineNs(index), apic.timerDeadlineNs());
}

/** Raises the events of the timers whose time has come. */
export function pollTimers(vcpu: VcpuContext): void {
  const { hypercalls, apic, machine, counters, index } = vcpu;
  const deadlineNs = timerDeadlineNs(vcpu);
  if (deadlineNs === Infinity || deadlineNs > machine.nowNs()) return;
  if (hypercalls.fireTimer(index)) counters.add("timersFired");
  if (apic.fireTimer()) counters.add("timersFired");
}
