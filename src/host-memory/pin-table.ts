/**
 * References that users of guest pages hold to frames, by name. Only the page accesses "pinned" and "map-each-time" take any; a
 * revocable mapping holds none. All under WORD_MMU_LOCK, so that no reference is taken while a page's entry is BUSY.
 */
import { atomicLoad, atomicStore } from "#sync";
import type { SharedWords } from "#sync";
import { pfnOf } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { PAGE_USER_NAMES } from "../abi/page-users.js";
import { assert } from "./errors.js";
import { PIN_ENTRY_COUNT, PIN_ENTRY_WORDS, WORD_PIN_END, WORD_PIN_TABLE } from "./layout.js";

/** Words of an entry. */
const FRAME = 0;
const USER = 1;
const COUNT = 2;

/** The table of one host. */
export class PinTable {
  readonly #words: SharedWords;

  constructor(words: SharedWords) {
    this.#words = words;
  }

  /** Notes a reference of `user` (pageUserNumber). Preconditions: WORD_MMU_LOCK held; the frame has the reference. */
  addLocked(pfn: Pfn, user: number): void {
    let free = -1;
    // One past the entries ever used: there are few.
    const end = Math.min(atomicLoad(this.#words, WORD_PIN_END) + 1, PIN_ENTRY_COUNT);
    for (let entry = 0; entry < end; entry++) {
      if (this.#is(entry, pfn, user)) return this.#set(entry, COUNT, this.#get(entry, COUNT) + 1);
      if (free < 0 && this.#get(entry, FRAME) === 0) free = entry;
    }
    assert(free >= 0, "expected fewer pinned pages than the table has entries, got", PIN_ENTRY_COUNT);
    atomicStore(this.#words, WORD_PIN_END, Math.max(atomicLoad(this.#words, WORD_PIN_END), free + 1));
    this.#set(free, USER, user);
    this.#set(free, COUNT, 1);
    this.#set(free, FRAME, pfn + 1);
  }

  /** Takes a note of `addLocked` back. Precondition: WORD_MMU_LOCK held. */
  removeLocked(pfn: Pfn, user: number): void {
    const end = atomicLoad(this.#words, WORD_PIN_END);
    for (let entry = 0; entry < end; entry++) {
      if (!this.#is(entry, pfn, user)) continue;
      const count = this.#get(entry, COUNT) - 1;
      this.#set(entry, COUNT, count);
      if (count === 0) this.#set(entry, FRAME, 0);
      return;
    }
    assert(false, "expected a pinned frame, got", pfn, user);
  }

  /** Names of those who hold references, by frame. */
  usersByFrame(): Map<Pfn, string[]> {
    const users = new Map<Pfn, string[]>();
    const end = atomicLoad(this.#words, WORD_PIN_END);
    for (let entry = 0; entry < end; entry++) {
      const frame = this.#get(entry, FRAME);
      if (frame === 0) continue;
      const pfn = pfnOf(frame - 1);
      users.set(pfn, [...(users.get(pfn) ?? []), PAGE_USER_NAMES[this.#get(entry, USER)] ?? "unknown"]);
    }
    return users;
  }

  #is(entry: number, pfn: Pfn, user: number): boolean {
    return this.#get(entry, FRAME) === pfn + 1 && this.#get(entry, USER) === user;
  }

  #get(entry: number, field: number): number {
    return atomicLoad(this.#words, WORD_PIN_TABLE + entry * PIN_ENTRY_WORDS + field);
  }

  #set(entry: number, field: number, value: number): void {
    atomicStore(this.#words, WORD_PIN_TABLE + entry * PIN_ENTRY_WORDS + field, value);
  }
}
