/** The domain as the rooms above see it: hypercalls in, events out. One instance a thread over the same shared memory. */
import { gfnOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import {
  ENOSYS, Fields, HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN,
  RUNSTATE_offline, RUNSTATE_running,
} from "../abi/xen/index.js";
import { VCPU_FLAG_INITIALISED, VCPU_FLAG_UP, XEN_DOMAIN, XEN_VCPU } from "../abi/xen-block.js";
import { HypercallContext } from "./context.js";
import { Domain } from "./domain.js";
import type { DomainParts } from "./domain.js";
import { grantFrameGfn } from "./grant-table/frames.js";
import type { LinearMemory, SchedulingRequest } from "./interfaces.js";
import { vcpuField } from "./state/domain-state.js";
import { countHypercall, HYPERCALLS, readHypercallCounts } from "./table.js";

/** What the toolstack decides before the domain starts. */
export interface DomainConfiguration {
  /** Pages of the PV console and xenstore rings; made to exist if no memslot holds them. */
  readonly consoleGfn: Gfn;
  readonly xenstoreGfn: Gfn;
  /** RAM pages at start; RAM is the lowest pages apart from the hole below 1 MiB. */
  readonly memoryPages: number;
  /** Most pages the balloon may bring the domain to; default `memoryPages`. */
  readonly memoryPagesMax?: number;
  /** Highest gfn of RAM at start. */
  readonly highestGfn: Gfn;
  /** UTC at VM start, in ms since 1970. */
  readonly wallClockMs: number;
  /** UUID, 16 bytes; default zeros. */
  readonly guestHandle?: Uint8Array;
}

/** Hypercalls, event channels, timers and run states of one domain. */
export class XenDomain {
  readonly #domain: Domain;

  constructor(parts: DomainParts) {
    this.#domain = new Domain(parts);
  }

  /**
   * Sets up a fresh domain. Preconditions: the Xen block is zero; called once, by one thread, before any vCPU runs.
   * Xenstore gets port 1 and the console port 2, as under Xen's toolstack.
   */
  initialise(configuration: DomainConfiguration): void {
    const { state, map, ports, timers, runstates, clock, vcpuCount } = this.#domain;
    this.#setLimits(configuration);
    state.withDomainLock(() => {
      for (const gfn of [configuration.consoleGfn, configuration.xenstoreGfn]) {
        if (!map.ensureLocked(gfn)) throw new Error(`domain: expected room for the special page at gfn ${gfn}`);
      }
    });
    this.#setParam(HVM_PARAM_STORE_PFN, configuration.xenstoreGfn);
    this.#setParam(HVM_PARAM_STORE_EVTCHN, ports.allocateForBackend());
    this.#setParam(HVM_PARAM_CONSOLE_PFN, configuration.consoleGfn);
    this.#setParam(HVM_PARAM_CONSOLE_EVTCHN, ports.allocateForBackend());
    for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
      timers.stopAll(vcpu);
      runstates.begin(vcpu, vcpu === 0 ? RUNSTATE_running : RUNSTATE_offline, clock.nowNs());
    }
    this.markVcpuUp(0, true);
  }

  #setLimits(configuration: DomainConfiguration): void {
    const { state } = this.#domain;
    const seconds = Math.floor(configuration.wallClockMs / 1000);
    state.setU32(XEN_DOMAIN.wallSecondsLow, seconds % 2 ** 32);
    state.setU32(XEN_DOMAIN.wallSecondsHigh, Math.floor(seconds / 2 ** 32));
    state.setU32(XEN_DOMAIN.wallNanoseconds, Math.floor((configuration.wallClockMs - seconds * 1000) * 1e6));
    state.setNumber(XEN_DOMAIN.currentPages, configuration.memoryPages);
    state.setNumber(XEN_DOMAIN.maximumPages, configuration.memoryPagesMax ?? configuration.memoryPages);
    state.setNumber(XEN_DOMAIN.highestGfn, configuration.highestGfn);
    const handle = new Fields(configuration.guestHandle ?? new Uint8Array(16));
    for (let offset = 0; offset < 16; offset += 4) state.setU32(XEN_DOMAIN.guestHandle + offset, handle.u32(offset));
  }

  #setParam(index: number, value: number): void {
    this.#domain.state.setNumber(XEN_DOMAIN.hvmParams + index * 8, value);
  }

  /** An HVM parameter. */
  param(index: number): number {
    return this.#domain.state.number(XEN_DOMAIN.hvmParams + index * 8);
  }

  /**
   * Runs hypercall `number` for `vcpu` on the thread of that vCPU; `args` are RDI RSI RDX R10 R8 R9. The result is RAX.
   * The caller has checked that the vCPU is at CPL 0, and asks `takeSchedulingRequest` afterwards.
   */
  hypercall(vcpu: number, number: number, args: readonly bigint[], linear: LinearMemory): bigint {
    const call = new HypercallContext(this.#domain, vcpu, args, linear);
    const family = HYPERCALLS.get(number);
    const subOperation = family?.subOperation?.(call) ?? 0;
    countHypercall(this.#domain.state, number, subOperation);
    const result = family?.handlers[subOperation]?.(call) ?? -ENOSYS;
    return BigInt.asUintN(64, BigInt(result));
  }

  /** Hypercalls made by all vCPUs so far, by name. */
  hypercallCounts(): Record<string, number> {
    return readHypercallCounts(this.#domain.state);
  }

  /** What the last hypercall of `vcpu` asks the run loop to do. Asking again gives "none". */
  takeSchedulingRequest(vcpu: number): SchedulingRequest {
    return this.#domain.scheduling.takeRequest(vcpu);
  }

  /** Whether a port that `vcpu` waits for in SCHEDOP_poll is pending. */
  pollReady(vcpu: number): boolean {
    this.#domain.ports.sendDeferred();
    return this.#domain.scheduling.pollReady(vcpu);
  }

  /** Ends the SCHEDOP_poll of `vcpu`, woken or timed out. */
  endPoll(vcpu: number): void {
    this.#domain.scheduling.endPoll(vcpu);
  }

  /**
   * Whether `vcpu` has to be entered through the callback vector as soon as it takes interrupts. By a thread that may sleep: it first
   * finishes what senders left that could not.
   */
  upcallPending(vcpu: number): boolean {
    this.#domain.ports.sendDeferred();
    return this.#domain.delivery.upcallPending(vcpu);
  }

  /** Vector of the global event callback, 0 = the guest has not set one. */
  callbackVector(): number {
    return this.#domain.state.u32(XEN_DOMAIN.callbackVector);
  }

  /** Absolute ns at which `fireTimer` has something to do, Infinity = never. */
  timerDeadlineNs(vcpu: number): number {
    return this.#domain.timers.deadlineNs(vcpu);
  }

  /** Raises the timer interrupt of `vcpu` if a timer is due; returns whether one was. */
  fireTimer(vcpu: number): boolean {
    return this.#domain.timers.fire(vcpu);
  }

  /** `vcpu` enters `state` (RUNSTATE_*). */
  setRunstate(vcpu: number, state: number): void {
    this.#domain.runstates.change(vcpu, state, this.#domain.clock.nowNs());
  }

  /** RUNSTATE_* of `vcpu`, as it was a moment ago. */
  runstate(vcpu: number): number {
    return this.#domain.state.u32(vcpuField(vcpu, XEN_VCPU.runstate));
  }

  /** Notes that `vcpu` was started (INIT and SIPI) or stopped. */
  markVcpuUp(vcpu: number, isUp: boolean): void {
    const flags = vcpuField(vcpu, XEN_VCPU.flags);
    if (isUp) this.#domain.state.orU32(flags, VCPU_FLAG_INITIALISED | VCPU_FLAG_UP);
    else this.#domain.state.andU32(flags, ~VCPU_FLAG_UP);
  }

  /** Whether `vcpu` is up. */
  isVcpuUp(vcpu: number): boolean {
    return (this.#domain.state.u32(vcpuField(vcpu, XEN_VCPU.flags)) & VCPU_FLAG_UP) !== 0;
  }

  /** Whether VCPUOP_send_nmi was called for `vcpu` since the last look. */
  takeNmi(vcpu: number): boolean {
    return this.#domain.state.exchangeU32(vcpuField(vcpu, XEN_VCPU.nmi), 0) !== 0;
  }

  /** SHUTDOWN_* once the guest has shut itself down. */
  shutdownReason(): number | undefined {
    const word = this.#domain.state.u32(XEN_DOMAIN.shutdown);
    return word === 0 ? undefined : word - 1;
  }

  /** Raises a virtual interrupt (VIRQ_*) of `vcpu`; false = the guest has not bound it. */
  raiseVirq(virq: number, vcpu: number): boolean {
    return this.#domain.ports.raiseVirq(virq, vcpu);
  }

  /** A back end notifies the guest; false = `port` is not connected to the back ends. */
  raisePort(port: number): boolean {
    return this.#domain.ports.raiseFromBackend(port);
  }

  /** As `raisePort`, from a context that may not sleep: revoked pages and a taken lock are left to the vCPU. */
  raisePortNoSleep(port: number): boolean {
    return this.#domain.ports.raiseFromBackendNoSleep(port);
  }

  /** Looks revoked pages of event delivery up again, so that `raisePortNoSleep` reaches the guest at once. May sleep. */
  refreshDelivery(): void {
    this.#domain.delivery.refresh();
  }

  /** Connects the back ends to a port the guest opened for them; false = it did not. */
  bindPort(port: number): boolean {
    return this.#domain.ports.bindBackend(port);
  }

  /** Ports by which the guest notified the back ends since the last call. */
  takeDeviceEvents(): number[] {
    return this.#domain.ports.takeDeviceEvents();
  }

  /** gfn of frame `index` of the grant table; undefined = the guest has not mapped it. */
  grantFrame(index: number): Gfn | undefined {
    const gfn = grantFrameGfn(this.#domain.state, index);
    return gfn === undefined ? undefined : gfnOf(gfn);
  }

  /** Pages the domain has: RAM less what the balloon gave back. */
  currentPages(): number {
    return this.#domain.state.number(XEN_DOMAIN.currentPages);
  }

  /** Gives up this thread's windows on guest pages. */
  close(): void {
    this.#domain.delivery.close();
  }
}
