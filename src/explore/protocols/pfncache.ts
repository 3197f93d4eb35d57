/**
 * (f) Today's gfn_to_pfn_cache, Linux 5.19 to 6.12 (virt/kvm/pfncache.c), refresh against invalidation. Activation: pfncache-life.ts.
 *
 *     reader                    1 read_lock   2 valid?   3 write by khva   4 read_unlock                 not valid: refresh, again
 *     refresher                 1 refresh_lock (mutex)   2 write_lock   4 valid already: done   5 valid = false   6 s = seq   7 write_unlock
 *                               9 look the frame up for writing, take a reference (may sleep)   11 write_lock
 *                               12 count not 0: 6; seq not s: 6   13 khva, valid = true   14 drop the reference   15 write_unlock, mutex
 *     host, start               1 count++   2 read_lock, valid? write_lock, valid still? valid = false   4 mmu_lock: in_progress++
 *     host, end                 1 mmu_lock: seq++ (only if a memslot is hit!), in_progress--   2 count--
 *
 * A cache of an HVA that lies in no memslot (f1, B37): nobody bumps seq for it.
 *
 *     host                                      refresher
 *     count 0 -> 1; cache not valid: skip
 *                                               s = seq; looks frame 1 up, takes a reference
 *     clears the entry; end: no memslot, seq stays; count 0
 *                                               count 0, seq = s: valid, frame 1; drops the reference: frame 1 is freed
 *     -> the next reader writes to a frame of somebody else's
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { all, hasNoLeak, isNeverNegative, isZeroAtEnd, landsInCurrentFrame } from "./invariants.js";
import type { Steps } from "./steps.js";
import {
  Words, add, claim, load, lock, maySleep, noSleep, protocol, readLock, readUnlock, spinUntil, store, thread, unlock, writeLock, writeUnlock,
} from "./steps.js";

/** Protocol (f), refresh side, with the faults that are one step away from it. */
export const PFNCACHE = protocol({
  name: "pfncache",
  says: "today's pfncache: count raised before the cache is looked at, dropped after the sequence is bumped, tested in that order",
  expected: "holds",
  variants: {
    "valid at start": "holds",
    "non-blockable": "holds",
    "two refreshers": "holds",
    "hva outside memslots": "use-after-free",
    "hva outside memslots, own sequence": "holds",
    "no sequence check": "use-after-free",
    "in_progress instead of count": "use-after-free",
    "sequence sampled after look-up": "use-after-free",
    "sequence tested before count": "use-after-free",
    "count dropped before sequence": "use-after-free",
    "scan before count": "use-after-free",
    "lock without clearing": "use-after-free",
    "cleared in end": "use-after-free",
    "valid not re-tested": "holds",
    "valid before look-up": "use-after-free",
    "reader leaves before it writes": "use-after-free",
    "reference kept": "end",
    "reference dropped before publishing": "holds",
    "storm": "claim",
  },
  create,
});

