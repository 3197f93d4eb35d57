/**
 * Memslots, their generation and the count of active invalidations (kvm_main.c): B24, B25, B27, B28 with B41.
 *
 *     updater                   1 slots_arch_lock   2 mn_invalidate_lock, wait until the count of invalidations is 0
 *                               3 publish the new set, generation marked   4 unlock both   5 synchronize_srcu   6 generation final   7 free the old set
 *     user                      1 srcu_read_lock   2 set = pointer   3 look up, note the generation   4 srcu_read_unlock
 *     host                      1 start: count++   2 if a memslot is hit: in_progress++   ...   3 end: the same back
 *
 * The generation's two values (B25):
 *
 *     vCPU, in a section                        updater
 *     set = old set
 *                                               publishes the new set; its generation is final at once
 *     looks gfn up in the old set, notes the new generation
 *     -> the stale result counts as fresh for ever
 */
import type { Scenario } from "../../model.js";
import { all, isNeverNegative, isZeroAtEnd } from "../invariants.js";
import type { Steps } from "../steps.js";
import {
  Words, add, claim, free, load, lock, maySleep, noSleep, protocol, sleepUntil, spinLock, store, thread, unlock, use,
} from "../steps.js";

/** B24, B25, B27, B28, B41. */
export const MEMSLOT_BUGS = protocol({
  name: "memslot-bugs",
  says: "an update of the memslots against a look-up and an invalidation",
  expected: "holds",
  variants: {
    "B24, read without srcu": "use-after-free",
    "B25, generation bumped once": "end",
    "B27, end not called": "deadlock",
    "B28, update between start and end": "invariant",
    "B41, end without start": "invariant",
    "B41, underflow refused": "holds",
  },
  create,
});

const IN_PROGRESS = 100;

function create(variant = ""): Scenario {
  const words = new Words();
  const [set, generation] = [words.word("memslots", 1), words.word("generation", 1)];
  const section = words.word("srcu section");
  const [archLock, mnLock] = [words.word("slots_arch_lock"), words.word("mn_invalidate_lock")];
  const [count, inProgress] = [words.word("count"), words.word("in_progress")];
  const [noted, notedSet] = [words.word("generation of the cached look-up"), words.word("set it came from")];

  function* updater(): Steps {
    yield lock(archLock);
    yield spinLock(mnLock);
    while (variant !== "B28, update between start and end" && (yield load(count)) !== 0) {
      yield unlock(mnLock);
      yield sleepUntil(count, (active) => active === 0);
      yield spinLock(mnLock);
    }
    yield store(generation, variant === "B25, generation bumped once" ? 2 : IN_PROGRESS + 1);
    yield store(set, 2);
    yield unlock(mnLock);
    yield unlock(archLock);
    const seen = yield load(section);
    if (seen % 2 === 1) yield sleepUntil(section, (now) => now !== seen);
    yield store(generation, 2);
    yield free(1);
  }
  function* vcpu(): Steps {
    if (variant === "B24, read without srcu") yield noSleep();
    else yield add(section, 1);
    const current = yield load(set);
    yield use(current);
    const now = yield load(generation);
    yield store(noted, now);
    yield store(notedSet, current);
    if (variant === "B24, read without srcu") yield maySleep();
    else yield add(section, 1);
  }
  function* host(): Steps {
    yield* start();
    // B27: another notifier's start answered -EAGAIN, and the ends of those that had succeeded were not called.
    if (variant !== "B27, end not called") yield* end();
    if (variant.startsWith("B41")) yield* end();
  }
  function* start(): Steps {
    yield spinLock(mnLock);
    yield add(count, 1);
    yield unlock(mnLock);
    if ((yield load(set)) === 2) yield add(inProgress, 1);
  }
  function* end(): Steps {
    if ((yield load(set)) === 2) yield add(inProgress, -1);
    if (variant === "B41, underflow refused") yield { kind: "update", cell: count, by: (value) => Math.max(0, value - 1) };
    else yield add(count, -1);
  }
  const invalidations = thread("host", variant === "B41, underflow refused" ? hostWithoutSlots : host);
  /** Refusing the underflow keeps the updater from waiting for ever; that is all it can do. */
  function* hostWithoutSlots(): Steps {
    yield add(count, 1);
    for (let ends = 0; ends < 2; ends++) yield { kind: "update", cell: count, by: (value) => Math.max(0, value - 1) };
    yield claim((yield load(count)) === 0, "I15: the count is not 0 when all invalidations have ended");
  }
  return {
    words: words.list, framesAtStart: 2, threads: [thread("updater", updater), thread("vCPU", vcpu), invalidations],
    invariant: isNeverNegative(count, inProgress),
    atEnd: all(isZeroAtEnd(count, inProgress), (view) => (view.value(noted) === view.value(generation) && view.value(notedSet) === 1
      ? "a look-up in the old set of memslots counts as one in the new" : undefined)),
  };
}
