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
import {
  Words, add, claim, load, lock, protocol, readLock, readUnlock, spinLock, spinUntil, store, thread, unlock, writeLock, writeUnlock,
} from "./steps.js";

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
  return new FirstGpc(variant).scenario();
}

/** Words and threads of one execution. */
class FirstGpc {
  readonly variant: string;
  readonly words = new Words();
  readonly page = new HostPage(this.words);
  readonly valid = this.words.word("valid");
  readonly khva = this.words.word("khva");
  readonly gpcLock = this.words.word("gpc->lock");
  readonly mmuLock = this.words.word("mmu_lock");
  readonly mutex = this.words.word("refresh mutex");
  readonly count = this.words.word("count");
  readonly inProgress = this.words.word("in_progress");
  readonly seq = this.words.word("mmu seq");
  readonly changed = this.words.word("remap returned");
  readonly isValidLast: boolean;
  readonly isUnpinned: boolean;
  readonly testsCount: boolean;

  constructor(variant: string) {
    this.variant = variant;
    this.isValidLast = this.variant.startsWith("valid last");
    this.isUnpinned = this.variant.includes("unpinned");
    this.testsCount = this.variant.includes("count tested");
  }

  scenario(): Scenario {
    return {
      words: this.words.list, framesAtStart: 2, invariant: isNeverNegative(this.count, this.inProgress),
      // The cache that is not unpinned keeps its reference by design.
      atEnd: this.isUnpinned ? all(hasNoLeak(this.page)) : () => undefined,
      threads: [thread("refresher", () => this.refresh()), thread("reader", () => this.reader()), thread("host", () => this.host())],
    };
  }

  *refresh(): Steps {
    yield lock(this.mutex);
    yield writeLock(this.gpcLock);
    const old = yield load(this.khva);
    yield store(this.valid, this.isValidLast ? 0 : 1);
    if (!this.isValidLast) yield store(this.khva, 0);
    yield writeUnlock(this.gpcLock);
    let frame = 0;
    for (let isStale = true; isStale;) {
      const before = yield load(this.seq);
      frame = yield* this.page.lookUp();
      yield this.testsCount ? writeLock(this.gpcLock) : spinLock(this.mmuLock);
      isStale = (yield load(this.testsCount ? this.count : this.inProgress)) !== 0 || (yield load(this.seq)) !== before;
      if (this.testsCount && !isStale) yield store(this.valid, 1);
      if (this.testsCount && !isStale) yield store(this.khva, frame);
      yield this.testsCount ? writeUnlock(this.gpcLock) : unlock(this.mmuLock);
      if (isStale) yield* this.page.put(frame);
      if (isStale) yield spinUntil(this.testsCount ? this.count : this.inProgress, (active) => active === 0);
    }
    if (!this.testsCount) {
      yield writeLock(this.gpcLock);
      yield store(this.khva, frame);
      if (this.isValidLast) yield store(this.valid, 1);
      yield writeUnlock(this.gpcLock);
    }
    if (this.isUnpinned) yield* this.page.put(frame);
    else if (old !== 0) yield* this.page.put(old);
    yield unlock(this.mutex);
  }

  *reader(): Steps {
    const began = yield load(this.changed);
    yield readLock(this.gpcLock);
    const isValid = (yield load(this.valid)) === 1;
    if (isValid) {
      const frame = yield load(this.khva);
      yield claim(frame !== 0, "a valid cache shows no frame: a write through a null pointer");
      if (frame !== 0) yield* this.page.setEvent(frame);
      yield landsInCurrentFrame(began, frame, 2);
    }
    yield readUnlock(this.gpcLock);
  }

  *host(): Steps {
    yield add(this.count, 1);
    yield writeLock(this.gpcLock);
    yield store(this.valid, 0);
    yield writeUnlock(this.gpcLock);
    yield spinLock(this.mmuLock);
    yield add(this.inProgress, 1);
    yield unlock(this.mmuLock);
    yield* this.page.remap();
    yield spinLock(this.mmuLock);
    yield add(this.seq, 1);
    yield add(this.inProgress, -1);
    yield unlock(this.mmuLock);
    yield add(this.count, -1);
    yield store(this.changed, 1);
  }
}
