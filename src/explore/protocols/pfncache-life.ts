/**
 * (f) The life of a gfn_to_pfn_cache: activation, refresh and deactivation by different threads (Linux 6.9 and later).
 *
 *     activate                  1 refresh_lock   2 list_add under gpc_lock   3 write_lock: active = true, unlock   4 refresh   5 mutex
 *     refresh                   1 refresh_lock   2 write_lock, active? otherwise fail   5 valid = false, unlock
 *                               9 look the frame up   10 same frame as before: keep the map, otherwise map   13 publish   16 unmap the old
 *     deactivate                1 refresh_lock   2 write_lock: active = valid = false, khva = none, unlock   3 list_del   4 unmap   5 mutex
 *
 * A map is a "frame" of the model here: it is allocated by map, freed by unmap, and its use after that is an oops.
 *
 * Deactivation that does not take the mutex (B17):
 *
 *     refresh                                   deactivate
 *     valid = false; remembers the old map
 *     drops the lock to look the frame up
 *                                               active = valid = false; unmaps the old map
 *     same frame as before: the old map again, valid = true
 *     -> the next reader writes through a map that is gone
 */
import type { Scenario } from "../model.js";
import { activeIsListed, all, hasOffset, validIsActive } from "./invariants.js";
import type { Steps } from "./steps.js";
import {
  Words, allocate, claim, free, load, lock, protocol, readLock, readUnlock, store, thread, tryLock, unlock, useWrite, writeLock, writeUnlock,
} from "./steps.js";

/** Protocol (f), life of a cache; bugs B08, B15, B16, B17, B22 and B23 as variants. */
export const PFNCACHE_LIFE = protocol({
  name: "pfncache-life",
  says: "a cache is listed before it is active, and the refresh mutex is held by whoever looks up, activates or deactivates",
  expected: "holds",
  variants: {
    "deactivate without mutex": "invariant",
    "refresh of an inactive cache": "invariant",
    "active before listed": "invariant",
    "lock initialised again": "use-after-free",
    "no refresh mutex": "claim",
    "offset not recomputed": "claim",
    "length checked after activation": "claim",
  },
  create,
});

/** Length that does not fit a page at the requested offset. */
const REFUSED = 2;

function create(variant = ""): Scenario {
  return new PfncacheLife(variant).scenario();
}

/** Words and threads of one execution. */
class PfncacheLife {
  readonly variant: string;
  readonly words = new Words();
  readonly active = this.words.word("active", 1);
  readonly valid = this.words.word("valid", 1);
  readonly listed = this.words.word("listed", 1);
  readonly khva = this.words.word("khva", 1);
  readonly gpa = this.words.word("gpa", 1);
  readonly gpcLock = this.words.word("gpc->lock");
  readonly mutex = this.words.word("refresh_lock");
  readonly takesMutex: boolean;

  constructor(variant: string) {
    this.variant = variant;
    this.takesMutex = this.variant !== "no refresh mutex";
  }

  scenario(): Scenario {
    if (this.variant === "no refresh mutex") return { words: this.words.list, framesAtStart: 1, threads: [
      thread("refresher of gpa 2", () => this.refreshAndWrite()),
      thread("refresher of gpa 2, too", () => this.refreshAndWrite()),
    ] };
    if (this.variant === "offset not recomputed") return offsetScenario();
    if (this.variant === "lock initialised again") return lockScenario();
    return {
      words: this.words.list, framesAtStart: 1, threads: [thread("user", () => this.user()), thread("set_attr", () => this.attribute())],
      invariant: all(validIsActive(this.valid, this.active), activeIsListed(this.gpcLock, this.active, this.listed)),
    };
  }

  *refresh(wanted: number): Steps {
    if (this.takesMutex) yield lock(this.mutex);
    yield writeLock(this.gpcLock);
    const isActive = this.variant === "refresh of an inactive cache" || (yield load(this.active)) === 1;
    const oldMap = yield load(this.khva);
    const isSame = (yield load(this.gpa)) === wanted;
    const isDone = !isActive || (isSame && (yield load(this.valid)) === 1);
    if (!isDone) {
      yield store(this.gpa, wanted);
      // Without the mutex: what another refresh reads here is this one's key, and the old one's frame.
      yield store(this.valid, this.takesMutex ? 0 : yield load(this.valid));
    }
    yield writeUnlock(this.gpcLock);
    if (!isDone) yield* this.lookUpAndPublish(oldMap, isSame);
    if (this.takesMutex) yield unlock(this.mutex);
  }

