/**
 * Somebody who gets the frames that others gave back, at once: the pool hands out first what was freed last. It fills them with a
 * pattern of its own, and looks after a while whether the pattern is still there. A late write by a former user is found so.
 */
import { hvaPageOf } from "../../abi/address.js";
import type { Pfn } from "../../abi/address.js";
import type { HostMemory } from "../../host-memory/index.js";

const PAGE_WORDS = 1024;
/** Owner that no memslot has. */
const VICTIM = hvaPageOf(1);

/** One thread's victim. */
export class Victim {
  readonly #host: HostMemory;
  readonly #frames: { readonly pfn: Pfn; readonly salt: number }[] = [];
  #salt: number;
  taken = 0;

  /** `identity` makes the patterns of several victims different. */
  constructor(host: HostMemory, identity: number) {
    this.#host = host;
    this.#salt = identity << 24;
  }

  /** Frames held now. */
  get frames(): readonly Pfn[] {
    return this.#frames.map(({ pfn }) => pfn);
  }

  /** Takes a frame, fills it; lets go of the oldest, checked, when there are more than `countMax`. */
  takeOne(countMax: number): void {
    const pfn = this.#host.pool.allocateUncleared(VICTIM, "beyond-limit");
    if (pfn !== undefined) {
      const salt = (this.#salt = (this.#salt + PAGE_WORDS) | 0);
      const first = pfn * PAGE_WORDS;
      for (let word = 0; word < PAGE_WORDS; word++) this.#host.words[first + word] = ~(salt + word);
      this.#frames.push({ pfn, salt });
      this.taken++;
    }
    while (this.#frames.length > countMax) this.#checkAndRelease();
  }

  /** Checks all frames without letting go of them. Throws an Error when one was written to. */
  check(): void {
    for (const { pfn, salt } of this.#frames) this.#checkFrame(pfn, salt);
  }

  /** Checks all frames and gives them back. */
  releaseAll(): void {
    while (this.#frames.length > 0) this.#checkAndRelease();
  }

  #checkAndRelease(): void {
    const { pfn, salt } = this.#frames.shift()!;
    this.#checkFrame(pfn, salt);
    this.#host.pool.release([pfn]);
  }

  #checkFrame(pfn: Pfn, salt: number): void {
    const first = pfn * PAGE_WORDS;
    for (let word = 0; word < PAGE_WORDS; word++) {
      const found = this.#host.words[first + word]!;
      if (found !== ~(salt + word)) {
        throw new Error(`victim: word ${word} of frame ${pfn} is 0x${(found >>> 0).toString(16)}: a write after the frame was freed`);
      }
    }
  }
}

/** Whether a word could be part of a victim's pattern or of what somebody made of it, rather than a small count or a test's tag. */
export function looksLikePattern(value: number): boolean {
  return (value >>> 0) > 0x7fff_ffff;
}
