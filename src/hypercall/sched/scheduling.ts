/** What a vCPU asked the scheduler for; the run loop of its thread carries it out. */
import { POLL_SEVERAL, XEN_DOMAIN, XEN_VCPU } from "../../abi/xen-block.js";
import type { EventDelivery } from "../event-channel/delivery.js";
import type { SchedulingRequest } from "../interfaces.js";
import type { DomainState } from "../state/domain-state.js";
import { vcpuField } from "../state/domain-state.js";

const NONE: SchedulingRequest = { kind: "none" };

/** One thread's view; requests and polled ports are of the vCPUs this thread runs. */
export class Scheduling {
  readonly #state: DomainState;
  readonly #delivery: EventDelivery;
  readonly #requests: SchedulingRequest[];
  readonly #polledPorts: (readonly number[])[];

  constructor(state: DomainState, delivery: EventDelivery, vcpuCount: number) {
    this.#state = state;
    this.#delivery = delivery;
    this.#requests = Array.from({ length: vcpuCount }, () => NONE);
    this.#polledPorts = Array.from({ length: vcpuCount }, () => []);
  }

  /** Leaves a request for the run loop. */
  request(vcpu: number, request: SchedulingRequest): void {
    this.#requests[vcpu] = request;
  }

  /** The request of the last hypercall; asking again gives none. */
  takeRequest(vcpu: number): SchedulingRequest {
    const request = this.#requests[vcpu] ?? NONE;
    this.#requests[vcpu] = NONE;
    return request;
  }

  /** Publishes that `vcpu` waits for one of `ports`, then leaves a poll request unless one is pending already. */
  poll(vcpu: number, ports: readonly number[], deadlineNs: number): void {
    this.#polledPorts[vcpu] = ports;
    this.#state.setU32(vcpuField(vcpu, XEN_VCPU.pollPort), ports.length === 1 ? ports[0]! : POLL_SEVERAL);
    this.#state.orU32(XEN_DOMAIN.pollingVcpus, 1 << vcpu);
    // Pairs with EventDelivery's wakePollers, which sets the pending bit before it reads pollingVcpus.
    if (this.pollReady(vcpu) || this.#delivery.upcallPending(vcpu)) this.endPoll(vcpu);
    else this.request(vcpu, { kind: "poll", deadlineNs });
  }

  /** Whether a port that `vcpu` polls is pending. */
  pollReady(vcpu: number): boolean {
    return this.#polledPorts[vcpu]!.some((port) => this.#delivery.isPending(port));
  }

  /** `vcpu` sleeps no more. */
  endPoll(vcpu: number): void {
    this.#state.andU32(XEN_DOMAIN.pollingVcpus, ~(1 << vcpu));
    this.#state.setU32(vcpuField(vcpu, XEN_VCPU.pollPort), 0);
    this.#polledPorts[vcpu] = [];
  }
}