  *lookUpAndPublish(oldMap: number, isSameFrame: boolean): Steps {
    const map = oldMap !== 0 && isSameFrame ? oldMap : yield allocate();
    yield writeLock(this.gpcLock);
    yield store(this.khva, map);
    yield store(this.valid, 1);
    yield writeUnlock(this.gpcLock);
    if (oldMap !== 0 && oldMap !== map) yield free(oldMap);
  }

  *write(): Steps<boolean> {
    yield readLock(this.gpcLock);
    const isUsable = (yield load(this.active)) === 1 && (yield load(this.valid)) === 1;
    if (isUsable) {
      const map = yield load(this.khva);
      yield claim(map !== 0, "an active cache has no map: a write through a null pointer");
      yield useWrite(map);
      // The map made for gpa 1 is number 1; that of gpa 2 is any other.
      const key = yield load(this.gpa);
      if (this.variant === "no refresh mutex") yield claim((key === 1) === (map === 1), `the cache of gpa ${key} shows map ${map}, which is the other gpa's`);
    }
    yield readUnlock(this.gpcLock);
    return isUsable;
  }

  *refreshAndWrite(): Steps {
    yield* this.refresh(2);
    yield* this.write();
  }

  *deactivate(): Steps {
    const isExclusive = this.variant !== "deactivate without mutex";
    if (isExclusive) yield lock(this.mutex);
    yield writeLock(this.gpcLock);
    const map = yield load(this.khva);
    yield store(this.valid, 0);
    yield store(this.active, 0);
    yield store(this.khva, 0);
    yield writeUnlock(this.gpcLock);
    yield store(this.listed, 0);
    if (map !== 0) yield free(map);
    if (isExclusive) yield unlock(this.mutex);
  }

  *activate(length = 1): Steps {
    yield lock(this.mutex);
    if (this.variant !== "length checked after activation" && length === REFUSED) return yield* this.giveUp();
    if (this.variant !== "active before listed") yield store(this.listed, 1);
    yield writeLock(this.gpcLock);
    yield store(this.active, 1);
    yield writeUnlock(this.gpcLock);
    if (this.variant === "active before listed") yield store(this.listed, 1);
    if (length === REFUSED) {
      yield claim((yield load(this.khva)) !== 0 || (yield load(this.active)) === 0, "an activation that failed left the cache active, with nothing behind it");
      return yield* this.giveUp();
    }
    yield unlock(this.mutex);
    yield* this.refresh(1);
  }

  *giveUp(): Steps {
    yield unlock(this.mutex);
  }

  *attribute(): Steps {
    yield* this.deactivate();
    if (this.variant === "length checked after activation") yield* this.activate(REFUSED);
    else if (this.variant !== "refresh of an inactive cache" && this.variant !== "deactivate without mutex") yield* this.activate();
  }

  /** The memory behind the page went away for a moment: the cache is not valid, and its user refreshes it. */
  *user(): Steps {
    yield writeLock(this.gpcLock);
    if ((yield load(this.active)) === 1) yield store(this.valid, 0);
    yield writeUnlock(this.gpcLock);
    for (let tries = 0; tries < 2 && !(yield* this.write()); tries++) yield* this.refresh(1);
  }
}

/** B22: the page of the new address is the old one, and still valid: done, but for the offset. No second thread is needed. */
function offsetScenario(): Scenario {
  const words = new Words();
  const [valid, offset, asked] = [words.word("valid", 1), words.word("khva offset", 0x40), words.word("offset asked for", 0x80)];
  return { words: words.list, threads: [thread("set_attr", function* () {
    // Step 4 of refresh: the page of the new address is the old one and valid. Fixed: its offset is taken over first.
    if ((yield load(valid)) === 1) yield hasOffset(yield load(offset), yield load(asked));
  })] };
}

/** B16: a lock word that is set to "free" while somebody holds it. */
function lockScenario(): Scenario {
  const words = new Words();
  const spin = words.word("gpc->lock as a word");
  const map = words.word("map", 1);
  return { words: words.list, framesAtStart: 1, threads: [
    thread("event sender", function* () {
      if ((yield tryLock(spin)) === 0) return;
      const frame = yield load(map);
      if (frame !== 0) yield useWrite(frame);
      yield { kind: "update", cell: spin, by: (holder) => (holder === 1 ? 0 : holder) };
    }),
    thread("set_attr", function* () {
      yield store(spin, 0);
      yield lock(spin);
      const frame = yield load(map);
      yield store(map, 0);
      yield free(frame);
      yield unlock(spin);
    }),
  ] };
}
