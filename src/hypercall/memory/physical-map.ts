/**
 * Changes of the guest-physical address space that the guest asks for: pages outside RAM, the balloon. Under domainLock.
 */
import { gfnOf } from "../../abi/address.js";
import { GUEST_PHYSICAL_BITS, PAGE_SHIFT } from "../../abi/layout.js";
import { BALLOON_GFN_COUNT, XEN_DOMAIN } from "../../abi/xen-block.js";
import type { DomainMemory } from "../interfaces.js";
import type { DomainState } from "../state/domain-state.js";

/** First gfn that cannot exist. */
export const GFN_LIMIT = 2 ** (GUEST_PHYSICAL_BITS - PAGE_SHIFT);
/** Ids of memslots made here begin here; the machine's own are below. */
const SLOT_ID_BASE = 0x1000;
/** Pages of the memslot tried first for hot-added memory: 128 MiB, Linux's memory section. */
const SECTION_PAGES = 0x8000;

/** One thread's view of the map. */
export class PhysicalMap {
  readonly #state: DomainState;
  readonly #host: DomainMemory;

  constructor(state: DomainState, host: DomainMemory) {
    this.#state = state;
    this.#host = host;
  }

  /** Whether a memslot holds `gfn`. */
  exists(gfn: number): boolean {
    return gfn < GFN_LIMIT && this.#host.findMemslot(gfnOf(gfn)) !== undefined;
  }

  /** Whether no page of the range exists and the range can exist. */
  isHole(baseGfn: number, pageCount: number): boolean {
    if (baseGfn < 0 || baseGfn + pageCount > GFN_LIMIT) return false;
    for (let gfn = baseGfn; gfn < baseGfn + pageCount; gfn++) if (this.exists(gfn)) return false;
    return true;
  }

  /** Makes a range of a hole exist; false = the host has no room. Caller holds domainLock. */
  addLocked(baseGfn: number, pageCount: number): boolean {
    const id = SLOT_ID_BASE + this.#state.addU32(XEN_DOMAIN.slotsMade, 1);
    try {
      this.#host.addMemslot({ id, baseGfn: gfnOf(baseGfn), pageCount });
      return true;
    } catch {
      // The host's table of memslots is full: to the guest that is -ENOMEM.
      return false;
    }
  }

  /** Makes `gfn` exist if it does not. Caller holds domainLock. */
  ensureLocked(gfn: number): boolean {
    return this.exists(gfn) || (gfn < GFN_LIMIT && this.addLocked(gfn, 1));
  }

  /** Takes a page made here out of the map, or empties it if its memslot holds more. Caller holds domainLock. */
  removeLocked(gfn: number): boolean {
    const slot = gfn < GFN_LIMIT ? this.#host.findMemslot(gfnOf(gfn)) : undefined;
    if (slot === undefined) return false;
    if (slot.id >= SLOT_ID_BASE && slot.pageCount === 1) this.#host.removeMemslot(slot.id);
    else this.#host.discardPages(gfnOf(gfn), 1);
    return true;
  }

  /** The balloon gives `gfn` back; false = the domain does not have it. Caller holds domainLock. */
  releaseLocked(gfn: number): boolean {
    if (gfn >= BALLOON_GFN_COUNT || !this.exists(gfn)) return false;
    if (this.#state.setBit(XEN_DOMAIN.ballooned, gfn)) return false;
    this.#host.discardPages(gfnOf(gfn), 1);
    this.#addPages(-1);
    return true;
  }

  /** Fills `gfn` with a zero page; false = over the domain's maximum, or there already. Caller holds domainLock. */
  populateLocked(gfn: number): boolean {
    if (gfn >= BALLOON_GFN_COUNT) return false;
    if (this.#state.number(XEN_DOMAIN.currentPages) >= this.#state.number(XEN_DOMAIN.maximumPages)) return false;
    if (!this.exists(gfn) && !this.#addSectionLocked(gfn)) return false;
    if (!this.#state.clearBit(XEN_DOMAIN.ballooned, gfn)) return false;
    this.#addPages(1);
    if (gfn > this.#state.number(XEN_DOMAIN.highestGfn)) this.#state.setNumber(XEN_DOMAIN.highestGfn, gfn);
    return true;
  }

  /** A memslot around `gfn` whose pages all count as given back. Caller holds domainLock. */
  #addSectionLocked(gfn: number): boolean {
    for (const pageCount of [SECTION_PAGES, 512, 1]) {
      const base = gfn - (gfn % pageCount);
      if (base + pageCount > BALLOON_GFN_COUNT || !this.isHole(base, pageCount)) continue;
      if (!this.addLocked(base, pageCount)) return false;
      for (let page = base; page < base + pageCount; page++) this.#state.setBit(XEN_DOMAIN.ballooned, page);
      return true;
    }
    return false;
  }

  #addPages(count: number): void {
    this.#state.setNumber(XEN_DOMAIN.currentPages, this.#state.number(XEN_DOMAIN.currentPages) + count);
  }
}
