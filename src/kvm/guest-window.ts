/** One thread's revocable mapping of an area that the guest named in a register, opened again when the register changed. */
import { gpaOf } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import type { PageUser } from "../abi/page-users.js";
import type { GuestMemory, GuestPage, PageView } from "../guest-page/index.js";

const ADDRESS_LIMIT = 2 ** 40;

/** Holds at most one opened range. Use by one thread only. */
export class GuestWindow {
  readonly #guest: GuestMemory;
  readonly #user: PageUser;
  readonly #lengthBytes: number;
  #gpa = -1;
  #page: GuestPage | undefined;

  constructor(guest: GuestMemory, user: PageUser, lengthBytes: number) {
    this.#guest = guest;
    this.#user = user;
    this.#lengthBytes = lengthBytes;
  }

  /**
   * Runs `use` on the area at `gpa`, as GuestPage.access does; undefined = there is no memory, or the area is not within one page, and
   * nothing was done. May sleep.
   */
  access<T extends boolean | void>(gpa: number, use: (view: PageView) => T): T | undefined {
    return this.#at(gpa)?.access(use);
  }

  #at(gpa: number): GuestPage | undefined {
    if (gpa === this.#gpa && this.#page !== undefined) return this.#page;
    this.close();
    if (gpa >= ADDRESS_LIMIT || (gpa % PAGE_SIZE) + this.#lengthBytes > PAGE_SIZE) return undefined;
    this.#page = this.#guest.openPage(gpaOf(gpa), this.#lengthBytes, this.#user);
    this.#gpa = gpa;
    return this.#page;
  }

  /** Gives the window back. */
  close(): void {
    this.#page?.deactivate();
    this.#page = undefined;
    this.#gpa = -1;
  }
}
