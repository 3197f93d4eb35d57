/**
 * The port table: allocation and life of event channel ports. Follows Xen common/event_channel.c.
 *
 *     closed ──alloc_unbound──▶ unbound ──bind_interdomain / back end connects──▶ interdomain
 *       ├────bind_virq────────▶ virq            interdomain ──peer closes──▶ unbound
 *       └────bind_ipi─────────▶ ipi             any ──close──▶ closed
 *
 * Functions named ...Locked need eventLock. Results below 0 are negated errnos.
 */
import {
  DOMID_BACKEND, DOMID_GUEST, EEXIST, EINVAL, ENOENT, ENOSPC, EVTCHN_2L_NR_CHANNELS, EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain, EVTCHNSTAT_ipi, EVTCHNSTAT_unbound, EVTCHNSTAT_virq, NR_VIRQS, PER_VCPU_VIRQS,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN, XEN_PORT, XEN_VCPU } from "../../abi/xen-block.js";
import type { DomainState } from "../state/domain-state.js";
import { portField, vcpuField } from "../state/domain-state.js";
import type { EventDelivery } from "./delivery.js";

/** One entry of the port table, copied. */
export interface PortEntry {
  /** EVTCHNSTAT_*. */
  readonly state: number;
  readonly vcpu: number;
  /** The virtual interrupt, or the domain at the other end. */
  readonly remote: number;
  /** Port of the other end if that is this domain, otherwise 0. */
  readonly remotePort: number;
}

const CLOSED: PortEntry = { state: EVTCHNSTAT_closed, vcpu: 0, remote: 0, remotePort: 0 };

/** One thread's view of the port table. */
export class EventPorts {
  readonly #state: DomainState;
  readonly #delivery: EventDelivery;
  readonly #vcpuCount: number;
  readonly #ringDevice: () => void;

  constructor(state: DomainState, delivery: EventDelivery, parts: { vcpuCount: number; ringDevice: () => void }) {
    this.#state = state;
    this.#delivery = delivery;
    this.#vcpuCount = parts.vcpuCount;
    this.#ringDevice = parts.ringDevice;
  }

  /** Reads an entry; a number that is no port reads as closed. */
  entry(port: number): PortEntry {
    if (!(port > 0 && port < EVTCHN_2L_NR_CHANNELS)) return CLOSED;
    const word = (field: number): number => this.#state.u32(portField(port, field));
    return {
      state: word(XEN_PORT.state), vcpu: word(XEN_PORT.vcpu), remote: word(XEN_PORT.remote),
      remotePort: word(XEN_PORT.remotePort),
    };
  }

