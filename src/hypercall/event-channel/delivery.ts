/**
 * Delivery of events by the 2-level ABI: pending and mask bits in shared_info, a selector word and the upcall byte in
 * vcpu_info. Follows Xen common/event_2l.c.
 *
 *   evtchn_pending[port] & ~evtchn_mask[port]  ─▶  pending_sel[port / 64]  ─▶  upcall_pending  ─▶  kick
 *
 * The guest clears in the opposite order with atomic instructions; every step here is atomic too, and each goes on to the
 * next only if it changed its bit. All raising runs under eventLock, so shared_info and vcpu_info do not move meanwhile.
 */
import { shared_info, vcpu_info } from "../../abi/xen/index.js";
import { POLL_SEVERAL, XEN_DOMAIN, XEN_VCPU } from "../../abi/xen-block.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import type { GuestMemory, GuestPage } from "../../guest-page/index.js";
import type { DomainState } from "../state/domain-state.js";
import { vcpuField } from "../state/domain-state.js";
import { PageSlot } from "../state/page-slot.js";

const PORTS_PER_SELECTOR_BIT = 64;

interface VcpuInfo {
  readonly page: GuestPage;
  /** Offset of struct vcpu_info in the opened range. */
  readonly base: number;
}

/** One thread's view of the delivery state of the domain. */
export class EventDelivery {
  readonly #state: DomainState;
  readonly #kick: (vcpu: number) => void;
  readonly #shared: PageSlot;
  readonly #infos: readonly PageSlot[];

  constructor(state: DomainState, guest: GuestMemory, parts: { kick: (vcpu: number) => void; vcpuCount: number }) {
    this.#state = state;
    this.#kick = parts.kick;
    this.#shared = new PageSlot(guest, "shared_info");
    this.#infos = Array.from({ length: parts.vcpuCount }, () => new PageSlot(guest, "vcpu_info"));
  }

  /** The guest's shared_info page; undefined = not mapped yet, or its memory is gone. */
  sharedInfo(): GuestPage | undefined {
    const gfn = this.#state.u32(XEN_DOMAIN.sharedInfoGfn);
    return gfn === 0 ? undefined : this.#shared.at(gfn - 1, 0, PAGE_SIZE);
  }

  #vcpuInfo(vcpu: number): VcpuInfo | undefined {
    const gfn = this.#state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn));
    if (gfn === 0) {
      const page = this.sharedInfo();
      return page && { page, base: shared_info.vcpu_info + vcpu * vcpu_info.size };
    }
    const offset = this.#state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoOffset));
    const page = this.#infos[vcpu]!.at(gfn - 1, offset, vcpu_info.size);
    return page && { page, base: 0 };
  }

  /** A copy of the vCPU's vcpu_info; undefined = there is none yet. */
  copyVcpuInfo(vcpu: number): Uint8Array | undefined {
    const info = this.#vcpuInfo(vcpu);
    return info?.page.access((view) => view.copyOut(info.base, vcpu_info.size));
  }

  /** Whether the guest has to be entered through its event callback: the upcall byte of `vcpu`. */
  upcallPending(vcpu: number): boolean {
    const info = this.#vcpuInfo(vcpu);
    if (info === undefined) return this.#state.u32(vcpuField(vcpu, XEN_VCPU.shadowUpcall)) !== 0;
    return info.page.access((view) => view.loadU8(info.base + vcpu_info.evtchn_upcall_pending) !== 0) ?? false;
  }

  /** Whether the pending bit of `port` is set. */
  isPending(port: number): boolean {
    const pending = this.sharedInfo()?.access((view) => view.testBit(port, shared_info.evtchn_pending));
    return pending ?? this.#state.testBit(XEN_DOMAIN.shadowPending, port);
  }

  /** Whether the mask bit of `port` is set. */
  isMasked(port: number): boolean {
    return this.sharedInfo()?.access((view) => view.testBit(port, shared_info.evtchn_mask)) ?? false;
  }

  /** Sets the pending bit of `port`, whose events go to `vcpu`. Caller holds eventLock. */
  setPendingLocked(port: number, vcpu: number): void {
    const page = this.sharedInfo();
    if (page === undefined) {
      if (!this.#state.setBit(XEN_DOMAIN.shadowPending, port)) this.#wakePollers(port);
      return;
    }
    const outcome = page.access((view) => {
      if (view.testAndSetBit(port, shared_info.evtchn_pending)) return "was pending";
      return view.testBit(port, shared_info.evtchn_mask) ? "masked" : "unmasked";
    });
    if (outcome === "unmasked") this.markLocked(port, vcpu);
    if (outcome === "masked" || outcome === "unmasked") this.#wakePollers(port);
  }

  /** Clears the pending bit of a port that is being closed. Caller holds eventLock. */
  clearPendingLocked(port: number): void {
    this.#state.clearBit(XEN_DOMAIN.shadowPending, port);
    this.sharedInfo()?.access((view) => view.testAndClearBit(port, shared_info.evtchn_pending));
  }

  /** Clears the mask bit of `port` and delivers the event if it waited behind it. Caller holds eventLock. */
  unmaskLocked(port: number, vcpu: number): void {
    const deliver = this.sharedInfo()?.access((view) =>
      view.testAndClearBit(port, shared_info.evtchn_mask) && view.testBit(port, shared_info.evtchn_pending));
    if (deliver === true) this.markLocked(port, vcpu);
  }

  /** Sets selector bit and upcall byte of `vcpu` for `port` and kicks it if the byte was clear. Caller holds eventLock. */
  markLocked(port: number, vcpu: number): void {
    const selectorBit = Math.floor(port / PORTS_PER_SELECTOR_BIT);
    const info = this.#vcpuInfo(vcpu);
    const isNew = info?.page.access((view) => {
      if (view.testAndSetBit(selectorBit, info.base + vcpu_info.evtchn_pending_sel)) return false;
      return view.exchangeU8(info.base + vcpu_info.evtchn_upcall_pending, 1) === 0;
    });
    if (isNew === undefined) this.#state.setU32(vcpuField(vcpu, XEN_VCPU.shadowUpcall), 1);
    if (isNew !== false) this.#kick(vcpu);
  }

  /**
   * Kicks vCPUs that sleep in SCHEDOP_poll on `port`. Pairs with `Scheduling.poll`: the poller publishes its port, then
   * reads the pending bits; here the pending bit is set, then the pollers are read. One of the two sees the other.
   */
  #wakePollers(port: number): void {
    const pollers = this.#state.u32(XEN_DOMAIN.pollingVcpus);
    for (let vcpu = 0; pollers >>> vcpu !== 0; vcpu++) {
      if ((pollers & (1 << vcpu)) === 0) continue;
      const polled = this.#state.u32(vcpuField(vcpu, XEN_VCPU.pollPort));
      if (polled === port || polled === POLL_SEVERAL) this.#kick(vcpu);
    }
  }

  /** Gives up the windows on guest pages. */
  close(): void {
    this.#shared.close();
    for (const info of this.#infos) info.close();
  }
}
