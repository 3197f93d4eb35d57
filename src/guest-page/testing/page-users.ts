/** Threads of the page stress that use pages: through GuestPage objects, and as a processor does. */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import type { Gfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import type { HostMemory } from "../../host-memory/index.js";
import { GuestMemory } from "../index.js";
import type { GuestPage, PageView } from "../index.js";
import { PretendVcpu } from "./pretend-vcpu.js";
import { CHECKED_OFFSETS, KEPT_BASE, LOSSY_BASE, ownTag, PAGES_EACH, remapTag } from "./page-stress.words.js";
import type { StressJob } from "./page-stress.words.js";

/** Numbers that follow from a seed. */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e37_79b1) | 1;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 4) % limit;
  }
}

/** Adds one to a count by name. */
export function tally(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Throws unless a word of `gfn` is one that may be there. */
export function checkWord(gfn: Gfn, word: number): void {
  if (word === 0 || word === ownTag(gfn) || word === remapTag(gfn)) return;
  throw new Error(`guest frame ${gfn} holds 0x${word.toString(16)}: written through somebody's stale mapping`);
}

/** The pages of thread `index`. */
function pagesOf(index: number): Gfn[] {
  return Array.from({ length: PAGES_EACH }, (_, page) => gfnOf(LOSSY_BASE + index * PAGES_EACH + page));
}

type Use = (view: PageView) => boolean;

/** Opens, checks, refreshes, writes, reads and deactivates its pages in no order; counts in the pages that only move. */
export class PageUser {
  readonly counts: Record<string, number> = {};
  addedShared = 0;
  addedOwn = 0;
  readonly #guest: GuestMemory;
  readonly #draws: Draws;
  readonly #gfns: readonly Gfn[];
  readonly #pages: (GuestPage | undefined)[];
  readonly #index: number;
  #shared: GuestPage | undefined;
  #own: GuestPage | undefined;

  constructor(host: HostMemory, { index, seed }: StressJob) {
    this.#guest = new GuestMemory(host);
    this.#draws = new Draws(seed);
    this.#gfns = pagesOf(index);
    this.#pages = this.#gfns.map(() => undefined);
    this.#index = index;
  }

  step(): void {
    if (this.#draws.below(3) === 0) this.#count();
    else this.#usePage(this.#draws.below(this.#gfns.length));
  }

  end(): void {
    for (const page of [...this.#pages, this.#shared, this.#own]) page?.deactivate();
  }

  #usePage(at: number): void {
    const gfn = this.#gfns[at]!;
    const page = (this.#pages[at] ??= this.#guest.openPage(gpaOfGfn(gfn), PAGE_SIZE, "test"));
    if (page === undefined) return tally(this.counts, "no page to open");
    const use: Use = (view) => {
      for (const offset of CHECKED_OFFSETS) checkWord(gfn, view.readU32(offset));
      for (const offset of CHECKED_OFFSETS) view.writeU32(offset, ownTag(gfn));
      for (const offset of CHECKED_OFFSETS) checkWord(gfn, view.readU32(offset));
      return true;
    };
    switch (this.#draws.below(8)) {
      case 0:
        return tally(this.counts, page.check() ? "check: current" : "check: revoked");
      case 1:
        return tally(this.counts, `refresh: ${page.refresh()}`);
      case 2:
        page.deactivate();
        this.#pages[at] = undefined;
        return tally(this.counts, "deactivate");
      case 3:
      case 4:
        return tally(this.counts, page.tryAccess(use) === undefined ? "tryAccess: revoked" : "tryAccess: done");
      default:
        return tally(this.counts, page.access(use) === undefined ? "access: no memory" : "access: done");
    }
  }

  /** A plain read and write in a word of its own, the widest target for a copy that does not wait, and an atomic one in a shared word. */
  #count(): void {
    this.#shared ??= this.#guest.openPage(gpaOfGfn(KEPT_BASE), PAGE_SIZE, "test");
    this.#own ??= this.#guest.openPage(gpaOfGfn(gfnOf(KEPT_BASE + 1 + this.#index)), PAGE_SIZE, "test");
    const isSleepless = this.#draws.below(2) === 0;
    const enter = <T extends number | boolean>(page: GuestPage | undefined, use: (view: PageView) => T): T | undefined =>
      isSleepless ? page?.tryAccess(use) : page?.access(use);
    if (enter(this.#shared, (view) => view.addU32(0, 1)) !== undefined) this.addedShared++;
    const plain: Use = (view) => {
      const value = view.readU32(8);
      for (let pause = 0; pause < 20; pause++) view.loadU8(100);
      view.writeU32(8, value + 1);
      return true;
    };
    if (enter(this.#own, plain) === true) this.addedOwn++;
    if (!isSleepless) return;
    this.#shared?.refresh();
    this.#own?.refresh();
  }
}

/** Counts through translations that it keeps until it is asked to drop them. */
export class PageProcessor {
  readonly counts: Record<string, number> = {};
  readonly addedShared = 0;
  addedOwn = 0;
  readonly #vcpu: PretendVcpu;
  readonly #draws: Draws;
  readonly #own: Gfn;
  readonly #gfns: readonly Gfn[];

  constructor(host: HostMemory, { index, seed }: StressJob) {
    this.#vcpu = new PretendVcpu(host);
    this.#draws = new Draws(seed);
    this.#own = gfnOf(KEPT_BASE + 1 + index);
    this.#gfns = pagesOf(index);
  }

  step(): void {
    if (this.#draws.below(2) === 0) {
      const gfn = this.#gfns[this.#draws.below(this.#gfns.length)]!;
      const word = this.#vcpu.load(gfn, 16);
      if (word === undefined) return tally(this.counts, "load: no memory");
      checkWord(gfn, word);
      return tally(this.counts, "load");
    }
    const isDone = this.#vcpu.increment(this.#own, 2);
    if (isDone) this.addedOwn++;
    tally(this.counts, isDone ? "store" : "store: no memory");
  }

  end(): void {}
}
