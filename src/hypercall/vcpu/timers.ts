/**
 * The one-shot and the periodic timer of each vCPU (Xen common/domain.c, common/schedule.c). Nothing ticks here: the vCPU's
 * own thread asks for the next deadline, sleeps or runs until then, and fires.
 */
import { VIRQ_TIMER } from "../../abi/xen/index.js";
import { XEN_VCPU } from "../../abi/xen-block.js";
import type { EventPorts } from "../event-channel/ports.js";
import type { Clock } from "../interfaces.js";
import type { DomainState } from "../state/domain-state.js";
import { vcpuField } from "../state/domain-state.js";

const NOT_ARMED = (1n << 64n) - 1n;

/** One thread's view of the timers. */
export class VcpuTimers {
  readonly #state: DomainState;
  readonly #ports: EventPorts;
  readonly #clock: Clock;

  constructor(state: DomainState, ports: EventPorts, clock: Clock) {
    this.#state = state;
    this.#ports = ports;
    this.#clock = clock;
  }

  /** Arms the one-shot timer for `deadlineNs` (absolute); a deadline in the past fires at the next look. */
  setSingleshot(vcpu: number, deadlineNs: bigint): void {
    this.#state.setU64(vcpuField(vcpu, XEN_VCPU.singleshotDeadline), deadlineNs);
  }

  /** Stops the one-shot timer. */
  stopSingleshot(vcpu: number): void {
    this.#state.setU64(vcpuField(vcpu, XEN_VCPU.singleshotDeadline), NOT_ARMED);
  }

  /** Starts the periodic timer; 0 stops it. */
  setPeriodic(vcpu: number, periodNs: bigint): void {
    const next = periodNs === 0n ? NOT_ARMED : BigInt(Math.floor(this.#clock.nowNs())) + periodNs;
    this.#state.setU64(vcpuField(vcpu, XEN_VCPU.periodicPeriod), periodNs);
    this.#state.setU64(vcpuField(vcpu, XEN_VCPU.periodicNext), next);
  }

  /** Stops both timers. */
  stopAll(vcpu: number): void {
    this.stopSingleshot(vcpu);
    this.setPeriodic(vcpu, 0n);
  }

  /** Absolute ns of the earlier armed timer, Infinity = none is armed. */
  deadlineNs(vcpu: number): number {
    const singleshot = this.#state.u64(vcpuField(vcpu, XEN_VCPU.singleshotDeadline));
    const periodic = this.#state.u64(vcpuField(vcpu, XEN_VCPU.periodicNext));
    const earlier = singleshot < periodic ? singleshot : periodic;
    return earlier === NOT_ARMED ? Infinity : Number(earlier);
  }

  /** Raises VIRQ_TIMER if a timer is due and re-arms the periodic one; returns whether it was. By the vCPU's own thread. */
  fire(vcpu: number): boolean {
    const now = BigInt(Math.floor(this.#clock.nowNs()));
    let isDue = false;
    if (this.#state.u64(vcpuField(vcpu, XEN_VCPU.singleshotDeadline)) <= now) {
      this.stopSingleshot(vcpu);
      isDue = true;
    }
    if (this.#state.u64(vcpuField(vcpu, XEN_VCPU.periodicNext)) <= now) {
      this.setPeriodic(vcpu, this.#state.u64(vcpuField(vcpu, XEN_VCPU.periodicPeriod)));
      isDue = true;
    }
    if (isDue) this.#ports.raiseVirq(VIRQ_TIMER, vcpu);
    return isDue;
  }
}
