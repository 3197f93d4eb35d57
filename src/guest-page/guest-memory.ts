/**
 * Guest-physical memory for code outside the processor: copying accesses of any length and alignment, and the opening of
 * revocable pages. One instance a thread.
 */
import { gfnOf, gfnOfGpa, gpaOfGfn, gpaPlus, pageOffset } from "../abi/address.js";
import type { Gfn, Gpa } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { assert } from "../host-memory/index.js";
import type { HostMemory } from "../host-memory/index.js";
import { pageUserNumber } from "../abi/page-users.js";
import type { PageUser } from "../abi/page-users.js";
import type { CodeWriteListener, GuestPage } from "./guest-page.js";
import { createGuestPage } from "./page-access.js";
import type { PageAccess } from "./page-access.js";
import type { PageView } from "./page-view.raw.js";

/** What a GuestMemory can be told. */
export interface GuestMemoryOptions {
  /** Called after a write to a page with decoded instructions, by the writing thread, once an access. It may not sleep. */
  readonly onCodeWrite?: CodeWriteListener;
  /** How pages are protected; default "revocable". */
  readonly pageAccess?: PageAccess;
}

/** Whole-page mappings kept for the copying accesses; a power of two, chosen by the low bits of the gfn. */
const CACHED_PAGE_COUNT = 64;

/** Access to one VM's guest-physical memory. May sleep in every method; not for use inside the callback of a page access. */
export class GuestMemory {
  readonly #host: HostMemory;
  readonly #onCodeWrite: CodeWriteListener | undefined;
  readonly #pageAccess: PageAccess;
  readonly #cachedPages: (GuestPage | undefined)[] = new Array<undefined>(CACHED_PAGE_COUNT).fill(undefined);

  constructor(host: HostMemory, options: GuestMemoryOptions = {}) {
    this.#host = host;
    this.#onCodeWrite = options.onCodeWrite;
    this.#pageAccess = options.pageAccess ?? "revocable";
  }

  /** Opens a range of one page for `user` and maps it; undefined = no memslot, or the host is out of memory. */
  openPage(gpa: Gpa, lengthBytes: number, user: PageUser): GuestPage | undefined {
    const page = this.#createPage(gpa, lengthBytes, user, this.#pageAccess);
    return page.refresh() === "mapped" ? page : undefined;
  }

  #createPage(gpa: Gpa, lengthBytes: number, user: PageUser, pageAccess: PageAccess): GuestPage {
    return createGuestPage(pageAccess, { host: this.#host, gpa, lengthBytes, user: pageUserNumber(user), onCodeWrite: this.#onCodeWrite });
  }

  /** Copies bytes out of the guest; undefined = some of them have no memslot or no frame. Not atomic. */
  read(gpa: Gpa, lengthBytes: number): Uint8Array | undefined {
    // The length may come from the guest: allocate no more than it has memory for.
    if (lengthBytes > PAGE_SIZE && !this.#isBacked(gpa, lengthBytes)) return undefined;
    const result = new Uint8Array(lengthBytes);
    return this.readInto(gpa, result) ? result : undefined;
  }

  /** Fills `target` from the guest; false = some bytes have no memslot or no frame, `target` is then partly filled. */
  readInto(gpa: Gpa, target: Uint8Array): boolean {
    return this.#forEachPiece(gpa, target.length, (view, offset, length, done) => view.copyTo(offset, length, target, done));
  }

  /** Copies bytes into the guest. False = some of them have no memslot: nothing was written then, unless it went just now. */
  write(gpa: Gpa, bytes: Uint8Array): boolean {
    return this.#isBacked(gpa, bytes.length) && this.#forEachPiece(gpa, bytes.length, (view, offset, length, done) =>
      view.copyIn(offset, length === bytes.length ? bytes : bytes.subarray(done, done + length)));
  }

  /** Writes `lengthBytes` bytes of `value`. False as for `write`. */
  fill(gpa: Gpa, lengthBytes: number, value = 0): boolean {
    return this.#isBacked(gpa, lengthBytes)
      && this.#forEachPiece(gpa, lengthBytes, (view, offset, length) => view.fill(offset, length, value));
  }

  /** Reads 32 bits, unsigned, any alignment. */
  readU32(gpa: Gpa): number | undefined {
    const offset = pageOffset(gpa);
    if (offset <= PAGE_SIZE - 4) return this.#page(gfnOfGpa(gpa)).access((view) => view.readU32(offset));
    const bytes = this.read(gpa, 4);
    return bytes && (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  }

  /** Reads 64 bits, unsigned, any alignment. */
  readU64(gpa: Gpa): bigint | undefined {
    const offset = pageOffset(gpa);
    if (offset <= PAGE_SIZE - 8) return this.#page(gfnOfGpa(gpa)).access((view) => view.readU64(offset));
    const low = this.readU32(gpa);
    const high = this.readU32(gpaPlus(gpa, 4));
    return low === undefined || high === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low);
  }

  /** Writes the low 32 bits of `value`, any alignment. False as for `write`. */
  writeU32(gpa: Gpa, value: number): boolean {
    const offset = pageOffset(gpa);
    if (offset > PAGE_SIZE - 4) return this.write(gpa, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
    return this.#page(gfnOfGpa(gpa)).access((view) => (view.writeU32(offset, value), true)) ?? false;
  }

  /** Writes the low 64 bits of `value`, any alignment. False as for `write`. */
  writeU64(gpa: Gpa, value: bigint): boolean {
    const offset = pageOffset(gpa);
    if (offset <= PAGE_SIZE - 8) return this.#page(gfnOfGpa(gpa)).access((view) => (view.writeU64(offset, value), true)) ?? false;
    const bytes = Uint8Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
    return this.write(gpa, bytes);
  }

  /** Calls `use` for each page's share of a range, in order; stops and returns false where a page cannot be mapped. */
  #forEachPiece(gpa: Gpa, lengthBytes: number, use: (view: PageView, offset: number, length: number, done: number) => void): boolean {
    assert(gpa >= 0 && lengthBytes >= 0, "expected a range of guest memory, got", gpa, lengthBytes);
    let done = 0;
    while (done < lengthBytes) {
      const at = gpaPlus(gpa, done);
      const offset = pageOffset(at);
      const length = Math.min(PAGE_SIZE - offset, lengthBytes - done);
      const reached = this.#page(gfnOfGpa(at)).access((view) => (use(view, offset, length, done), true));
      if (reached === undefined) return false;
      done += length;
    }
    return true;
  }

  #isBacked(gpa: Gpa, lengthBytes: number): boolean {
    for (let gfn = gfnOfGpa(gpa); gpaOfGfn(gfn) < gpa + lengthBytes; gfn = gfnOf(gfn + 1)) {
      if (this.#host.findHvaPage(gfn) < 0) return false;
    }
    return true;
  }

  /** A mapping of the whole page, not necessarily current. */
  #page(gfn: Gfn): GuestPage {
    const index = gfn % CACHED_PAGE_COUNT;
    const cached = this.#cachedPages[index];
    const gpa = gpaOfGfn(gfn);
    if (cached !== undefined && cached.gpa === gpa) return cached;
    cached?.deactivate();
    // What is copied is not kept: with "pinned" too, a hypercall's arguments are referenced only while they are read.
    const pageAccess = this.#pageAccess === "pinned" ? "map-each-time" : this.#pageAccess;
    return (this.#cachedPages[index] = this.#createPage(gpa, PAGE_SIZE, "hypercall arguments", pageAccess));
  }
}
