/**
 * One thread's window on a guest page whose place is kept in shared memory and may change: reopened when it did.
 */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import type { PageUser } from "../../abi/page-users.js";
import type { GuestMemory, GuestPage } from "../../guest-page/index.js";

/** Holds at most one opened range. Use by one thread only. */
export class PageSlot {
  readonly #guest: GuestMemory;
  readonly #user: PageUser;
  #gfn = -1;
  #offset = 0;
  #page: GuestPage | undefined;

  constructor(guest: GuestMemory, user: PageUser) {
    this.#guest = guest;
    this.#user = user;
  }

  /** The page that shows `lengthBytes` bytes at `offset` of `gfn`; undefined = no memslot there. */
  at(gfn: number, offset: number, lengthBytes: number): GuestPage | undefined {
    const open = this.openAt(gfn, offset);
    // Two areas may begin at the same place with different lengths: the rests of areas that cross into the page.
    if (open?.lengthBytes === lengthBytes) return open;
    this.#page?.deactivate();
    this.#page = this.#guest.openPage(gpaOfGfn(gfnOf(gfn), offset), lengthBytes, this.#user);
    this.#gfn = gfn;
    this.#offset = offset;
    return this.#page;
  }

  /** The page of that place if it is open already, current or revoked. Never sleeps. */
  openAt(gfn: number, offset: number): GuestPage | undefined {
    return gfn === this.#gfn && offset === this.#offset ? this.#page : undefined;
  }

  /** Looks the page up again if it was revoked. May sleep. */
  refresh(): void {
    if (this.#page !== undefined && !this.#page.check()) this.#page.refresh();
  }

  /** Gives the window back. */
  close(): void {
    this.#page?.deactivate();
    this.#page = undefined;
    this.#gfn = -1;
  }
}