  #setLocked(port: number, entry: PortEntry): void {
    this.#state.setU32(portField(port, XEN_PORT.vcpu), entry.vcpu);
    this.#state.setU32(portField(port, XEN_PORT.remote), entry.remote);
    this.#state.setU32(portField(port, XEN_PORT.remotePort), entry.remotePort);
    this.#state.setU32(portField(port, XEN_PORT.state), entry.state);
  }

  #allocateLocked(entry: PortEntry): number {
    for (let port = 1; port < EVTCHN_2L_NR_CHANNELS; port++) {
      if (this.#state.u32(portField(port, XEN_PORT.state)) !== EVTCHNSTAT_closed) continue;
      this.#setLocked(port, entry);
      return port;
    }
    return -ENOSPC;
  }

  /** Opens a port that `remote` may bind. */
  allocateUnbound(remote: number): number {
    return this.#state.withEventLock(() => this.#allocateLocked({ ...CLOSED, state: EVTCHNSTAT_unbound, remote }));
  }

  /** Opens a port of this domain whose other end is already with the back ends, as the toolstack does before start. */
  allocateForBackend(): number {
    return this.#state.withEventLock(() =>
      this.#allocateLocked({ ...CLOSED, state: EVTCHNSTAT_interdomain, remote: DOMID_BACKEND }));
  }

  /** Connects a new port with `remotePort`, an unbound port of this same domain that waits for it. */
  bindInterdomain(remotePort: number): number {
    return this.#state.withEventLock(() => {
      const peer = this.entry(remotePort);
      if (peer.state !== EVTCHNSTAT_unbound || peer.remote !== DOMID_GUEST) return -EINVAL;
      const port = this.#allocateLocked({ ...CLOSED, state: EVTCHNSTAT_interdomain, remote: DOMID_GUEST, remotePort });
      if (port < 0) return port;
      this.#setLocked(remotePort, { ...peer, state: EVTCHNSTAT_interdomain, remotePort: port });
      // The peer may have sent before it was bound: nothing is lost if the port starts pending.
      this.#delivery.setPendingLocked(port, 0);
      return port;
    });
  }

  /** Connects the back ends to a port the guest opened for them; false = it did not. */
  bindBackend(port: number): boolean {
    return this.#state.withEventLock(() => {
      const entry = this.entry(port);
      if (entry.remote !== DOMID_BACKEND) return false;
      if (entry.state === EVTCHNSTAT_interdomain) return true;
      if (entry.state !== EVTCHNSTAT_unbound) return false;
      this.#setLocked(port, { ...entry, state: EVTCHNSTAT_interdomain });
      return true;
    });
  }

  /** Opens the port of a virtual interrupt. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= NR_VIRQS) return -EINVAL;
    if (vcpu !== 0 && !PER_VCPU_VIRQS.includes(virq)) return -EINVAL;
    if (vcpu >= this.#vcpuCount) return -ENOENT;
    return this.#state.withEventLock(() => {
      const slot = vcpuField(vcpu, XEN_VCPU.virqPorts) + virq * 4;
      if (this.#state.u32(slot) !== 0) return -EEXIST;
      const port = this.#allocateLocked({ state: EVTCHNSTAT_virq, vcpu, remote: virq, remotePort: 0 });
      if (port > 0) this.#state.setU32(slot, port);
      return port;
    });
  }

  /** Opens a port by which the domain's vCPUs signal `vcpu`. */
  bindIpi(vcpu: number): number {
    if (vcpu >= this.#vcpuCount) return -ENOENT;
    return this.#state.withEventLock(() => this.#allocateLocked({ ...CLOSED, state: EVTCHNSTAT_ipi, vcpu }));
  }

  /** Directs the events of `port` to `vcpu`. */
  bindVcpu(port: number, vcpu: number): number {
    if (vcpu >= this.#vcpuCount) return -ENOENT;
    return this.#state.withEventLock(() => {
      const entry = this.entry(port);
      if (entry.state === EVTCHNSTAT_closed || entry.state === EVTCHNSTAT_ipi) return -EINVAL;
      if (entry.state === EVTCHNSTAT_virq && PER_VCPU_VIRQS.includes(entry.remote)) return -EINVAL;
      this.#state.setU32(portField(port, XEN_PORT.vcpu), vcpu);
      return 0;
    });
  }

  /** Closes a port. */
  close(port: number): number {
    return this.#state.withEventLock(() => this.#closeLocked(port));
  }

  #closeLocked(port: number): number {
    const entry = this.entry(port);
    if (entry.state === EVTCHNSTAT_closed) return -EINVAL;
    if (entry.state === EVTCHNSTAT_virq) {
      this.#state.setU32(vcpuField(this.#virqHome(entry), XEN_VCPU.virqPorts) + entry.remote * 4, 0);
    }
    if (entry.state === EVTCHNSTAT_interdomain && entry.remote === DOMID_GUEST) {
      this.#setLocked(entry.remotePort, { ...this.entry(entry.remotePort), state: EVTCHNSTAT_unbound, remotePort: 0 });
    }
    this.#delivery.clearPendingLocked(port);
    this.#state.clearBit(XEN_DOMAIN.deviceEvents, port);
    this.#state.clearBit(XEN_DOMAIN.deferredSends, port);
    this.#setLocked(port, CLOSED);
    return 0;
  }

  /** Global virtual interrupts are kept with vCPU 0 although their events may go elsewhere. */
  #virqHome(entry: PortEntry): number {
    return PER_VCPU_VIRQS.includes(entry.remote) ? entry.vcpu : 0;
  }

  /** Closes every port. */
  reset(): void {
    this.#state.withEventLock(() => {
      for (let port = 1; port < EVTCHN_2L_NR_CHANNELS; port++) this.#closeLocked(port);
    });
  }

  /** The guest notifies the other end of `port`. */
  send(port: number): number {
    return this.#state.withEventLock(() => {
      const entry = this.entry(port);
      switch (entry.state) {
        case EVTCHNSTAT_ipi:
          this.#delivery.setPendingLocked(port, entry.vcpu);
          return 0;
        case EVTCHNSTAT_interdomain:
          this.#notifyPeerLocked(port, entry);
          return 0;
        case EVTCHNSTAT_unbound:
          return 0;
        default:
          return -EINVAL;
      }
    });
  }

  #notifyPeerLocked(port: number, entry: PortEntry): void {
    if (entry.remote === DOMID_GUEST) {
      this.#delivery.setPendingLocked(entry.remotePort, this.entry(entry.remotePort).vcpu);
      return;
    }
    if (this.#state.setBit(XEN_DOMAIN.deviceEvents, port)) return;
    this.#state.setU32(XEN_DOMAIN.deviceEventsHint, 1);
    this.#ringDevice();
  }

  /** Clears the mask of `port`; an event that waited is delivered. */
  unmask(port: number): number {
    return this.#state.withEventLock(() => {
      const entry = this.entry(port);
      if (entry.state === EVTCHNSTAT_closed) return -EINVAL;
      this.#delivery.unmaskLocked(port, entry.vcpu);
      return 0;
    });
  }

  /** The back end side of `port` notifies the guest; false = they are not connected. */
  raiseFromBackend(port: number): boolean {
    return this.#state.withEventLock(() => {
      const entry = this.entry(port);
      if (!isBackendPort(entry)) return false;
      this.#delivery.setPendingLocked(port, entry.vcpu);
      return true;
    });
  }

  /**
   * As `raiseFromBackend`, for who may not sleep: waits for no lock and looks no page up. What cannot be done so is noted, and the vCPU
   * that gets the event does it. False = the port is not connected.
   */
  raiseFromBackendNoSleep(port: number): boolean {
    const result = this.#state.withEventLockIfFree(() => {
      const entry = this.entry(port);
      if (!isBackendPort(entry)) return false;
      if (!this.#delivery.trySetPendingLocked(port, entry.vcpu)) this.#delivery.deferSend(port, entry.vcpu);
      return true;
    });
    if (result !== "would-block") return result;
    const entry = this.entry(port);
    if (!isBackendPort(entry)) return false;
    this.#delivery.deferSend(port, entry.vcpu);
    return true;
  }

  /** Finishes the sends of those who could not sleep. By a vCPU's thread; may sleep. */
  sendDeferred(): void {
    for (const port of this.#delivery.takeDeferredSends()) this.raiseFromBackend(port);
  }

  /** Raises a virtual interrupt; false = the guest has not bound it. */
  raiseVirq(virq: number, vcpu: number): boolean {
    return this.#state.withEventLock(() => {
      const port = this.#state.u32(vcpuField(vcpu, XEN_VCPU.virqPorts) + virq * 4);
      if (port === 0) return false;
      this.#delivery.setPendingLocked(port, this.entry(port).vcpu);
      return true;
    });
  }

  /** Ports whose guest side was notified since the last call, ascending. For the device thread. */
  takeDeviceEvents(): number[] {
    if (this.#state.exchangeU32(XEN_DOMAIN.deviceEventsHint, 0) === 0) return [];
    return this.#state.takeBits(XEN_DOMAIN.deviceEvents, EVTCHN_2L_NR_CHANNELS);
  }

  /** After shared_info appeared: announces what was raised before, now that there is a place for it. Caller holds eventLock. */
  announceShadowLocked(): void {
    for (let port = 1; port < EVTCHN_2L_NR_CHANNELS; port++) {
      if (this.#state.clearBit(XEN_DOMAIN.shadowPending, port)) {
        this.#delivery.setPendingLocked(port, this.entry(port).vcpu);
      }
    }
  }
}

/** Whether the other end of a port is with the back ends. */
function isBackendPort(entry: PortEntry): boolean {
  return entry.state === EVTCHNSTAT_interdomain && entry.remote === DOMID_BACKEND;
}
