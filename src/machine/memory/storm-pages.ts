/**
 * Which pages the storm moves: in each round every page that the hypervisor has mapped, and random pages of all memslots, mixed. The
 * same seed gives the same choice for the same memory.
 */
import { type Gfn, gfnOf } from "../../abi/address.js";
import type { FrameRange, MemoryOperations } from "./memory-operations.js";
import { BATCH_PAGES_MAX } from "./storm-pace.js";

/** Looks for a page with a frame before a round is left smaller: most of a young guest's memory has none. */
const TRIES_PER_PAGE = 64;

/** Random numbers from a seed: mulberry32, period 2^32. */
export class RandomNumbers {
  #state: number;

  /** `seed` is a u32. */
  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number from 0 to `limit` - 1; `limit` is at most 2^32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}

type PageSource = Pick<MemoryOperations, "isPresent" | "mappedPages" | "memslots">;

/** The stream of chosen pages. */
export class StormPages {
  readonly #source: PageSource;
  readonly #random: RandomNumbers;
  #round: Gfn[] = [];

  constructor(source: PageSource, seed: number) {
    this.#source = source;
    this.#random = new RandomNumbers(seed);
  }

  /** Up to `count` pages, each once. */
  take(count: number): Gfn[] {
    if (this.#round.length === 0) this.#round = this.#chooseRound();
    return this.#round.splice(0, count);
  }

  #chooseRound(): Gfn[] {
    const chosen = new Set(this.#source.mappedPages().map(({ gfn }) => gfn));
    const size = Math.max(BATCH_PAGES_MAX, 2 * chosen.size);
    const slots = this.#source.memslots();
    const pageCount = slots.reduce((sum, slot) => sum + slot.pageCount, 0);
    for (let tries = TRIES_PER_PAGE * size; tries > 0 && chosen.size < size && pageCount > 0; tries--) {
      const gfn = pageAt(slots, this.#random.below(pageCount));
      if (this.#source.isPresent(gfn)) chosen.add(gfn);
    }
    return this.#mix([...chosen]);
  }

  #mix(pages: Gfn[]): Gfn[] {
    for (let last = pages.length - 1; last > 0; last--) {
      const other = this.#random.below(last + 1);
      [pages[last], pages[other]] = [pages[other]!, pages[last]!];
    }
    return pages;
  }
}

/** Page number `index` of all memslots in a row. Precondition: there are more pages than that. */
export function pageAt(slots: readonly FrameRange[], index: number): Gfn {
  let rest = index;
  for (const slot of slots) {
    if (rest < slot.pageCount) return gfnOf(slot.baseGfn + rest);
    rest -= slot.pageCount;
  }
  throw new Error(`expected a page of the memslots, got number ${index}`);
}
