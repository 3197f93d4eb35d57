/**
 * Ours: a page comes back from swap while it is discarded (src/host-memory/page-faults.ts, discarding.ts).
 *
 *     fault                                     discard
 *     1 MMU lock: SWAPPED? a frame, BUSY        1 mutation lock, active++, sequence++
 *     2 read the slot into the frame            2 MMU lock: BUSY? unlock, wait (or pass over, if it may not sleep)
 *     3 MMU lock: PRESENT; unlock                 SWAPPED or PRESENT: ABSENT, take what it had; unlock
 *     4 give the slot back, wake                3 sequence++, active--; give slot and frame back
 *
 * A swap slot is a "frame" of the model: it is given back once, and not read after that. BUSY not respected:
 *
 *     fault                                     discard
 *     SWAPPED: BUSY
 *                                               takes the slot of the entry, ABSENT; gives the slot back
 *     reads the slot
 *     -> somebody else's bytes
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import {
  Words, add, allocate, free, load, lock, maySleep, noSleep, protocol, sleepUntil, spinLock, store, thread, tryLock, unlock, use, useWrite,
} from "../steps.js";

const [ABSENT, SWAPPED, BUSY] = [0, 14, 15];
/** The slot's number as a frame of the model. */
const SLOT = 1;

/** The shipped swap-in against discards. */
export const OUR_SWAP_IN = protocol({
  name: "our-swap-in",
  says: "a page is read back from swap while it is discarded",
  expected: "holds",
  variants: {
    "two faults": "holds",
    "non-blockable": "holds",
    "claimed without the lock": "use-after-free",
    "busy not respected": "use-after-free",
    "waits with the mmu lock held": "deadlock",
    "non-blockable waits": "sleep-in-no-sleep",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const [entry, mmuLock, mutationLock] = [words.word("hva entry", SWAPPED), words.word("mmu lock"), words.word("mutation lock")];
  const [active, sequence] = [words.word("active"), words.word("sequence")];
  const mustNotSleep = variant.startsWith("non-blockable");

  /** Returns a frame for the contents, undefined if the page is not swapped. */
  function* claimSwapped(): Steps<number | undefined> {
    const takesLock = variant !== "claimed without the lock";
    if (takesLock) yield spinLock(mmuLock);
    const isSwapped = (yield load(entry)) === SWAPPED;
    const frame = isSwapped ? yield allocate() : undefined;
    if (isSwapped) yield store(entry, BUSY);
    if (takesLock) yield unlock(mmuLock);
    return frame;
  }
  function* fault(): Steps {
    let frame: number | undefined;
    while (frame === undefined) {
      const state = yield load(entry);
      if (state === BUSY) yield sleepUntil(entry, (now) => now !== BUSY);
      else if (state !== SWAPPED) return;
      else frame = yield* claimSwapped();
    }
    yield use(SLOT);
    yield useWrite(frame);
    yield spinLock(mmuLock);
    yield store(entry, frame);
    yield unlock(mmuLock);
    yield free(SLOT);
  }
  function* discard(): Steps {
    if (mustNotSleep) yield noSleep();
    const isLocked = mustNotSleep ? (yield tryLock(mutationLock)) === 1 : true;
    if (!mustNotSleep) yield lock(mutationLock);
    if (isLocked) yield* change();
    if (mustNotSleep) yield maySleep();
  }
  function* change(): Steps {
    yield add(active, 1);
    yield add(sequence, 1);
    const had = yield* cut();
    yield add(sequence, 1);
    yield add(active, -1);
    if (had === SWAPPED) yield free(SLOT);
    else if (had !== ABSENT && had !== BUSY) yield free(had);
    yield unlock(mutationLock);
  }
  /** cutChunk of one page. */
  function* cut(): Steps<number> {
    for (;;) {
      yield spinLock(mmuLock);
      const had = yield load(entry);
      const isBusy = had === BUSY && variant !== "busy not respected";
      if (!isBusy) yield store(entry, ABSENT);
      if (isBusy && variant === "waits with the mmu lock held") yield sleepUntil(entry, (now) => now !== BUSY);
      yield unlock(mmuLock);
      if (variant === "busy not respected" && had === BUSY) return SWAPPED;
      if (!isBusy || variant === "non-blockable") return had;
      yield sleepUntil(entry, (now) => now !== BUSY);
    }
  }
  const threads = [thread("fault", fault), thread("discard", discard)];
  if (variant === "two faults") threads.push(thread("fault 2", fault));
  return { words: words.list, threads, framesAtStart: 1, framesAtEnd: 1 };
}
