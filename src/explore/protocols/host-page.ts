/**
 * The host's side of one page: its entry in the host's page table, the references to its frames, and the bytes in them.
 *
 * Entry and references are one word, because the kernel changes them under one page-table lock: a look-up finds the frame and takes a
 * reference in one step, or finds none. The bytes that matter are one word a frame.
 *
 *     word = frame of the entry (0 = none, or a migration entry) | references to frame 1 << 4 | to frame 2 << 8 | to frame 3 << 12
 */
import type { Cell, ModelView } from "../model.js";
import type { Steps, Words } from "./steps.js";
import { free, load, sleepUntil, store, update, useWrite, setBits } from "./steps.js";

const FRAME_MASK = 0xf;
const unit = (frame: number): number => 1 << (4 * frame);

/** Frame in the entry of a page word; 0 = none. */
export const frameOf = (word: number): number => word & FRAME_MASK;
/** References to a frame in a page word. */
export const referencesOf = (word: number, frame: number): number => (word >>> (4 * frame)) & FRAME_MASK;

/** The bit that readers set in a page's bytes. */
export const EVENT = 1;

/** One page of the VMM's address space; mapped to frame 1 at the start. A scenario allocates `framesAtStart` frames: 1 old, 2 new. */
export class HostPage {
  readonly word: Cell;
  readonly #bytes: readonly Cell[];

  constructor(words: Words, frame = 1, name = "pte+refs") {
    this.word = words.word(name, frame | unit(frame));
    this.#bytes = [1, 2].map((number) => words.word(`bytes of frame ${number}`));
  }

  /** Looks the frame up and takes a reference. Sleeps while there is none, as a fault on a migration entry does. */
  *lookUp(): Steps<number> {
    for (;;) {
      yield sleepUntil(this.word, (word) => frameOf(word) !== 0);
      const word = yield update(this.word, (value) => (frameOf(value) === 0 ? value : value + unit(frameOf(value))));
      if (frameOf(word) !== 0) return frameOf(word);
    }
  }

  /** Looks the frame up, with a reference, without sleeping; 0 = it has none now. */
  *tryLookUp(): Steps<number> {
    return frameOf(yield update(this.word, (value) => (frameOf(value) === 0 ? value : value + unit(frameOf(value)))));
  }

  /** Drops a reference; the last one frees the frame, at once to be had by somebody else. */
  *put(frame: number): Steps {
    const word = yield update(this.word, (value) => value - unit(frame));
    if (referencesOf(word, frame) === 1) yield free(frame);
  }

  /** Clears the entry and flushes the processors' own TLBs. The frame it had keeps the mapping's reference. */
  *clearEntry(): Steps<number> {
    return frameOf(yield update(this.word, (value) => value & ~FRAME_MASK));
  }

  /** Gives the page frame 2, with the mapping's reference. */
  *mapNew(frame = 2): Steps {
    yield update(this.word, (value) => (value & ~FRAME_MASK) + frame + unit(frame));
  }

  /** munmap and mmap at the same address, or MADV_DONTNEED and a fault: the old frame is free before the new one is there. */
  *remap(): Steps {
    yield* this.put(yield* this.clearEntry());
    yield* this.mapNew();
  }

  /** Migration: entry away, references as expected?, copy, new entry. False = -EAGAIN, everything is as it was. */
  *move(): Steps<boolean> {
    const frame = yield* this.clearEntry();
    if (referencesOf(yield load(this.word), frame) !== 1) {
      yield update(this.word, (value) => value | frame);
      return false;
    }
    yield store(this.#bytes[1]!, yield load(this.#bytes[0]!));
    yield* this.mapNew();
    yield* this.put(frame);
    return true;
  }

  /** What all of this is for: an event bit is set in a frame, by its kernel address. */
  *setEvent(frame: number): Steps {
    yield useWrite(frame);
    yield setBits(this.#bytes[frame - 1]!, EVENT);
  }

  /** At the end: whether the page, as the guest sees it, has the event. */
  hasEvent(view: ModelView): boolean {
    return (view.value(this.#bytes[frameOf(view.value(this.word)) - 1]!) & EVENT) !== 0;
  }

  /** At the end: references that are not the entry's (I6); a text for the first. */
  leakAt(view: ModelView): string | undefined {
    const word = view.value(this.word);
    const extra = [1, 2].find((frame) => referencesOf(word, frame) !== (frameOf(word) === frame ? 1 : 0));
    if (extra === undefined) return undefined;
    return `I6: frame ${extra} has ${referencesOf(word, extra)} references, the page table has ${frameOf(word) === extra ? 1 : 0}`;
  }
}
