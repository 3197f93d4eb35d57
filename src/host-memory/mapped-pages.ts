/**
 * Which guest pages the hypervisor itself has mapped, for statistics and for those who want to move just these. A note, not a hold:
 * nothing depends on it, and when the table is full a page goes unnoted.
 */
import { atomicCompareExchange, atomicLoad, atomicStore } from "#sync";
import type { SharedWords } from "#sync";
import { gfnOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { PAGE_USER_NAMES } from "../abi/page-users.js";
import { MAPPED_PAGE_COUNT, MAPPED_PAGE_WORDS, WORD_MAPPED_PAGES } from "./layout.js";

/** A page that somebody has mapped. */
export interface MappedPage {
  readonly gfn: Gfn;
  /** Name of the user, PAGE_USER_NAMES. */
  readonly user: string;
}

const NOT_NOTED = -1;

/** The table of one host; each thread starts its search at a place of its own. */
export class MappedPages {
  readonly #words: SharedWords;
  #next = 0;

  constructor(words: SharedWords) {
    this.#words = words;
  }

  /** Notes a page of `user` (pageUserNumber); the result is for `forget`. Never sleeps. */
  note(gfn: Gfn, user: number): number {
    for (let step = 0; step < MAPPED_PAGE_COUNT; step++) {
      const entry = (this.#next + step) % MAPPED_PAGE_COUNT;
      const index = WORD_MAPPED_PAGES + entry * MAPPED_PAGE_WORDS;
      if (atomicLoad(this.#words, index) !== 0 || atomicCompareExchange(this.#words, index, 0, gfn + 1) !== 0) continue;
      atomicStore(this.#words, index + 1, user);
      this.#next = entry + 1;
      return entry;
    }
    return NOT_NOTED;
  }

  /** Takes a note back. */
  forget(noted: number): void {
    if (noted !== NOT_NOTED) atomicStore(this.#words, WORD_MAPPED_PAGES + noted * MAPPED_PAGE_WORDS, 0);
  }

  /** Every noted page once for each of its users. */
  list(): MappedPage[] {
    const pages = new Map<string, MappedPage>();
    for (let entry = 0; entry < MAPPED_PAGE_COUNT; entry++) {
      const index = WORD_MAPPED_PAGES + entry * MAPPED_PAGE_WORDS;
      const frame = atomicLoad(this.#words, index);
      if (frame === 0) continue;
      const user = PAGE_USER_NAMES[atomicLoad(this.#words, index + 1)] ?? "unknown";
      pages.set(`${frame} ${user}`, { gfn: gfnOf(frame - 1), user });
    }
    return [...pages.values()];
  }
}
