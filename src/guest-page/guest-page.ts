/**
 * A revocable mapping of a range within one guest page, after KVM's gfn_to_pfn_cache (virt/kvm/pfncache.c).
 *
 * It holds no reference and no pin: the frame may be taken away at any time. What makes an access safe is the protocol
 * of host-memory/invalidation.ts; a GuestPage is its refresher and its user, and belongs to one thread. Invariant: while
 * the remembered sequence is current, `#frameBase` is the frame of the page and its NPT entry is present and writable.
 */
import { assert } from "../host-memory/index.js";
import type { HostMemory, Invalidations } from "../host-memory/index.js";
import { frameAddress, gfnOfGpa, pageOffset } from "../abi/address.js";
import type { Gfn, Gpa } from "../abi/address.js";
import { NPT_CODE, PAGE_SIZE } from "../abi/layout.js";
import { PageView } from "./page-view.raw.js";

/** What `refresh` found: the page is mapped, its memslot is gone, or the host has no frame left. */
export type RefreshResult = "mapped" | "no-slot" | "out-of-memory";

/** Called after a write to a page of which a processor holds decoded instructions. */
export type CodeWriteListener = (gfn: Gfn) => void;

const NEVER_MAPPED = -1;

/** Made by `GuestMemory.openPage`. Use by one thread only. */
export class GuestPage {
  readonly gpa: Gpa;
  readonly lengthBytes: number;
  readonly #host: HostMemory;
  readonly #invalidations: Invalidations;
  readonly #onCodeWrite: CodeWriteListener | undefined;
  readonly #gfn: Gfn;
  readonly #offset: number;
  readonly #view: PageView;
  #active = true;
  #depth = 0;
  /** Where the sequence of the page's bucket is; NEVER_MAPPED = not looked up yet. */
  #sequenceIndex = NEVER_MAPPED;
  #sequence = 0;
  #frameBase = 0;

  /** Precondition: the range lies within one page. Maps nothing yet. */
  constructor(host: HostMemory, gpa: Gpa, lengthBytes: number, onCodeWrite: CodeWriteListener | undefined) {
    assert(lengthBytes > 0 && pageOffset(gpa) + lengthBytes <= PAGE_SIZE, "expected a range within one page, got", gpa, lengthBytes);
    this.gpa = gpa;
    this.lengthBytes = lengthBytes;
    this.#host = host;
    this.#invalidations = host.invalidations;
    this.#onCodeWrite = onCodeWrite;
    this.#gfn = gfnOfGpa(gpa);
    this.#offset = pageOffset(gpa);
    this.#view = new PageView(host.views);
  }

  /** Whether the mapping is current at this moment; only an access can rely on more than a moment. Never sleeps. */
  check(): boolean {
    return this.#sequenceIndex !== NEVER_MAPPED && this.#invalidations.sequence(this.#sequenceIndex) === this.#sequence;
  }

  /** Looks the page up again, faulting it in. May sleep. "mapped" does not promise that the next access succeeds. */
  refresh(): RefreshResult {
    assert(this.#active, "expected an active guest page, got one that was deactivated", this.gpa);
    this.#invalidations.assertOutside();
    for (;;) {
      const generation = this.#host.memslotGeneration;
      const page = this.#host.findHvaPage(this.#gfn);
      if (page < 0) return this.#forget("no-slot");
      const index = this.#invalidations.sequenceIndex(page);
      const sequence = this.#invalidations.sequence(index);
      const fault = this.#host.faultIn(this.#gfn, true);
      if (fault !== "mapped") return this.#forget(fault);
      const pfn = this.#host.presentPfn(page);
      if (pfn === undefined || !this.#invalidations.mayPublish(index, sequence)) continue;
      // The same generation again: `page` was the page of this gfn throughout, so its bucket was the one to watch.
      if (this.#host.memslotGeneration !== generation) continue;
      this.#sequenceIndex = index;
      this.#sequence = sequence;
      this.#frameBase = frameAddress(pfn);
      return "mapped";
    }
  }

  /**
   * Runs `use` on the page and returns its result; undefined = the mapping was revoked (or never made). Never sleeps.
   * `use` may neither sleep, nor take a lock that is held while a guest page is refreshed, nor use `access` or `refresh`
   * of any page; `tryAccess` of another page is allowed.
   */
  tryAccess<T>(use: (view: PageView) => T): T | undefined {
    return this.#enterIfCurrent() ? this.#useAndLeave(use) : undefined;
  }

  /**
   * Like `tryAccess`, but refreshes until it succeeds; undefined = the memslot is gone or the host is out of memory.
   * May sleep. Precondition: not inside the callback of another access. `use` runs at most once.
   */
  access<T>(use: (view: PageView) => T): T | undefined {
    this.#invalidations.assertOutside();
    while (!this.#enterIfCurrent()) {
      if (this.refresh() !== "mapped") return undefined;
    }
    return this.#useAndLeave(use);
  }

  /** Ends the use of this object; every later access finds it revoked. */
  deactivate(): void {
    this.#active = false;
    this.#sequenceIndex = NEVER_MAPPED;
  }

  /** True = a section is open and the mapping stays current until it is closed. */
  #enterIfCurrent(): boolean {
    if (this.#sequenceIndex === NEVER_MAPPED) return false;
    this.#invalidations.enter();
    // After the section was announced: pairs with Invalidations.begin, which writes the sequence, then looks for sections.
    if (this.#invalidations.sequence(this.#sequenceIndex) === this.#sequence) return true;
    this.#invalidations.leave();
    return false;
  }

  #useAndLeave<T>(use: (view: PageView) => T): T {
    let flags = 0;
    this.#depth++;
    this.#view.open(this.#frameBase + this.#offset, this.lengthBytes);
    try {
      return use(this.#view);
    } finally {
      if (this.#view.takeWrote()) flags = this.#host.markWritten(this.#gfn);
      if (--this.#depth === 0) this.#view.close();
      this.#invalidations.leave();
      if ((flags & NPT_CODE) !== 0) this.#onCodeWrite?.(this.#gfn);
    }
  }

  #forget(reason: RefreshResult): RefreshResult {
    this.#sequenceIndex = NEVER_MAPPED;
    return reason;
  }
}