const STORM_ROUNDS = 3;

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const startsValid = ["valid at start", "lock without clearing", "cleared in end", "non-blockable", "reader leaves before it writes"].includes(variant);
  const [valid, khva] = [words.word("valid", startsValid ? 1 : 0), words.word("khva", 1)];
  const [gpcLock, mutex] = [words.word("gpc->lock"), words.word("refresh_lock")];
  const [count, inProgress, seq] = [words.word("count"), words.word("in_progress"), words.word("seq")];
  const changed = words.word("change returned");
  const isInSlot = variant !== "hva outside memslots";

  /** Steps 9 to 14, once; whether the frame is published. */
  function* tryPublish(sampled: number): Steps<boolean> {
    const frame = yield* page.lookUp();
    const before = variant === "sequence sampled after look-up" ? yield load(seq) : sampled;
    if (variant === "reference dropped before publishing") yield* page.put(frame);
    yield writeLock(gpcLock);
    const isStale = yield* mustRetry(before);
    if (!isStale) {
      yield store(khva, frame);
      yield store(valid, 1);
    }
    yield writeUnlock(gpcLock);
    if (variant !== "reference dropped before publishing" && !(variant === "reference kept" && !isStale)) yield* page.put(frame);
    return !isStale;
  }
  /** mmu_notifier_retry_cache: count, then sequence. */
  function* mustRetry(before: number): Steps<boolean> {
    if (variant === "sequence tested before count") return (yield load(seq)) !== before || (yield load(count)) !== 0;
    const active = yield load(variant === "in_progress instead of count" ? inProgress : count);
    return active !== 0 || (variant !== "no sequence check" && (yield load(seq)) !== before);
  }
  function* refresh(): Steps {
    yield lock(mutex);
    yield writeLock(gpcLock);
    const isDone = (yield load(valid)) === 1;
    if (!isDone) yield store(valid, variant === "valid before look-up" ? 1 : 0);
    yield writeUnlock(gpcLock);
    for (let rounds = 1; !isDone && rounds <= STORM_ROUNDS && !(yield* tryPublish(yield load(seq))); rounds++) {
      if (variant === "storm") yield claim(rounds < STORM_ROUNDS, "I14: looked up in vain again and again, although nothing happened to this page");
      else yield spinUntil(count, (active) => active === 0);
    }
    yield unlock(mutex);
  }
  function* write(): Steps<boolean> {
    const began = yield load(changed);
    yield readLock(gpcLock);
    const isValid = (yield load(valid)) === 1;
    if (variant === "reader leaves before it writes") yield readUnlock(gpcLock);
    if (isValid) {
      const frame = yield load(khva);
      yield* page.setEvent(frame);
      yield landsInCurrentFrame(began, frame, 2);
    }
    if (variant !== "reader leaves before it writes") yield readUnlock(gpcLock);
    return isValid;
  }
  function* user(): Steps {
    for (let tries = 0; tries <= STORM_ROUNDS && !(yield* write()); tries++) yield* refresh();
  }
  function* start(): Steps {
    if (variant !== "scan before count") yield add(count, 1);
    if (variant !== "cleared in end") yield* invalidateCaches();
    if (variant === "scan before count") yield add(count, 1);
    if (isInSlot) yield add(inProgress, 1);
  }
  function* invalidateCaches(): Steps {
    yield readLock(gpcLock);
    const isValid = (yield load(valid)) === 1;
    yield readUnlock(gpcLock);
    if (!isValid) return;
    yield writeLock(gpcLock);
    const isStill = variant === "valid not re-tested" || (yield load(valid)) === 1;
    if (isStill && variant !== "lock without clearing") yield store(valid, 0);
    yield writeUnlock(gpcLock);
  }
  function* end(): Steps {
    if (variant === "cleared in end") yield* invalidateCaches();
    if (variant === "count dropped before sequence") yield add(count, -1);
    if (isInSlot) yield add(seq, 1);
    if (isInSlot) yield add(inProgress, -1);
    if (variant !== "count dropped before sequence") yield add(count, -1);
  }
  function* host(): Steps {
    if (variant === "non-blockable") yield noSleep();
    yield* start();
    yield* page.remap();
    yield* end();
    if (variant === "non-blockable") yield maySleep();
    yield store(changed, 1);
  }
  /** Invalidations of other pages of the VM, one upon the other: the count is theirs, too. */
  function* storm(): Steps {
    for (let round = 0; round < STORM_ROUNDS; round++) {
      yield add(count, 1);
      yield add(count, -1);
    }
  }
  const threads = [thread("user", user)];
  if (variant === "storm") threads.push(thread("storm", storm));
  else threads.push(thread("host", host));
  if (variant === "two refreshers") threads.push(thread("refresher 2", refresh));
  if (variant === "valid before look-up") threads.push(thread("reader 2", function* () { yield* write(); }));
  return {
    words: words.list, threads, framesAtStart: 2,
    invariant: isNeverNegative(count, inProgress), atEnd: variant === "storm" ? () => undefined : all(hasNoLeak(page), isZeroAtEnd(count, inProgress)),
  };
}
