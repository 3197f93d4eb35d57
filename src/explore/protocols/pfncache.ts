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
import type { Cell, Scenario } from "../model.js";
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
const STARTS_VALID = ["valid at start", "lock without clearing", "cleared in end", "non-blockable", "reader leaves before it writes"];

function create(variant = ""): Scenario {
  return new Pfncache(variant).scenario();
}

/** Words and threads of one execution. */
class Pfncache {
  readonly variant: string;
  readonly words = new Words();
  readonly page = new HostPage(this.words);
  readonly valid: Cell;
  readonly khva = this.words.word("khva", 1);
  readonly gpcLock = this.words.word("gpc->lock");
  readonly mutex = this.words.word("refresh_lock");
  readonly count = this.words.word("count");
  readonly inProgress = this.words.word("in_progress");
  readonly seq = this.words.word("seq");
  readonly changed = this.words.word("change returned");
  readonly isInSlot: boolean;

  constructor(variant: string) {
    this.variant = variant;
    this.valid = this.words.word("valid", STARTS_VALID.includes(variant) ? 1 : 0);
    this.isInSlot = this.variant !== "hva outside memslots";
  }

  scenario(): Scenario {
    const threads = [thread("user", () => this.user())];
    if (this.variant === "storm") threads.push(thread("storm", () => this.storm()));
    else threads.push(thread("host", () => this.host()));
    if (this.variant === "two refreshers") threads.push(thread("refresher 2", () => this.refresh()));
    if (this.variant === "valid before look-up") threads.push(thread("reader 2", () => this.writeOnce()));
    const atEnd = this.variant === "storm" ? (): undefined => undefined : all(hasNoLeak(this.page), isZeroAtEnd(this.count, this.inProgress));
    return {
      words: this.words.list, threads, framesAtStart: 2, atEnd,
      invariant: isNeverNegative(this.count, this.inProgress),
    };
  }

  /** Steps 9 to 14, once; whether the frame is published. */
  *tryPublish(sampled: number): Steps<boolean> {
    const frame = yield* this.page.lookUp();
    const before = this.variant === "sequence sampled after look-up" ? yield load(this.seq) : sampled;
    if (this.variant === "reference dropped before publishing") yield* this.page.put(frame);
    yield writeLock(this.gpcLock);
    const isStale = yield* this.mustRetry(before);
    if (!isStale) {
      yield store(this.khva, frame);
      yield store(this.valid, 1);
    }
    yield writeUnlock(this.gpcLock);
    if (this.variant !== "reference dropped before publishing" && !(this.variant === "reference kept" && !isStale)) yield* this.page.put(frame);
    return !isStale;
  }

  /** mmu_notifier_retry_cache: count, then sequence. */
  *mustRetry(before: number): Steps<boolean> {
    if (this.variant === "sequence tested before count") return (yield load(this.seq)) !== before || (yield load(this.count)) !== 0;
    const active = yield load(this.variant === "in_progress instead of count" ? this.inProgress : this.count);
    return active !== 0 || (this.variant !== "no sequence check" && (yield load(this.seq)) !== before);
  }

  *refresh(): Steps {
    yield lock(this.mutex);
    yield writeLock(this.gpcLock);
    const isDone = (yield load(this.valid)) === 1;
    if (!isDone) yield store(this.valid, this.variant === "valid before look-up" ? 1 : 0);
    yield writeUnlock(this.gpcLock);
    for (let rounds = 1; !isDone && rounds <= STORM_ROUNDS && !(yield* this.tryPublish(yield load(this.seq))); rounds++) {
      const says = "I14: looked up in vain again and again, although nothing happened to this page";
      if (this.variant === "storm") yield claim(rounds < STORM_ROUNDS, says);
      else yield spinUntil(this.count, (active) => active === 0);
    }
    yield unlock(this.mutex);
  }

  *write(): Steps<boolean> {
    const began = yield load(this.changed);
    yield readLock(this.gpcLock);
    const isValid = (yield load(this.valid)) === 1;
    if (this.variant === "reader leaves before it writes") yield readUnlock(this.gpcLock);
    if (isValid) {
      const frame = yield load(this.khva);
      yield* this.page.setEvent(frame);
      yield landsInCurrentFrame(began, frame, 2);
    }
    if (this.variant !== "reader leaves before it writes") yield readUnlock(this.gpcLock);
    return isValid;
  }

  *writeOnce(): Steps {
    yield* this.write();
  }

  *user(): Steps {
    for (let tries = 0; tries <= STORM_ROUNDS && !(yield* this.write()); tries++) yield* this.refresh();
  }

  *start(): Steps {
    if (this.variant !== "scan before count") yield add(this.count, 1);
    if (this.variant !== "cleared in end") yield* this.invalidateCaches();
    if (this.variant === "scan before count") yield add(this.count, 1);
    if (this.isInSlot) yield add(this.inProgress, 1);
  }

  *invalidateCaches(): Steps {
    yield readLock(this.gpcLock);
    const isValid = (yield load(this.valid)) === 1;
    yield readUnlock(this.gpcLock);
    if (!isValid) return;
    yield writeLock(this.gpcLock);
    const isStill = this.variant === "valid not re-tested" || (yield load(this.valid)) === 1;
    if (isStill && this.variant !== "lock without clearing") yield store(this.valid, 0);
    yield writeUnlock(this.gpcLock);
  }

  *end(): Steps {
    if (this.variant === "cleared in end") yield* this.invalidateCaches();
    if (this.variant === "count dropped before sequence") yield add(this.count, -1);
    if (this.isInSlot) yield add(this.seq, 1);
    if (this.isInSlot) yield add(this.inProgress, -1);
    if (this.variant !== "count dropped before sequence") yield add(this.count, -1);
  }

  *host(): Steps {
    if (this.variant === "non-blockable") yield noSleep();
    yield* this.start();
    yield* this.page.remap();
    yield* this.end();
    if (this.variant === "non-blockable") yield maySleep();
    yield store(this.changed, 1);
  }

  /** Invalidations of other pages of the VM, one upon the other: the count is theirs, too. */
  *storm(): Steps {
    for (let round = 0; round < STORM_ROUNDS; round++) {
      yield add(this.count, 1);
      yield add(this.count, -1);
    }
  }
}
