/**
 * Counters of what happens to guest pages: shared words, added to by any thread. Times are in ns.
 */
import { atomicAdd, atomicAddLong, atomicLoad, atomicLoadLong } from "#sync";
import type { SharedLongs, SharedWords } from "#sync";
import { PAGE_USER_NAMES, pageUserNumber } from "../abi/page-users.js";
import type { PageUser } from "../abi/page-users.js";
import { LONG_COUNTERS, USER_COUNTER_STRIDE_WORDS, WORD_USER_COUNTERS } from "./layout.js";

/** The counters, in the order of their places. */
const COUNTER_NAMES = [
  "invalidations", "nonBlockableInvalidations", "invalidationNs", "readerWaits", "readerWaitNs", "tlbFlushes", "flushWaitNs",
  "framesMoved", "pagesSwappedOut", "pagesSwappedIn", "swapOutNs", "swapInNs", "pagesMerged", "pagesUnshared", "pagesDiscarded",
  "blocksOfflined", "faults", "refreshNs", "busyWaits", "reclaims", "stalls", "shadowDeliveries", "deferredSends",
] as const;
/** Name of a counter. */
export type CounterName = (typeof COUNTER_NAMES)[number];

const USER_COUNTER_NAMES = ["refreshes", "revocations", "retries"] as const;
/** Name of a counter that each user of guest pages has. */
export type UserCounterName = (typeof USER_COUNTER_NAMES)[number];

/** Counts by cause; the parts are read one after the other. */
export type PageStatistics = Readonly<Record<CounterName, number>> & {
  /** refreshes: lookups of a page; revocations: uses that found the mapping taken away; retries: lookups that raced and began again. */
  readonly users: Readonly<Record<string, Readonly<Record<UserCounterName, number>>>>;
};

const PLACES = new Map<CounterName, number>(COUNTER_NAMES.map((name, place) => [name, place]));
const USER_PLACES: Readonly<Record<UserCounterName, number>> = { refreshes: 0, revocations: 1, retries: 2 };

/** One thread's way to the counters. */
export class PageCounters {
  readonly #words: SharedWords;
  readonly #longs: SharedLongs;

  constructor(words: SharedWords, longs: SharedLongs) {
    this.#words = words;
    this.#longs = longs;
  }

  /** Adds a non-negative number. */
  add(name: CounterName, amount = 1): void {
    atomicAddLong(this.#longs, LONG_COUNTERS + PLACES.get(name)!, BigInt(Math.round(amount)));
  }

  /** The value of one counter. */
  value(name: CounterName): number {
    return Number(atomicLoadLong(this.#longs, LONG_COUNTERS + PLACES.get(name)!));
  }

  /** Adds one to a counter of the user with that number (pageUserNumber). */
  addForUser(user: number, name: UserCounterName): void {
    atomicAdd(this.#words, WORD_USER_COUNTERS + user * USER_COUNTER_STRIDE_WORDS + USER_PLACES[name], 1);
  }

  /** All of them. */
  statistics(): PageStatistics {
    const counts = Object.fromEntries(COUNTER_NAMES.map((name) => [name, this.value(name)])) as Record<CounterName, number>;
    return { ...counts, users: Object.fromEntries(PAGE_USER_NAMES.map((user) => [user, this.#userCounts(user)])) };
  }

  #userCounts(user: PageUser): Record<UserCounterName, number> {
    const row = WORD_USER_COUNTERS + pageUserNumber(user) * USER_COUNTER_STRIDE_WORDS;
    const read = (name: UserCounterName): number => atomicLoad(this.#words, row + USER_PLACES[name]) >>> 0;
    return { refreshes: read("refreshes"), revocations: read("revocations"), retries: read("retries") };
  }
}
