/**
 * An area a guest registered by linear address: translated once, at most two pieces in two pages, any alignment.
 */
import { gfnOfGpa, gpaOf, pageOffset } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import type { PageUser } from "../../abi/page-users.js";
import type { GuestMemory, GuestPage } from "../../guest-page/index.js";
import type { LinearMemory } from "../interfaces.js";
import type { DomainState } from "./domain-state.js";
import { PageSlot } from "./page-slot.js";

/** Offsets in the Xen block of a registration: u64 gpa + 1 (0 = none), u64 gpa of the rest, u32 bytes before the rest. */
export interface AreaFields {
  readonly gpa: number;
  readonly gpaRest: number;
  readonly firstBytes: number;
}

/** Notes where `size` bytes at `gva` are; false = not mapped or not memory. Caller holds the lock of `fields`. */
export function registerAreaLocked(
  state: DomainState, fields: AreaFields, area: { gva: bigint; size: number; linear: LinearMemory; guest: GuestMemory },
): boolean {
  const { gva, size, linear, guest } = area;
  const gpa = linear.translate(gva);
  if (gpa === undefined) return false;
  const firstBytes = Math.min(size, PAGE_SIZE - pageOffset(gpa));
  const rest = firstBytes < size ? linear.translate(BigInt.asUintN(64, gva + BigInt(firstBytes))) : gpaOf(0);
  if (rest === undefined) return false;
  if (guest.read(gpa, firstBytes) === undefined || guest.read(rest, size - firstBytes) === undefined) return false;
  state.setNumber(fields.gpaRest, rest);
  state.setU32(fields.firstBytes, firstBytes);
  state.setNumber(fields.gpa, gpa + 1);
  return true;
}

/** What a registered area is. */
export interface AreaParts {
  readonly user: PageUser;
  readonly fields: AreaFields;
  readonly size: number;
}

/** One thread's way to write a registered area. */
export class GuestArea {
  readonly #state: DomainState;
  readonly #fields: AreaFields;
  readonly #size: number;
  readonly #first: PageSlot;
  readonly #rest: PageSlot;

  constructor(state: DomainState, guest: GuestMemory, { user, fields, size }: AreaParts) {
    this.#state = state;
    this.#fields = fields;
    this.#size = size;
    this.#first = new PageSlot(guest, user);
    this.#rest = new PageSlot(guest, user);
  }

  /** Whether the guest registered it. */
  get isRegistered(): boolean {
    return this.#state.u64(this.#fields.gpa) !== 0n;
  }

  #firstPage(firstBytes: number): GuestPage | undefined {
    const gpa = gpaOf(this.#state.number(this.#fields.gpa) - 1);
    return this.#first.at(gfnOfGpa(gpa), pageOffset(gpa), firstBytes);
  }

  #restPage(firstBytes: number): GuestPage | undefined {
    const gpa = gpaOf(this.#state.number(this.#fields.gpaRest));
    return this.#rest.at(gfnOfGpa(gpa), pageOffset(gpa), this.#size - firstBytes);
  }

  /** Copies `bytes` over the start of the area; parts whose memory went away are dropped. Precondition: registered. */
  write(bytes: Uint8Array): void {
    const firstBytes = this.#state.u32(this.#fields.firstBytes);
    this.#firstPage(firstBytes)?.access((view) => view.copyIn(0, bytes.subarray(0, firstBytes)));
    if (bytes.length > firstBytes) {
      this.#restPage(firstBytes)?.access((view) => view.copyIn(0, bytes.subarray(firstBytes)));
    }
  }

  /** Writes one byte atomically, after everything written before and before everything written later. */
  storeByte(offset: number, value: number): void {
    const firstBytes = this.#state.u32(this.#fields.firstBytes);
    if (offset < firstBytes) this.#firstPage(firstBytes)?.access((view) => view.storeU8(offset, value));
    else this.#restPage(firstBytes)?.access((view) => view.storeU8(offset - firstBytes, value));
  }

  /** Gives the windows back. */
  close(): void {
    this.#first.close();
    this.#rest.close();
  }
}
