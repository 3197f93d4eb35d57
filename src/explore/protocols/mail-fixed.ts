/**
 * (d-fixed) The mail's protocol made whole: a domain of its own whose readers never sleep, and a refresh that honours invalidations.
 *
 *     refresher                 1 mutex   2 s = seq   3 look the frame up, take a reference (may sleep)   4 lock L
 *                               5 count not 0, or seq not s: unlock, drop, again   6 publish   7 unlock   8 drop the reference
 *     reader                    1 enter section   2 p = pointer   3 write *p   4 leave section
 *     host, start               1 count++   2 lock L, pointer = none, unlock   3 wait for open sections (spin, if it may not sleep)
 *     host, end                 4 seq++   5 count--
 *
 * Without step 5's test of the count (seq alone):
 *
 *     refresher                                 host
 *                                               start: count++, pointer = none, no section
 *     s = seq; looks frame 1 up
 *     seq = s: publishes frame 1
 *                                               clears the entry, frees frame 1; end: seq++
 *     enters a section, writes frame 1
 *     -> writes to a frame of somebody else's
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { all, eventIsSeen, hasNoLeak, isNeverNegative, isZeroAtEnd } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, add, load, lock, maySleep, noSleep, protocol, sleepUntil, spinLock, spinUntil, store, thread, unlock } from "./steps.js";

/** Protocol (d-fixed). */
export const MAIL_FIXED = protocol({
  name: "mail-fixed",
  says: "the mail's protocol with a reader domain of its own, count and sequence",
  expected: "holds",
  variants: {
    "remap": "holds",
    "two refreshers": "holds",
    "non-blockable": "holds",
    "no sequence check": "use-after-free",
    "no count check": "use-after-free",
    "no wait": "use-after-free",
    "pointer not cleared": "use-after-free",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const pointer = words.word("pointer");
  const section = words.word("section");
  const count = words.word("count");
  const seq = words.word("seq");
  const pointerLock = words.word("L");
  const mutex = words.word("refresh mutex");
  const delivered = words.word("delivered");
  // A look-up's reference makes a move back off; only where the page is mapped anew can a stale frame be published and then freed.
  const isRemap = variant === "remap" || variant.startsWith("no ");

  function* refresh(): Steps {
    yield lock(mutex);
    for (;;) {
      const before = yield load(seq);
      const frame = yield* page.lookUp();
      yield spinLock(pointerLock);
      const isActive = variant !== "no count check" && (yield load(count)) !== 0;
      const isStale = isActive || (variant !== "no sequence check" && (yield load(seq)) !== before);
      if (!isStale) yield store(pointer, frame);
      yield unlock(pointerLock);
      yield* page.put(frame);
      if (!isStale) break;
      yield sleepUntil(count, (active) => active === 0);
    }
    yield unlock(mutex);
  }
  function* reader(): Steps {
    for (;;) {
      yield add(section, 1);
      const frame = yield load(pointer);
      if (frame !== 0) yield* page.setEvent(frame);
      yield add(section, 1);
      if (frame !== 0) break;
      yield* refresh();
    }
    yield store(delivered, 1);
  }
  function* waitForSections(): Steps {
    const seen = yield load(section);
    const hasLeft = (now: number): boolean => now !== seen;
    if (seen % 2 === 1) yield variant === "non-blockable" ? spinUntil(section, hasLeft) : sleepUntil(section, hasLeft);
  }
  function* host(): Steps {
    if (variant === "non-blockable") yield noSleep();
    yield add(count, 1);
    yield spinLock(pointerLock);
    if (variant !== "pointer not cleared") yield store(pointer, 0);
    yield unlock(pointerLock);
    if (variant !== "no wait") yield* waitForSections();
    if (variant === "non-blockable") yield maySleep();
    if (isRemap) yield* page.remap();
    else yield* page.move();
    yield add(seq, 1);
    yield add(count, -1);
  }
  const threads = [thread("reader", reader), thread("host", host)];
  if (variant === "two refreshers") threads.push(thread("refresher 2", refresh));
  return {
    words: words.list, threads, framesAtStart: 2,
    invariant: isNeverNegative(count), atEnd: all(isRemap ? () => undefined : eventIsSeen(page, delivered), hasNoLeak(page), isZeroAtEnd(count)),
  };
}
