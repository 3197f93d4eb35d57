/**
 * (k) The sentinel pointer of October 2021, never merged (B12).
 *
 *     refresher                 1 write_lock: ptr = MAPPING; unlock   2 look the frame up, pinned (may sleep)
 *                               3 write_lock: ptr still MAPPING? ptr = frame, otherwise again; unlock
 *     host, start               1 write_lock: ptr = none; unlock                (under mmu_lock)
 *
 * An invalidation that began before step 1 leaves no trace for step 3:
 *
 *     host                                      refresher
 *     start: ptr = none
 *                                               ptr = MAPPING; looks frame 1 up, pins it
 *     page = frame 2
 *                                               still MAPPING: ptr = frame 1
 *     -> pinned, so not freed; but the guest is on frame 2 and sees no event any more
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { landsInCurrentFrame } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, load, protocol, readLock, readUnlock, store, thread, writeLock, writeUnlock } from "./steps.js";

const MAPPING = 9;

/** Protocol (k). */
export const SENTINEL = protocol({
  name: "sentinel",
  says: "a sentinel in the pointer finds invalidations that begin during the look-up, and no others",
  expected: "claim",
  variants: { "start after the sentinel only": "holds" },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const pointer = words.word("ptr", variant === "start after the sentinel only" ? MAPPING : 0);
  const ptrLock = words.word("ptr lock");
  const changed = words.word("remap returned");

  function* refresh(): Steps {
    for (let isFirst = true; ; isFirst = false) {
      yield writeLock(ptrLock);
      if (!(isFirst && variant === "start after the sentinel only")) yield store(pointer, MAPPING);
      yield writeUnlock(ptrLock);
      const frame = yield* page.lookUp();
      yield writeLock(ptrLock);
      const isOurs = (yield load(pointer)) === MAPPING;
      if (isOurs) yield store(pointer, frame);
      yield writeUnlock(ptrLock);
      if (isOurs) return;
      yield* page.put(frame);
      // A second round looks at a page table that has changed already, or whose change is under way: the same race again.
      if (variant === "start after the sentinel only") return;
    }
  }
  function* user(): Steps {
    yield* refresh();
    const began = yield load(changed);
    yield readLock(ptrLock);
    const frame = yield load(pointer);
    if (frame !== 0 && frame !== MAPPING) {
      yield* page.setEvent(frame);
      yield landsInCurrentFrame(began, frame, 2);
    }
    yield readUnlock(ptrLock);
  }
  function* host(): Steps {
    yield writeLock(ptrLock);
    yield store(pointer, 0);
    yield writeUnlock(ptrLock);
    yield* page.remap();
    yield store(changed, 1);
  }
  return { words: words.list, framesAtStart: 2, threads: [thread("user", user), thread("host", host)] };
}
