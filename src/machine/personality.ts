/** Puts together what differs between the personalities of a VM, for each kind of thread. */
import { UART_COUNT } from "../abi/kvm-block.js";
import { DOMID_GUEST } from "../abi/xen/index.js";
import {
  type BackendOptions, DeviceBackends, InterruptBus, IoApic, type LocalApic, Rtc, SERIAL_PORTS, SerialBackends, Uart,
} from "../device/index.js";
import { KVM_PERSONALITY, type PersonalityName, type VcpuContext, XEN_PERSONALITY } from "../exit/index.js";
import type { GuestMemory } from "../guest-page/index.js";
import { type DomainConfiguration, type DomainParts, XenDomain } from "../hypercall/index.js";
import { KvmDomain } from "../kvm/index.js";

/** Linux watches this node and powers off when it is written (drivers/xen/manage.c). */
const SHUTDOWN_NODE = `/local/domain/${DOMID_GUEST}/control/shutdown`;

/** What every thread has, whatever the personality. `host` and the functions are the thread's own. */
export type GuestParts = DomainParts;

/** The parts of a vCPU's context that the personality decides. */
export type PersonalityContext = Pick<VcpuContext, "personality" | "hypercalls" | "xen" | "kvm">;

/** What a vCPU's thread adds to the parts. */
export interface VcpuParts {
  readonly apic: LocalApic;
  readonly flushTlb: () => void;
  readonly runDelayNs: () => number;
}

/** The guest as the main thread sees it. */
export interface GuestInterface {
  /** Calls so far, by name. */
  hypercallCounts(): Record<string, number>;
  /** RUNSTATE_* of a vCPU, as it was a moment ago. */
  runstate(vcpu: number): number;
}

/** What the device thread runs. */
export interface GuestBackends {
  /** Looks revoked pages up again, so that the guest can be notified without sleeping. May sleep. */
  refresh(): void;
  service(): boolean;
  pushInput(console: number, bytes: Uint8Array): number;
  /** Asks the guest's kernel to power off, where there is a way to. */
  requestPowerOff(): void;
}

/** Sets up the guest's side of a fresh VM; once, on the main thread, before any other thread starts. */
export function initialiseGuest(name: PersonalityName, parts: GuestParts, configuration: DomainConfiguration): GuestInterface {
  if (name === "xen") {
    const domain = new XenDomain(parts);
    domain.initialise(configuration);
    return domain;
  }
  const { memory } = parts.host;
  const domain = new KvmDomain({ memory, clock: parts.clock, runDelayNs: () => 0, flushTlb: () => undefined }, parts.guest);
  domain.initialise({ wallClockMs: configuration.wallClockMs, vcpuCount: parts.vcpuCount });
  createIoApic(parts).reset();
  return domain;
}

/** The personality of one vCPU, on its thread. */
export function createVcpuPersonality(name: PersonalityName, parts: GuestParts, vcpu: VcpuParts): PersonalityContext {
  if (name === "xen") {
    const xen = new XenDomain(parts);
    return { personality: XEN_PERSONALITY, hypercalls: xen, xen };
  }
  const domain = new KvmDomain({ memory: parts.host.memory, clock: parts.clock, runDelayNs: vcpu.runDelayNs, flushTlb: vcpu.flushTlb }, parts.guest);
  const ioApic = createIoApic(parts);
  return { personality: KVM_PERSONALITY, hypercalls: domain, kvm: { domain, ioApic, rtc: new Rtc(parts.host.memory, parts.clock), uarts: createUarts(parts, ioApic) } };
}

/** Whom the local APIC of a vCPU tells of the end of a level. */
export function endOfInterrupt(name: PersonalityName, parts: GuestParts): (vector: number) => void {
  if (name === "xen") return () => undefined;
  const ioApic = createIoApic(parts);
  return (vector) => ioApic.endInterrupt(vector);
}

/** The back ends of the consoles, on the device thread. */
export function createBackends(name: PersonalityName, parts: GuestParts, options: BackendOptions): GuestBackends {
  if (name === "xen") {
    const domain = new XenDomain(parts);
    const backends = new DeviceBackends({ domain, guest: parts.guest }, options);
    return {
      refresh: () => domain.refreshDelivery(),
      service: () => backends.service(),
      pushInput: (console, bytes) => backends.pushInput(console, bytes),
      requestPowerOff: () => backends.xenstore.store.writeText(SHUTDOWN_NODE, "poweroff"),
    };
  }
  const backends = new SerialBackends(createUarts(parts, createIoApic(parts)), {
    onOutput: options.onOutput, outputSpace: options.outputSpace ?? (() => Infinity),
  });
  return {
    refresh: () => undefined,
    service: () => backends.service(),
    pushInput: (console, bytes) => backends.pushInput(console, bytes),
    requestPowerOff: () => undefined,
  };
}

function createIoApic({ host, vcpuCount, kick }: GuestParts): IoApic {
  const bus = new InterruptBus(host.memory, vcpuCount, kick);
  return new IoApic(host.memory, (low, destination) => bus.send(low, destination));
}

function createUarts({ host, ringDevice, kick }: GuestParts, ioApic: IoApic): Uart[] {
  return SERIAL_PORTS.slice(0, UART_COUNT).map(({ input }, index) =>
    new Uart(host.memory, index, { setLine: (isHigh) => ioApic.setLine(input, isHigh), ringDevice, wakeSender: kick }));
}
