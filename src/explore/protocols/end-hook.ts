/**
 * (l) Invalidation in the end hook with a needs_invalidation flag, August 2024, never merged (B40).
 *
 *     refresher                 1 write_lock: valid = false, needs_invalidation = true; unlock   2 look the frame up (may sleep)
 *                               3 write_lock; wait until no range in flight covers the page   4 flag still set? publish : again
 *     host, start               1 lock: count++, range widened
 *     host, end                 2 for each cache in range: valid = false, flag = false   3 lock: count--, wake
 *
 * A cache that is valid when the invalidation starts stays usable until it ends:
 *
 *     host                                      reader
 *     start: count++
 *     clears the entry, frees frame 1
 *                                               valid: writes frame 1
 *     end: valid = false
 *     -> too late: frames are freed before the end hook runs
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { hasNoLeak } from "./invariants.js";
import type { Steps } from "./steps.js";
import {
  Words, add, load, protocol, readLock, readUnlock, sleepUntil, spinLock, store, thread, unlock, useWrite, writeLock, writeUnlock,
} from "./steps.js";

/** Protocol (l); the review's self-deadlock as a variant. */
export const END_HOOK = protocol({
  name: "end-hook",
  says: "caches are invalidated by the end hook: a valid one is used after its frame was freed",
  expected: "use-after-free",
  variants: {
    "not valid at start": "use-after-free",
    "invalidated in start alone": "use-after-free",
    "invalidated in start and end": "holds",
    "wait loop takes its lock again": "deadlock",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const [valid, khva] = [words.word("valid", variant === "not valid at start" ? 0 : 1), words.word("khva", 1)];
  const needs = words.word("needs_invalidation");
  const [gpcLock, mnLock, count] = [words.word("gpc->lock"), words.word("mn_invalidate_lock"), words.word("count")];

  function* refresh(): Steps {
    for (;;) {
      yield writeLock(gpcLock);
      yield store(valid, 0);
      yield store(needs, 1);
      yield writeUnlock(gpcLock);
      const frame = yield* page.lookUp();
      yield* waitForRange();
      yield writeLock(gpcLock);
      const isGood = (yield load(needs)) === 1 && (yield load(count)) === 0;
      if (isGood) yield store(khva, frame);
      if (isGood) yield store(valid, 1);
      yield writeUnlock(gpcLock);
      yield* page.put(frame);
      if (isGood) return;
    }
  }
  function* waitForRange(): Steps {
    yield spinLock(mnLock);
    while ((yield load(count)) !== 0) {
      yield unlock(mnLock);
      yield sleepUntil(count, (active) => active === 0);
      yield spinLock(mnLock);
      // The patch's `continue` went to the head of a loop that takes the lock.
      if (variant === "wait loop takes its lock again") yield spinLock(mnLock);
    }
    yield unlock(mnLock);
  }
  function* user(): Steps {
    for (;;) {
      yield readLock(gpcLock);
      const isValid = (yield load(valid)) === 1;
      if (isValid) yield useWrite(yield load(khva));
      yield readUnlock(gpcLock);
      if (isValid && variant !== "wait loop takes its lock again") return;
      yield* refresh();
      if (variant === "wait loop takes its lock again") return;
    }
  }
  function* invalidateCaches(): Steps {
    yield writeLock(gpcLock);
    if ((yield load(valid)) === 1 || (yield load(needs)) === 1) {
      yield store(valid, 0);
      yield store(needs, 0);
    }
    yield writeUnlock(gpcLock);
  }
  function* host(): Steps {
    yield spinLock(mnLock);
    yield add(count, 1);
    yield unlock(mnLock);
    if (variant.startsWith("invalidated in start") || variant === "wait loop takes its lock again") yield* invalidateCaches();
    yield* page.remap();
    if (variant !== "invalidated in start alone") yield* invalidateCaches();
    yield spinLock(mnLock);
    yield add(count, -1);
    yield unlock(mnLock);
  }
  return { words: words.list, framesAtStart: 2, threads: [thread("user", user), thread("host", host)], atEnd: hasNoLeak(page) };
}
