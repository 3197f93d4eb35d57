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
  const words = new Words();
  const [active, valid, listed] = [words.word("active", 1), words.word("valid", 1), words.word("listed", 1)];
  const [khva, gpa] = [words.word("khva", 1), words.word("gpa", 1)];
  const gpcLock = words.word("gpc->lock");
  const mutex = words.word("refresh_lock");
  const takesMutex = variant !== "no refresh mutex";

  function* refresh(wanted: number): Steps {
    if (takesMutex) yield lock(mutex);
    yield writeLock(gpcLock);
    const isActive = variant === "refresh of an inactive cache" || (yield load(active)) === 1;
    const oldMap = yield load(khva);
    const isSame = (yield load(gpa)) === wanted;
    const isDone = !isActive || (isSame && (yield load(valid)) === 1);
    if (!isDone) {
      yield store(gpa, wanted);
      // Without the mutex: what another refresh reads here is this one's key, and the old one's frame.
      yield store(valid, takesMutex ? 0 : yield load(valid));
    }
    yield writeUnlock(gpcLock);
    if (!isDone) yield* lookUpAndPublish(oldMap, isSame);
    if (takesMutex) yield unlock(mutex);
  }
  function* lookUpAndPublish(oldMap: number, isSameFrame: boolean): Steps {
    const map = oldMap !== 0 && isSameFrame ? oldMap : yield allocate();
    yield writeLock(gpcLock);
    yield store(khva, map);
    yield store(valid, 1);
    yield writeUnlock(gpcLock);
    if (oldMap !== 0 && oldMap !== map) yield free(oldMap);
  }
  function* write(): Steps<boolean> {
    yield readLock(gpcLock);
    const isUsable = (yield load(active)) === 1 && (yield load(valid)) === 1;
    if (isUsable) {
      const map = yield load(khva);
      yield claim(map !== 0, "an active cache has no map: a write through a null pointer");
      yield useWrite(map);
      // The map made for gpa 1 is number 1; that of gpa 2 is any other.
      const key = yield load(gpa);
      if (variant === "no refresh mutex") yield claim((key === 1) === (map === 1), `the cache of gpa ${key} shows map ${map}, which is the other gpa's`);
    }
    yield readUnlock(gpcLock);
    return isUsable;
  }
  function* deactivate(): Steps {
    const isExclusive = variant !== "deactivate without mutex";
    if (isExclusive) yield lock(mutex);
    yield writeLock(gpcLock);
    const map = yield load(khva);
    yield store(valid, 0);
    yield store(active, 0);
    yield store(khva, 0);
    yield writeUnlock(gpcLock);
    yield store(listed, 0);
    if (map !== 0) yield free(map);
    if (isExclusive) yield unlock(mutex);
  }
  function* activate(length = 1): Steps {
    yield lock(mutex);
    if (variant !== "length checked after activation" && length === REFUSED) return yield* giveUp();
    if (variant !== "active before listed") yield store(listed, 1);
    yield writeLock(gpcLock);
    yield store(active, 1);
    yield writeUnlock(gpcLock);
    if (variant === "active before listed") yield store(listed, 1);
    if (length === REFUSED) {
      yield claim((yield load(khva)) !== 0 || (yield load(active)) === 0, "an activation that failed left the cache active, with nothing behind it");
      return yield* giveUp();
    }
    yield unlock(mutex);
    yield* refresh(1);
  }
  function* giveUp(): Steps {
    yield unlock(mutex);
  }
  function* attribute(): Steps {
    yield* deactivate();
    if (variant === "length checked after activation") yield* activate(REFUSED);
    else if (variant !== "refresh of an inactive cache" && variant !== "deactivate without mutex") yield* activate();
  }
  /** The memory behind the page went away for a moment: the cache is not valid, and its user refreshes it. */
  function* user(): Steps {
    yield writeLock(gpcLock);
    if ((yield load(active)) === 1) yield store(valid, 0);
    yield writeUnlock(gpcLock);
    for (let tries = 0; tries < 2 && !(yield* write()); tries++) yield* refresh(1);
  }
  if (variant === "no refresh mutex") return { words: words.list, framesAtStart: 1, threads: [
    thread("refresher of gpa 2", function* () { yield* refresh(2); yield* write(); }),
    thread("refresher of gpa 2, too", function* () { yield* refresh(2); yield* write(); }),
  ] };
  if (variant === "offset not recomputed") return offsetScenario();
  if (variant === "lock initialised again") return lockScenario();
  return {
    words: words.list, framesAtStart: 1, threads: [thread("user", user), thread("set_attr", attribute)],
    invariant: all(validIsActive(valid, active), activeIsListed(gpcLock, active, listed)),
  };
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
