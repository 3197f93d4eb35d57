/**
 * Delivery of events by the 2-level ABI: pending and mask bits in shared_info, a selector word and the upcall byte in
 * vcpu_info. Follows Xen common/event_2l.c.
 *
 *   evtchn_pending[port] & ~evtchn_mask[port]  ─▶  pending_sel[port / 64]  ─▶  upcall_pending  ─▶  kick
 *
 * The guest clears in the opposite order with atomic instructions; every step here is atomic too, and each goes on to the
 * next only if it changed its bit. All raising runs under eventLock, so shared_info and vcpu_info do not move meanwhile.
 *
 * Who may not sleep cannot look a revoked page up. It leaves a note in our own memory and kicks, and the vCPU, which may sleep, goes on:
 *
 *     sender that may not sleep                        vCPU thread, before it enters guest mode or sleeps
 *     shared_info revoked?  deferredSends |= port      request word: take EVENT
 *     vcpu_info revoked?    shadowSelector |= bit      deferredSends, shadowSelector not 0? look the page up, move the bits over
 *     kick: request |= EVENT, notify                   upcall byte set? deliver
 *
 * The note is written before the kick, and the request is taken before the notes are read, so a note is seen now or at the next turn.
 * Only bits that were copied are taken out of shadowSelector; those that came meanwhile stay for the next turn.
 */
import { EVTCHN_2L_NR_CHANNELS, shared_info, vcpu_info } from "../../abi/xen/index.js";
import { POLL_SEVERAL, VCPU_FLAG_UP, XEN_DOMAIN, XEN_VCPU } from "../../abi/xen-block.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import type { GuestMemory, GuestPage, PageView } from "../../guest-page/index.js";
import type { DomainMemory } from "../interfaces.js";
import type { DomainState } from "../state/domain-state.js";
import { vcpuField } from "../state/domain-state.js";
import { PageSlot } from "../state/page-slot.js";

const PORTS_PER_SELECTOR_BIT = 64;
const ALL_ONES = (1n << 64n) - 1n;

interface VcpuInfo {
  readonly page: GuestPage;
  /** Offset of struct vcpu_info in the opened range. */
  readonly base: number;
}

/** How a sender reaches guest pages: it may look them up, or it may only use those that are mapped. */
type Reach = "may-sleep" | "no-sleep";

/** What delivery works with. */
export interface DeliveryParts {
  readonly host: Pick<DomainMemory, "counters">;
  readonly kick: (vcpu: number) => void;
  readonly vcpuCount: number;
}

/** What became of the pending bit of a port. */
type PendingOutcome = "was pending" | "masked" | "unmasked";

/** Sets the pending bit of `port`. */
function setPendingBit(view: PageView, port: number): PendingOutcome {
  if (view.testAndSetBit(port, shared_info.evtchn_pending)) return "was pending";
  return view.testBit(port, shared_info.evtchn_mask) ? "masked" : "unmasked";
}

/** One thread's view of the delivery state of the domain. */
export class EventDelivery {
  readonly #state: DomainState;
  readonly #kick: (vcpu: number) => void;
  readonly #counters: DeliveryParts["host"]["counters"];
  readonly #vcpuCount: number;
  readonly #shared: PageSlot;
  readonly #infos: readonly PageSlot[];

  constructor(state: DomainState, guest: GuestMemory, parts: DeliveryParts) {
    this.#state = state;
    this.#kick = parts.kick;
    this.#counters = parts.host.counters;
    this.#vcpuCount = parts.vcpuCount;
    this.#shared = new PageSlot(guest, "shared_info");
    this.#infos = Array.from({ length: parts.vcpuCount }, () => new PageSlot(guest, "vcpu_info"));
  }

  /** The guest's shared_info page; undefined = not mapped yet, or its memory is gone. */
  sharedInfo(): GuestPage | undefined {
    const gfn = this.#state.u32(XEN_DOMAIN.sharedInfoGfn);
    return gfn === 0 ? undefined : this.#shared.at(gfn - 1, 0, PAGE_SIZE);
  }

