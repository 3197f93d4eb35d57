/**
 * (b) Look the page up, with a reference, for each use: steal time and others in Linux 5.6 to 5.15.
 *
 *     b1 user                   1 look the frame up, take a reference (may sleep)   2 write   3 drop the reference
 *     b2 user, with a cache     1 cache of this gfn and generation? otherwise look up, keep the reference   2 write
 *     host                      no duty: the reference makes a move fail, and the mover tries again
 *
 * b1 holds, but only for those that may sleep. b2 has the pin of (a) until the memslots change (B06):
 *
 *     user                                      VMM
 *     looks frame 1 up, keeps it
 *                                               mmap(MAP_FIXED): page = frame 2; memslots unchanged
 *     gfn and generation as before: a hit
 *     writes frame 1
 *     -> steal time stands still for the guest
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { all, eventIsSeen, hasNoLeak, landsInCurrentFrame } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, claim, load, maySleep, noSleep, protocol, sleepUntil, store, thread } from "./steps.js";

/** Protocol (b), both flavours; bugs B06 and B34 as variants. */
export const MAP_EACH_TIME = protocol({
  name: "map-each-time",
  says: "a reference for the length of each use: a move that meets one backs off, and succeeds when users pause",
  expected: "holds",
  variants: {
    "atomic-user": "sleep-in-no-sleep",
    "cached, remap": "claim",
    "cached, offline": "claim",
    "cached, generation changes": "holds",
    "cached, key without gpa": "claim",
    "cached, key with gpa": "holds",
  },
  create,
});

function create(variant?: string): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const delivered = words.word("delivered");
  const changed = words.word("host change returned");
  const generation = words.word("generation");
  const gpa = words.word("registered gpa", 1);

  function* useOnce(): Steps {
    const frame = yield* page.lookUp();
    yield* page.setEvent(frame);
    yield* page.put(frame);
    yield store(delivered, 1);
  }
  /** b2: two uses, the second by the cache if its key fits. */
  function* useCached(): Steps {
    let cached = { frame: 0, generation: -1, gpa: 0 };
    for (let round = 0; round < 2; round++) {
      const began = yield load(changed);
      const wanted = yield load(gpa);
      const now = yield load(generation);
      const isSameGpa = variant === "cached, key without gpa" || cached.gpa === wanted;
      if (cached.frame === 0 || cached.generation !== now || !isSameGpa) {
        if (cached.frame !== 0) yield* page.put(cached.frame);
        cached = { frame: yield* page.lookUp(), generation: now, gpa: wanted };
      }
      yield* page.setEvent(cached.frame);
      yield landsInCurrentFrame(began, cached.frame, 2);
      yield claim(cached.gpa === wanted, "I2: written to the page of the old registration, which the guest uses for something else");
    }
    yield store(delivered, 1);
  }
  function* user(): Steps {
    if (variant?.startsWith("cached")) return yield* useCached();
    if (variant === "atomic-user") yield noSleep();
    yield* useOnce();
    if (variant === "atomic-user") yield maySleep();
  }
  function* host(): Steps {
    if (variant?.includes("key")) {
      yield store(gpa, 2);
      return;
    }
    if (variant === "cached, remap" || variant === "cached, generation changes") {
      yield* page.remap();
      if (variant === "cached, generation changes") yield store(generation, 1);
      yield store(changed, 1);
      return;
    }
    if (yield* page.move()) return;
    yield sleepUntil(delivered, (sent) => sent !== 0);
    yield claim(yield* page.move(), "I7: the user pauses, and the page still cannot be moved");
  }
  return {
    words: words.list, threads: [thread("user", user), thread("host", host)], framesAtStart: 2,
    atEnd: variant?.startsWith("cached") ? () => undefined : all(eventIsSeen(page, delivered), hasNoLeak(page)),
  };
}
