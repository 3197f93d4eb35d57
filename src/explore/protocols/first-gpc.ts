/**
 * (e) The first gfn_to_pfn_cache, Linux 5.17 and 5.18: a reader-writer lock and a valid flag, cleared by the notifier's start.
 *
 *     reader                    1 read_lock   2 valid?   3 write by khva   4 read_unlock
 *     refresher                 1 write_lock   2 valid = true (on speculation), khva = none   3 write_unlock
 *                               4 s = mmu seq   5 look the frame up, take a reference (may sleep)
 *                               6 mmu_lock: in_progress, or seq not s: again   7 write_lock, khva = frame, unlock; the cache keeps the reference
 *     host, start               1 count++   2 write_lock: valid = false   3 mmu_lock: in_progress++
 *     host, end                 4 mmu_lock: seq++, in_progress--   5 count--
 *
 * A reader on another vCPU's thread comes between 3 and 7 (B07b):                And in_progress rises only after the cache was looked at (B07):
 *
 *     refresher                          reader                                   host                                 refresher
 *     valid = true, khva = none                                                   count++; cache: valid = false
 *                                        valid: yes                                                                    looks frame 1 up
 *                                        writes *none                                                                  in_progress 0, seq same: valid
 *     -> a write through a null pointer                                           in_progress++; page = frame 2
 *                                                                                 -> the cache shows frame 1 for ever
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { all, hasNoLeak, isNeverNegative, landsInCurrentFrame } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, add, claim, load, lock, protocol, readLock, readUnlock, spinLock, spinUntil, store, thread, unlock, writeLock, writeUnlock } from "./steps.js";

/** Protocol (e); bugs B07, B07b and B09 in their first form. */
export const FIRST_GPC = protocol({
  name: "first-gpc",
  says: "gfn_to_pfn_cache of Linux 5.17: valid before it is looked up, in_progress raised after the cache was invalidated",
  expected: "claim",
  variants: {
    "valid last": "claim",
    "valid last, unpinned": "use-after-free",
    "valid last, unpinned, count tested": "holds",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const [valid, khva] = [words.word("valid"), words.word("khva")];
  const gpcLock = words.word("gpc->lock");
  const mmuLock = words.word("mmu_lock");
  const mutex = words.word("refresh mutex");
  const [count, inProgress, seq] = [words.word("count"), words.word("in_progress"), words.word("mmu seq")];
  const changed = words.word("remap returned");
  const isValidLast = variant.startsWith("valid last");
  const isUnpinned = variant.includes("unpinned");
  const testsCount = variant.includes("count tested");

  function* refresh(): Steps {
    yield lock(mutex);
    yield writeLock(gpcLock);
    const old = yield load(khva);
    yield store(valid, isValidLast ? 0 : 1);
    if (!isValidLast) yield store(khva, 0);
    yield writeUnlock(gpcLock);
    let frame = 0;
    for (let isStale = true; isStale;) {
      const before = yield load(seq);
      frame = yield* page.lookUp();
      yield testsCount ? writeLock(gpcLock) : spinLock(mmuLock);
      isStale = (yield load(testsCount ? count : inProgress)) !== 0 || (yield load(seq)) !== before;
      if (testsCount && !isStale) yield store(valid, 1);
      if (testsCount && !isStale) yield store(khva, frame);
      yield testsCount ? writeUnlock(gpcLock) : unlock(mmuLock);
      if (isStale) yield* page.put(frame);
      if (isStale) yield spinUntil(testsCount ? count : inProgress, (active) => active === 0);
    }
    if (!testsCount) {
      yield writeLock(gpcLock);
      yield store(khva, frame);
      if (isValidLast) yield store(valid, 1);
      yield writeUnlock(gpcLock);
    }
    if (isUnpinned) yield* page.put(frame);
    else if (old !== 0) yield* page.put(old);
    yield unlock(mutex);
  }
  function* reader(): Steps {
    const began = yield load(changed);
    yield readLock(gpcLock);
    const isValid = (yield load(valid)) === 1;
    if (isValid) {
      const frame = yield load(khva);
      yield claim(frame !== 0, "a valid cache shows no frame: a write through a null pointer");
      if (frame !== 0) yield* page.setEvent(frame);
      yield landsInCurrentFrame(began, frame, 2);
    }
    yield readUnlock(gpcLock);
  }
  function* host(): Steps {
    yield add(count, 1);
    yield writeLock(gpcLock);
    yield store(valid, 0);
    yield writeUnlock(gpcLock);
    yield spinLock(mmuLock);
    yield add(inProgress, 1);
    yield unlock(mmuLock);
    yield* page.remap();
    yield spinLock(mmuLock);
    yield add(seq, 1);
    yield add(inProgress, -1);
    yield unlock(mmuLock);
    yield add(count, -1);
    yield store(changed, 1);
  }
  return {
    words: words.list, framesAtStart: 2, invariant: isNeverNegative(count, inProgress), atEnd: isUnpinned ? all(hasNoLeak(page)) : () => undefined,
    threads: [thread("refresher", refresh), thread("reader", reader), thread("host", host)],
  };
}
