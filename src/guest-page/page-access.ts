/**
 * The three ways to protect an access to a guest page. The first is what this project is about; the others are what hypervisors did
 * before, real and complete, to measure and to show.
 */
import { frameAddress } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import type { Invalidations } from "../host-memory/index.js";
import { GuestPage, NOT_MAPPED } from "./guest-page.js";
import type { GuestPageParts, RefreshResult } from "./guest-page.js";

/** Names of the page accesses, as the command line has them. */
export const PAGE_ACCESS_NAMES = ["revocable", "pinned", "map-each-time"] as const;
/** How guest pages are protected while the hypervisor uses them. */
export type PageAccess = (typeof PAGE_ACCESS_NAMES)[number];

/** Makes a guest page, not mapped yet. */
export function createGuestPage(pageAccess: PageAccess, parts: GuestPageParts): GuestPage {
  switch (pageAccess) {
    case "revocable":
      return new RevocablePage(parts);
    case "pinned":
      return new PinnedPage(parts);
    case "map-each-time":
      return new MapEachTimePage(parts);
  }
}

const NEVER_MAPPED = -1;

/**
 * Holds nothing. What makes an access safe is the protocol of host-memory/invalidation.ts; this is its refresher and its user.
 * Invariant: while the remembered sequence is current, `#frameBase` is the frame of the page, and the page may be written.
 */
class RevocablePage extends GuestPage {
  readonly #invalidations: Invalidations;
  /** Where the sequence of the page's bucket is; NEVER_MAPPED = not looked up yet. */
  #sequenceIndex = NEVER_MAPPED;
  #sequence = 0;
  #frameBase = 0;

  constructor(parts: GuestPageParts) {
    super(parts);
    this.#invalidations = parts.host.invalidations;
  }

  check(): boolean {
    return this.#sequenceIndex !== NEVER_MAPPED && this.#invalidations.sequence(this.#sequenceIndex) === this.#sequence;
  }

  protected map(): RefreshResult {
    for (;; this.host.counters.addForUser(this.user, "retries")) {
      const generation = this.host.memslotGeneration;
      const page = this.host.findHvaPage(this.gfn);
      if (page < 0) return "no-slot";
      const index = this.#invalidations.sequenceIndex(page);
      // Before the look-up: an invalidation that begins behind this line is seen by mayPublish or by the first access.
      const sequence = this.#invalidations.sequence(index);
      const fault = this.faultIn();
      if (fault !== "mapped") return fault;
      const pfn = this.host.presentPfn(page);
      if (pfn === undefined || !this.#invalidations.mayPublish(index, sequence)) continue;
      // The same generation again: `page` was the page of this gfn throughout, so its bucket was the one to watch.
      if (this.host.memslotGeneration !== generation) continue;
      this.#sequenceIndex = index;
      this.#sequence = sequence;
      this.#frameBase = frameAddress(pfn);
      return "mapped";
    }
  }

  protected enter(): number {
    if (this.#sequenceIndex === NEVER_MAPPED) return NOT_MAPPED;
    // Announces the section, then looks at the sequence: pairs with Invalidations.begin, which writes the sequence, then looks for sections.
    if (this.#invalidations.enterAndLook(this.#sequenceIndex) === this.#sequence) return this.#frameBase;
    this.#invalidations.leave();
    this.#sequenceIndex = NEVER_MAPPED;
    this.host.counters.addForUser(this.user, "revocations");
    return NOT_MAPPED;
  }

  protected leave(): void {
    this.#invalidations.leave();
  }

  protected override leaveWritten(nptEntryIndex: number): number {
    return this.host.leaveWritten(nptEntryIndex);
  }

  protected unmap(): void {
    this.#sequenceIndex = NEVER_MAPPED;
  }
}

/**
 * Protocol (a): looked up once, a reference held from then on. The frame does not move, and the block it is in does not go offline. When
 * the host maps something else over the page, accesses go on to the old frame, which nobody else sees: the fault of this protocol.
 */
class PinnedPage extends GuestPage {
  #pfn: Pfn | undefined;

  check(): boolean {
    return this.#pfn !== undefined;
  }

  protected map(): RefreshResult {
    for (; this.#pfn === undefined; this.host.counters.addForUser(this.user, "retries")) {
      const fault = this.faultIn();
      if (fault !== "mapped") return fault;
      this.#pfn = this.host.tryPinFrame(this.gfn, this.user);
      if (this.#pfn !== undefined) break;
    }
    return "mapped";
  }

  protected enter(): number {
    return this.#pfn === undefined ? NOT_MAPPED : frameAddress(this.#pfn);
  }

  protected leave(): void {
    this.host.invalidations.order();
  }

  protected unmap(): void {
    if (this.#pfn !== undefined) this.host.unpinFrame(this.#pfn, this.user);
    this.#pfn = undefined;
  }
}

/** Protocol (b): looked up and referenced for each access, let go behind it. A move that meets an access backs off and tries again. */
class MapEachTimePage extends GuestPage {
  /** The references of the accesses that are open, one inside the other. */
  readonly #open: Pfn[] = [];

  check(): boolean {
    return false;
  }

  protected map(): RefreshResult {
    return this.faultIn();
  }

  protected enter(): number {
    const pfn = this.host.tryPinFrame(this.gfn, this.user);
    if (pfn === undefined) return NOT_MAPPED;
    this.#open.push(pfn);
    return frameAddress(pfn);
  }

  protected leave(): void {
    this.host.unpinFrame(this.#open.pop()!, this.user);
  }

  protected unmap(): void {}
}
