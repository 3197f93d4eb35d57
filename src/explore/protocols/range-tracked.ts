/**
 * (m) Retry by range, with a look at each cache before its lock is taken: proposed in October 2024, never merged.
 *
 *     refresher                 1 write_lock: valid = false; s = seq; unlock   2 look the frame up (may sleep)   3 write_lock
 *                               4 valid = true   5 full barrier   6 a range in flight covers the page, or seq not s: valid = false, again
 *     host, start               1 lock: range, count++; unlock   2 full barrier   3 valid? (no lock) no: skip
 *                               4 write_lock: valid = false; unlock
 *     host, end                 5 seq++   6 count--
 *
 * Each side writes, then reads what the other writes. Without either barrier, on a processor that delays stores:
 *
 *     refresher                                 host
 *     valid = true (delayed)                    count = 1 (delayed)
 *     count: 0                                  valid: 0, skip
 *     both stores arrive
 *     -> a valid cache of a frame that is being freed
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { hasNoLeak } from "./invariants.js";
import type { Steps } from "./steps.js";
import {
  Words, add, fence, load, readOnce, writeOnce, protocol, readLock, readUnlock, spinUntil, store, thread, useWrite, writeLock, writeUnlock,
} from "./steps.js";

/** Protocol (m). Needs a memory model that delays plain stores (TSO) to show its faults. */
export const RANGE_TRACKED = protocol({
  name: "range-tracked",
  says: "valid and range are written and read crosswise, with a full barrier on both sides",
  expected: "holds",
  isTso: true,
  variants: { "no barrier in refresh": "use-after-free", "no barrier in start": "use-after-free", "range behind count": "use-after-free" },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const [valid, khva, gpcLock] = [words.word("valid"), words.word("khva", 1), words.word("gpc->lock")];
  const [range, count, seq] = [words.word("range"), words.word("count"), words.word("seq")];

  function* refresh(): Steps {
    for (;;) {
      const before = yield load(seq);
      const frame = yield* page.lookUp();
      yield writeLock(gpcLock);
      yield writeOnce(khva, frame);
      yield writeOnce(valid, 1);
      if (variant !== "no barrier in refresh") yield fence();
      const isCovered = (yield readOnce(count)) !== 0 && (yield readOnce(range)) === 1;
      const isStale = isCovered || (yield readOnce(seq)) !== before;
      if (isStale) yield writeOnce(valid, 0);
      yield writeUnlock(gpcLock);
      yield* page.put(frame);
      if (!isStale) return;
      yield spinUntil(count, (active) => active === 0);
    }
  }
  function* write(): Steps<boolean> {
    yield readLock(gpcLock);
    const isValid = (yield readOnce(valid)) === 1;
    if (isValid) yield useWrite(yield readOnce(khva));
    yield readUnlock(gpcLock);
    return isValid;
  }
  function* user(): Steps {
    while (!(yield* write())) yield* refresh();
  }
  function* host(): Steps {
    if (variant !== "range behind count") yield writeOnce(range, 1);
    yield writeOnce(count, 1);
    if (variant !== "no barrier in start") yield fence();
    if ((yield readOnce(valid)) === 1) {
      yield writeLock(gpcLock);
      yield store(valid, 0);
      yield writeUnlock(gpcLock);
    }
    if (variant === "range behind count") yield writeOnce(range, 1);
    yield* page.remap();
    yield add(seq, 1);
    yield store(count, 0);
  }
  return { words: words.list, framesAtStart: 2, threads: [thread("user", user), thread("host", host)], atEnd: hasNoLeak(page) };
}
