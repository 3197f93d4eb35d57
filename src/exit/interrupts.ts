/**
 * What interrupts a vCPU: Xen's event upcall first, then its local APIC. The core delivers the one that was offered as soon
 * as the guest takes interrupts, and clears the word.
 */
import type { VcpuContext } from "./vcpu-context.js";

/** The offers of one vCPU. */
export class InterruptOffers {
  #apicVector = -1;

  /** The local APIC's vector that is offered, -1 = none. */
  get apicVector(): number {
    return this.#apicVector;
  }

  /**
   * Before guest mode. The upcall is a level: offered while vcpu_info.upcall_pending is set, taken back when the guest
   * cleared it without an interrupt.
   */
  offer({ hypercalls, apic, state, index }: VcpuContext): void {
    const upcallVector = hypercalls.callbackVector();
    const isUpcall = upcallVector !== 0 && hypercalls.upcallPending(index);
    this.#apicVector = isUpcall ? -1 : apic.pendingVector();
    if (isUpcall) state.setPendingInterrupt(upcallVector);
    else state.setPendingInterrupt(this.#apicVector >= 0 ? this.#apicVector : undefined);
  }

  /** Behind guest mode, and before the exit is handled, which may be the interrupt's EOI. */
  collect({ apic, state }: VcpuContext): void {
    if (this.#apicVector >= 0 && !state.hasPendingInterrupt) apic.accept(this.#apicVector);
  }
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
