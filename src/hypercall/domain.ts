/** One thread's handle on all parts of the domain; what hypercall handlers work on. */
import type { GuestMemory } from "../guest-page/index.js";
import { EventDelivery } from "./event-channel/delivery.js";
import { EventPorts } from "./event-channel/ports.js";
import type { Clock, DomainMemory } from "./interfaces.js";
import { PhysicalMap } from "./memory/physical-map.js";
import { Scheduling } from "./sched/scheduling.js";
import { DomainState } from "./state/domain-state.js";
import { Runstates } from "./vcpu/runstate.js";
import { VcpuTimers } from "./vcpu/timers.js";

/** What a domain is made of; the same values in every thread except the functions, which reach the same threads. */
export interface DomainParts {
  readonly host: DomainMemory;
  readonly guest: GuestMemory;
  readonly clock: Clock;
  /** Makes vCPU `vcpu` leave guest mode or sleep and look for events. May be called under eventLock; takes no lock of this room. */
  readonly kick: (vcpu: number) => void;
  /** Wakes the device thread; it then calls `takeDeviceEvents`. Same conditions as `kick`. */
  readonly ringDevice: () => void;
  readonly vcpuCount: number;
}

/** The parts, wired. */
export class Domain {
  readonly guest: GuestMemory;
  readonly clock: Clock;
  readonly kick: (vcpu: number) => void;
  readonly vcpuCount: number;
  readonly state: DomainState;
  readonly delivery: EventDelivery;
  readonly ports: EventPorts;
  readonly timers: VcpuTimers;
  readonly runstates: Runstates;
  readonly scheduling: Scheduling;
  readonly map: PhysicalMap;

  constructor(parts: DomainParts) {
    this.guest = parts.guest;
    this.clock = parts.clock;
    this.kick = parts.kick;
    this.vcpuCount = parts.vcpuCount;
    this.state = new DomainState(parts.host.memory.buffer);
    this.delivery = new EventDelivery(this.state, parts.guest, parts);
    this.ports = new EventPorts(this.state, this.delivery, parts);
    this.timers = new VcpuTimers(this.state, this.ports, parts.clock);
    this.runstates = new Runstates(this.state, parts.guest, parts.vcpuCount);
    this.scheduling = new Scheduling(this.state, this.delivery, parts.vcpuCount);
    this.map = new PhysicalMap(this.state, parts.host);
  }
}
