/**
 * (h) Collision and retry, as mmu_interval_notifier and page faults do it: one lock, one sequence, odd while an invalidation is active.
 *
 *     fault                     1 s = seq, wait while it is odd   2 look the frame up (may sleep)   3 lock
 *                               4 seq not s: unlock, again   5 install   6 unlock
 *     host, start               1 lock   2 seq odd   3 remove what is installed   4 unlock
 *     host, end                 5 seq even, wake
 *
 *     fault                                     host
 *     s = 0; looks frame 1 up
 *                                               lock; seq = 1; nothing is installed; unlock
 *     lock; (no test) installs frame 1
 *                                               clears the entry, frees frame 1
 *     -> the guest uses frame 1 by its second-level page table
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { hasNoLeak } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, add, load, lock, protocol, retry, sleepUntil, spinLock, store, thread, tryLock, unlock, useWrite } from "./steps.js";

/** Protocol (h). */
export const INTERVAL_RETRY = protocol({
  name: "interval-retry",
  says: "a look-up is installed under the lock of the invalidation, if no invalidation began since its sequence was read",
  expected: "holds",
  variants: { "no retry": "use-after-free", "does not wait while odd": "holds", "tried lock, given up": "use-after-free" },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const seq = words.word("seq");
  const installed = words.word("spte");
  const mmuLock = words.word("mmu_lock");

  function* fault(): Steps {
    for (;;) {
      if (variant !== "does not wait while odd") yield sleepUntil(seq, (value) => value % 2 === 0);
      const before = yield load(seq);
      const frame = yield* page.lookUp();
      yield spinLock(mmuLock);
      const isStale = variant !== "no retry" && (before % 2 === 1 || (yield load(seq)) !== before);
      if (!isStale) yield store(installed, frame);
      yield unlock(mmuLock);
      yield* page.put(frame);
      if (!isStale) return;
      if (variant === "does not wait while odd") yield retry("an invalidation is active");
    }
  }
  function* vcpu(): Steps {
    yield* fault();
    // The guest's access: its translation is dropped under the lock, with a flush that waits.
    yield spinLock(mmuLock);
    const frame = yield load(installed);
    if (frame !== 0) yield useWrite(frame);
    yield unlock(mmuLock);
  }
  function* host(): Steps {
    const isLocked = variant === "tried lock, given up" ? (yield tryLock(mmuLock)) === 1 : true;
    if (variant !== "tried lock, given up") yield lock(mmuLock);
    if (isLocked) {
      yield add(seq, 1);
      yield store(installed, 0);
      yield unlock(mmuLock);
    }
    yield* page.remap();
    if (isLocked) yield add(seq, 1);
  }
  return { words: words.list, framesAtStart: 2, threads: [thread("vCPU", vcpu), thread("host", host)], atEnd: hasNoLeak(page) };
}
