/**
 * A mapping of a range within one guest page for code outside the processor, after KVM's gfn_to_pfn_cache (virt/kvm/pfncache.c):
 * open, check, refresh, access, deactivate. How it is protected is the business of the page access behind it (page-access.ts):
 *
 *     revocable       no reference, no pin; the host takes the mapping away when it likes, and waits for accesses in progress
 *     pinned          a reference from the first use to the end; the frame cannot move
 *     map-each-time   a reference for the length of each access
 *
 * A GuestPage belongs to one thread.
 */
import { assert } from "../host-memory/index.js";
import type { HostMemory } from "../host-memory/index.js";
import { gfnOfGpa, pageOffset } from "../abi/address.js";
import type { Gfn, Gpa } from "../abi/address.js";
import { NPT_CODE, PAGE_SIZE } from "../abi/layout.js";
import { PageView } from "./page-view.raw.js";

/** What `refresh` found: the page is mapped, its memslot is gone, or the host has no frame left. */
export type RefreshResult = "mapped" | "no-slot" | "out-of-memory";

/** Called after a write to a page of which a processor holds decoded instructions. */
export type CodeWriteListener = (gfn: Gfn) => void;

/** What a GuestPage is made from. */
export interface GuestPageParts {
  readonly host: HostMemory;
  readonly gpa: Gpa;
  /** With the offset of `gpa` at most a page. */
  readonly lengthBytes: number;
  /** Number of the user (pageUserNumber), for counters and for messages about pinned pages. */
  readonly user: number;
  readonly onCodeWrite: CodeWriteListener | undefined;
}

/**
 * What may leave the callback of an access: copies. Not the view, nor a function or promise that could still hold it: behind the
 * callback the frame may be somebody else's.
 */
export type PageValue =
  | void | undefined | null | boolean | number | bigint | string | Uint8Array | readonly PageValue[] | { readonly [key: string]: PageValue };

/** What `enter` answers when the mapping was revoked or never made. */
export const NOT_MAPPED = -1;
const NOT_NOTED = -1;

/** Made by `GuestMemory.openPage`. Use by one thread only. */
export abstract class GuestPage {
  readonly gpa: Gpa;
  readonly lengthBytes: number;
  protected readonly host: HostMemory;
  protected readonly gfn: Gfn;
  protected readonly user: number;
  readonly #onCodeWrite: CodeWriteListener | undefined;
  readonly #offset: number;
  readonly #view: PageView;
  #active = true;
  #depth = 0;
  #noted = NOT_NOTED;
  #nptEntryIndex = -1;

  /** Precondition: the range lies within one page. Maps nothing yet. */
  constructor({ host, gpa, lengthBytes, user, onCodeWrite }: GuestPageParts) {
    assert(lengthBytes > 0 && pageOffset(gpa) + lengthBytes <= PAGE_SIZE, "expected a range within one page, got", gpa, lengthBytes);
    this.gpa = gpa;
    this.lengthBytes = lengthBytes;
    this.host = host;
    this.user = user;
    this.gfn = gfnOfGpa(gpa);
    this.#onCodeWrite = onCodeWrite;
    this.#offset = pageOffset(gpa);
    this.#view = new PageView(host.views);
  }

  /** Whether the mapping is current at this moment; only an access can rely on more than a moment. Never sleeps. */
  abstract check(): boolean;

  /** Looks the page up, faulting it in. May sleep. */
  protected abstract map(): RefreshResult;

  /** Opens an access and returns the byte address of the frame; NOT_MAPPED = nothing was opened. Never sleeps. */
  protected abstract enter(): number;

  /** Closes the access opened last. Owes an atomic store, between what was written in it and what is read behind it. */
  protected abstract leave(): void;

  /** Closes the access opened last, in which the page was written: as `leave`, then marks the page written. Returns its NPT flags. */
  protected leaveWritten(nptEntryIndex: number): number {
    this.leave();
    // Behind leave, whose store stands between the written bytes and the look at CODE.
    return this.host.markWritten(nptEntryIndex);
  }

  /** Forgets the mapping. */
  protected abstract unmap(): void;

  /** Looks the page up again, faulting it in. May sleep. "mapped" does not promise that the next access succeeds. */
  refresh(): RefreshResult {
    assert(this.#active, "expected an active guest page, got one that was deactivated", this.gpa);
    this.host.invalidations.assertOutside();
    const begunNs = this.host.nowNs();
    this.host.counters.addForUser(this.user, "refreshes");
    const result = this.map();
    this.host.counters.add("refreshNs", this.host.nowNs() - begunNs);
    if (result !== "mapped") this.unmap();
    else if (this.#noted === NOT_NOTED) this.#noteMapped();
    return result;
  }

  #noteMapped(): void {
    this.#noted = this.host.noteMapped(this.gfn, this.user);
    this.#nptEntryIndex = this.host.nptEntryIndex(this.gfn);
  }

  /** Has the host give the page a frame of its own that may be written. Waits for memory until the VM ends. */
  protected faultIn(): RefreshResult {
    for (;;) {
      const fault = this.host.faultIn(this.gfn, true);
      if (fault !== "stalled") return fault;
    }
  }

  /**
   * Runs `use` on the page and returns its result; undefined = the mapping was revoked (or never made). Never sleeps.
   * `use` may neither sleep, nor take a lock that is held while a guest page is refreshed, nor use `access` or `refresh`
   * of any page; `tryAccess` of another page is allowed.
   */
  tryAccess<T extends PageValue>(use: (view: PageView) => T): T | undefined {
    const base = this.enter();
    return base === NOT_MAPPED ? undefined : this.#useAndLeave(base, use);
  }

  /**
   * Like `tryAccess`, but refreshes until it succeeds; undefined = the memslot is gone or the host is out of memory.
   * May sleep. Precondition: not inside the callback of another access. `use` runs at most once.
   */
  access<T extends PageValue>(use: (view: PageView) => T): T | undefined {
    this.host.invalidations.assertOutside();
    for (;;) {
      const base = this.enter();
      if (base !== NOT_MAPPED) return this.#useAndLeave(base, use);
      if (this.refresh() !== "mapped") return undefined;
    }
  }

  /** Ends the use of this object; every later access finds it revoked. Precondition: outside its accesses. */
  deactivate(): void {
    this.#active = false;
    this.unmap();
    this.host.forgetMapped(this.#noted);
    this.#noted = NOT_NOTED;
  }

  #useAndLeave<T>(frameBase: number, use: (view: PageView) => T): T {
    this.#depth++;
    this.#view.open(frameBase + this.#offset, this.lengthBytes);
    try {
      return use(this.#view);
    } finally {
      const wrote = this.#view.takeWrote();
      if (--this.#depth === 0) this.#view.close();
      if (!wrote) this.leave();
      else if ((this.leaveWritten(this.#nptEntryIndex) & NPT_CODE) !== 0) this.#onCodeWrite?.(this.gfn);
    }
  }
}
