/** Threads of the page stress that change pages: one that makes every change at random, one that tidies memory meanwhile. */
import { waitWhile } from "#sync";
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import type { Gfn, Pfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { pageUserNumber } from "../../abi/page-users.js";
import type { HostMemory } from "../../host-memory/index.js";
import { GuestMemory } from "../index.js";
import { Draws, tally } from "./page-users.js";
import { CHECKED_OFFSETS, ELSEWHERE, FOREIGN_BASE, FOREIGN_SLOT, KEPT_BASE, KEPT_ELSEWHERE, KEPT_PAGES, KEPT_SLOT, LOSSY_BASE, LOSSY_PAGES, LOSSY_SLOT,
  remapTag, WORD_STOP } from "./page-stress.words.js";
import type { StressJob } from "./page-stress.words.js";
import { Victim } from "./victim.js";

const VICTIM_FRAMES = 24;
const TEST_USER = pageUserNumber("test");
const FOREIGN_TAG = 0x3333_0000;

/** Contents of a page that is mapped over `gfn`. */
function remapContents(gfn: Gfn): Uint8Array {
  return new Uint8Array(new Int32Array(PAGE_SIZE / 4).fill(remapTag(gfn)).buffer);
}

/** Makes the changes; gets the frames that become free at once, and looks for late writes to them. */
export class PageMangler {
  readonly counts: Record<string, number> = {};
  readonly addedShared = 0;
  readonly addedOwn = 0;
  readonly #host: HostMemory;
  readonly #guest: GuestMemory;
  readonly #draws: Draws;
  readonly #victim: Victim;
  readonly #changes: readonly (readonly [name: string, change: () => string | void])[] = [
    ["remap", () => this.#remap()],
    ["discard", () => void this.#host.discardPages(...this.#range())],
    ["discard without sleep", () => this.#discardWithoutSleep()],
    ["move", () => void this.#host.moveFrames(this.#some())],
    ["move", () => void this.#host.moveFrames(this.#some())],
    ["swap out", () => void this.#host.swapOut(this.#some())],
    ["merge", () => void this.#host.mergeEqualPages()],
    ["offline", () => this.#offline()],
    ["replace memslot", () => this.#replaceSlot()],
    ["move memslot", () => this.#moveSlot(LOSSY_SLOT, LOSSY_BASE, ELSEWHERE)],
    ["move memslot of counters", () => this.#moveSlot(KEPT_SLOT, KEPT_BASE, KEPT_ELSEWHERE)],
    ["pin", () => this.#pin()],
  ];

  constructor(host: HostMemory, { index, seed }: StressJob) {
    this.#host = host;
    this.#guest = new GuestMemory(host);
    this.#draws = new Draws(seed);
    this.#victim = new Victim(host, index);
  }

  step(): void {
    const [name, change] = this.#changes[this.#draws.below(this.#changes.length)]!;
    const outcome = change();
    tally(this.counts, outcome === undefined ? name : `${name}: ${outcome}`);
    for (let frame = this.#draws.below(8); frame > 0; frame--) this.#victim.takeOne(VICTIM_FRAMES);
    this.#victim.check();
  }

  end(): void {
    this.#victim.releaseAll();
    this.counts["frames given to the victim"] = this.#victim.taken;
  }

  /** A run of pages whose contents may go. */
  #range(): [Gfn, number] {
    const first = this.#draws.below(LOSSY_PAGES);
    return [gfnOf(LOSSY_BASE + first), 1 + this.#draws.below(LOSSY_PAGES - first)];
  }

  /** Some pages of both memslots, some twice. */
  #some(): Gfn[] {
    const count = 1 + this.#draws.below(24);
    return Array.from({ length: count }, () => (this.#draws.below(2) === 0
      ? gfnOf(LOSSY_BASE + this.#draws.below(LOSSY_PAGES)) : gfnOf(KEPT_BASE + this.#draws.below(KEPT_PAGES))));
  }

  #remap(): string | void {
    const [first, count] = this.#range();
    const pages = Array.from({ length: Math.min(count, 8) }, (_, page) => remapContents(gfnOf(first + page)));
    if (!this.#host.remapPages(first, pages)) return "no frames";
  }

  #discardWithoutSleep(): string | void {
    if (this.#host.discardPages(...this.#range(), { mustNotSleep: true }) === "would-block") return "would block";
  }

  #offline(): string {
    const blocks = this.#host.statistics().blocks;
    const { index } = blocks[this.#draws.below(blocks.length)]!;
    const outcome = this.#host.offlineBlock(index);
    if (outcome.result === "refused") return outcome.reason;
    this.#host.onlineBlock(index);
    return "done";
  }

  /** The memslot goes, another gets its host-virtual pages, is filled and checked, goes, and the first is back. */
  #replaceSlot(): void {
    this.#host.removeMemslot(LOSSY_SLOT);
    this.#host.addMemslot({ id: FOREIGN_SLOT, baseGfn: FOREIGN_BASE, pageCount: LOSSY_PAGES });
    const gfns = Array.from({ length: 6 }, () => gfnOf(FOREIGN_BASE + this.#draws.below(LOSSY_PAGES)));
    const at = (gfn: Gfn, offset: number): ReturnType<typeof gpaOfGfn> => gpaOfGfn(gfn, offset);
    for (const gfn of gfns) for (const offset of CHECKED_OFFSETS) this.#guest.writeU32(at(gfn, offset), FOREIGN_TAG);
    for (const gfn of gfns) {
      for (const offset of CHECKED_OFFSETS) {
        const word = this.#guest.readU32(at(gfn, offset));
        if (word !== FOREIGN_TAG && word !== undefined) throw new Error(`a page of a new memslot holds 0x${word.toString(16)}, written by the users of another`);
      }
    }
    this.#host.removeMemslot(FOREIGN_SLOT);
    this.#host.addMemslot({ id: LOSSY_SLOT, baseGfn: LOSSY_BASE, pageCount: LOSSY_PAGES });
  }

  #moveSlot(id: number, home: Gfn, away: Gfn): void {
    this.#host.moveMemslot(id, away);
    this.#host.moveMemslot(id, home);
  }

  /** Holds a reference for a while; the page must neither move nor go to the swap file meanwhile. */
  #pin(): string | void {
    const gfn = gfnOf(KEPT_BASE + this.#draws.below(KEPT_PAGES));
    const pfn = this.#host.tryPinFrame(gfn, TEST_USER);
    if (pfn === undefined) return "not present";
    const { moved } = this.#host.moveFrames([gfn]);
    const { swapped } = this.#host.swapOut([gfn]);
    const now = this.#settledPfn(gfn);
    this.#host.unpinFrame(pfn, TEST_USER);
    // Pages of this memslot are never discarded, so the page cannot have got another frame but by a move.
    if (moved !== 0 || swapped !== 0 || now !== pfn) throw new Error(`a page with a reference was moved: ${moved} moved, ${swapped} swapped, frame ${pfn} is ${now}`);
  }

  /**
   * The frame of a page behind whatever is going on with it: another thread's move cuts the ways to a page before it sees the reference
   * and gives the page back as it was. A page that did lose its frame gets another one here.
   */
  #settledPfn(gfn: Gfn): Pfn | undefined {
    let pfn: Pfn | undefined;
    while (pfn === undefined && this.#host.faultIn(gfn, true) === "mapped") pfn = this.#host.presentPfn(this.#host.findHvaPage(gfn));
    return pfn;
  }
}

/** Merges, reclaims, swaps and moves beside the mangler, which changes memslots meanwhile; has a victim of its own. */
export class PageHelper {
  readonly counts: Record<string, number> = {};
  readonly addedShared = 0;
  readonly addedOwn = 0;
  readonly #host: HostMemory;
  readonly #draws: Draws;
  readonly #victim: Victim;

  constructor(host: HostMemory, { index, seed }: StressJob) {
    this.#host = host;
    this.#draws = new Draws(seed);
    this.#victim = new Victim(host, index);
  }

  step(): void {
    // The mutation lock is not fair: leave it to the mangler for a while.
    waitWhile(this.#host.words, WORD_STOP, 0, 1);
    const gfns = Array.from({ length: 80 }, (_, page) => gfnOf(page < LOSSY_PAGES ? LOSSY_BASE + page : KEPT_BASE + page - LOSSY_PAGES));
    switch (this.#draws.below(5)) {
      case 0:
        return this.#done("merge", this.#host.mergeEqualPages().merged);
      case 1:
        return this.#done("reclaim", this.#host.reclaim(1 + this.#draws.below(80)).swapped);
      case 2:
        return this.#done("swap out", this.#host.swapOut(gfns).swapped);
      case 3:
        return this.#done("move", this.#host.moveFrames(gfns).moved);
      default:
        this.#victim.takeOne(4);
        return this.#done("victim", 1);
    }
  }

  end(): void {
    this.#victim.releaseAll();
  }

  #done(name: string, pages: number): void {
    tally(this.counts, name);
    this.counts[`${name}: pages`] = (this.counts[`${name}: pages`] ?? 0) + pages;
  }
}