  /** As sharedInfo, but only if this thread has it open; it may be revoked. Never sleeps. */
  #openSharedInfo(): GuestPage | undefined {
    const gfn = this.#state.u32(XEN_DOMAIN.sharedInfoGfn);
    return gfn === 0 ? undefined : this.#shared.openAt(gfn - 1, 0);
  }

  #vcpuInfo(vcpu: number, reach: Reach = "may-sleep"): VcpuInfo | undefined {
    const gfn = this.#state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn));
    if (gfn === 0) {
      const page = reach === "may-sleep" ? this.sharedInfo() : this.#openSharedInfo();
      return page && { page, base: shared_info.vcpu_info + vcpu * vcpu_info.size };
    }
    const offset = this.#state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoOffset));
    const slot = this.#infos[vcpu]!;
    const page = reach === "may-sleep" ? slot.at(gfn - 1, offset, vcpu_info.size) : slot.openAt(gfn - 1, offset);
    return page && { page, base: 0 };
  }

  /** A copy of the vCPU's vcpu_info; undefined = there is none yet. */
  copyVcpuInfo(vcpu: number): Uint8Array | undefined {
    const info = this.#vcpuInfo(vcpu);
    return info?.page.access((view) => view.copyOut(info.base, vcpu_info.size));
  }

  /**
   * Whether the guest has to be entered through its event callback: the upcall byte of `vcpu`. By the vCPU's own thread; may sleep.
   * Moves over first what senders left that could not sleep.
   */
  upcallPending(vcpu: number): boolean {
    this.#moveShadowOver(vcpu);
    const info = this.#vcpuInfo(vcpu);
    if (info === undefined) return this.#state.u64(vcpuField(vcpu, XEN_VCPU.shadowSelector)) !== 0n;
    return info.page.access((view) => view.loadU8(info.base + vcpu_info.evtchn_upcall_pending) !== 0) ?? false;
  }

  /** Puts the selector bits that were noted in our memory where the guest sees them. */
  #moveShadowOver(vcpu: number): void {
    const shadow = vcpuField(vcpu, XEN_VCPU.shadowSelector);
    // Two halves: this is asked at each entry, and a bigint costs an allocation.
    if (this.#state.u32(shadow) === 0 && this.#state.u32(shadow + 4) === 0) return;
    this.#state.withEventLock(() => {
      const bits = this.#state.u64(shadow);
      const info = this.#vcpuInfo(vcpu);
      const isMoved = info?.page.access((view) => {
        for (let bit = 0; bit < 64; bit++) if ((bits & (1n << BigInt(bit))) !== 0n) view.testAndSetBit(bit, info.base + vcpu_info.evtchn_pending_sel);
        view.storeU8(info.base + vcpu_info.evtchn_upcall_pending, 1);
        return true;
      });
      if (isMoved === true) this.#state.andU64(shadow, ALL_ONES ^ bits);
    });
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

  /** Sets the pending bit of `port`, whose events go to `vcpu`. Caller holds eventLock. May sleep. */
  setPendingLocked(port: number, vcpu: number): void {
    const page = this.sharedInfo();
    if (page === undefined) return this.#setPendingBeforeSharedInfo(port);
    const outcome = page.access((view) => setPendingBit(view, port));
    // Its memslot went away: to the guest as if there were no shared_info yet.
    if (outcome === undefined) this.#setPendingBeforeSharedInfo(port);
    else this.#announceLocked(port, vcpu, outcome, "may-sleep");
  }

  /** As `setPendingLocked`, but never sleeps; false = shared_info cannot be reached so, and nothing was done. */
  trySetPendingLocked(port: number, vcpu: number): boolean {
    if (this.#state.u32(XEN_DOMAIN.sharedInfoGfn) === 0) {
      this.#setPendingBeforeSharedInfo(port);
      return true;
    }
    const outcome = this.#openSharedInfo()?.tryAccess((view) => setPendingBit(view, port));
    if (outcome === undefined) return false;
    this.#announceLocked(port, vcpu, outcome, "no-sleep");
    return true;
  }

  #setPendingBeforeSharedInfo(port: number): void {
    if (!this.#state.setBit(XEN_DOMAIN.shadowPending, port)) this.#wakePollers(port);
  }

  #announceLocked(port: number, vcpu: number, outcome: PendingOutcome, reach: Reach): void {
    if (outcome === "unmasked") this.#markLocked(port, vcpu, reach);
    if (outcome !== "was pending") this.#wakePollers(port);
  }

  /** Notes a send of `port` that its sender cannot finish without sleeping, for a vCPU to finish. Never sleeps, takes no lock. */
  deferSend(port: number, vcpu: number): void {
    this.#counters.add("deferredSends");
    this.#state.setBit(XEN_DOMAIN.deferredSends, port);
    this.#state.setU32(XEN_DOMAIN.deferredSendsHint, 1);
    this.#kick(this.#isUp(vcpu) ? vcpu : this.#firstVcpuUp());
  }

  /** Ports of deferred sends since the last call. */
  takeDeferredSends(): number[] {
    const { deferredSends, deferredSendsHint } = XEN_DOMAIN;
    if (this.#state.u32(deferredSendsHint) === 0 || this.#state.exchangeU32(deferredSendsHint, 0) === 0) return [];
    return this.#state.takeBits(deferredSends, EVTCHN_2L_NR_CHANNELS);
  }

  #isUp(vcpu: number): boolean {
    return (this.#state.u32(vcpuField(vcpu, XEN_VCPU.flags)) & VCPU_FLAG_UP) !== 0;
  }

  /** Some vCPU that runs; the first where none does. */
  #firstVcpuUp(): number {
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) if (this.#isUp(vcpu)) return vcpu;
    return 0;
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
    if (deliver === true) this.#markLocked(port, vcpu, "may-sleep");
  }

  /** Sets selector bit and upcall byte of `vcpu` for `port` and kicks it if the byte was clear. Caller holds eventLock. */
  #markLocked(port: number, vcpu: number, reach: Reach): void {
    const selectorBit = Math.floor(port / PORTS_PER_SELECTOR_BIT);
    const info = this.#vcpuInfo(vcpu, reach);
    const mark = (view: PageView): boolean => {
      if (view.testAndSetBit(selectorBit, info!.base + vcpu_info.evtchn_pending_sel)) return false;
      return view.exchangeU8(info!.base + vcpu_info.evtchn_upcall_pending, 1) === 0;
    };
    const isNew = reach === "may-sleep" ? info?.page.access(mark) : info?.page.tryAccess(mark);
    if (isNew === undefined) {
      this.#counters.add("shadowDeliveries");
      this.#state.orU64(vcpuField(vcpu, XEN_VCPU.shadowSelector), 1n << BigInt(selectorBit));
    }
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

  /** Looks up again what was revoked, so that sends that may not sleep find it. May sleep. Precondition: no lock of this room held. */
  refresh(): void {
    this.sharedInfo();
    this.#shared.refresh();
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      if (this.#state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn)) === 0) continue;
      this.#vcpuInfo(vcpu);
      this.#infos[vcpu]!.refresh();
    }
  }

  /** Gives up the windows on guest pages. */
  close(): void {
    this.#shared.close();
    for (const info of this.#infos) info.close();
  }
}
