/**
 * Ours: memslots change while somebody looks a page up (src/host-memory/memslots.ts, discarding.ts; src/guest-page/page-access.ts).
 *
 *     refresher                                 change of memslots
 *     1 g = generation                          1 mutation lock, invalidation begins
 *     2 search set g & 1; generation still g?   2 build set (g + 1) & 1   3 MMU lock: generation = g + 1   4 NPT entries go
 *     3 s = sequence of that page's bucket      5 invalidation ends
 *     4 fault in, read the entry   5 active, sequence
 *     6 generation still g? publish
 *
 * Without 6:
 *
 *     refresher                                 change
 *     the gfn is page 1
 *                                               moves the slot: the gfn is page 2 now; ends
 *     s = sequence; page 1 has a frame still
 *     active 0, sequence s: publishes it
 *     -> an event is written to a page that is at another gfn by now
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, claim, free, load, lock, protocol, sleepUntil, spinLock, store, thread, unlock, useWrite } from "../steps.js";
import { OurHost, OurPage, Window, invalidate } from "./host.js";

/** The shipped memslots. */
export const OUR_MEMSLOTS = protocol({
  name: "our-memslots",
  says: "a guest frame gets another page behind it while a user looks it up",
  expected: "holds",
  variants: {
    "generation not compared": "claim",
    "search": "holds",
    "search without a second look": "claim",
    "slot removed": "holds",
    "frames freed before it is off the table": "holds",
    "removed without an invalidation": "use-after-free",
  },
  create: (variant = "") => {
    if (variant.startsWith("search")) return createSearch(variant === "search");
    return variant === "" || variant.startsWith("generation") ? create(variant) : createRemoval(variant);
  },
});

/** The slot moves: gfn 0 was page 1, is page 2. */
function create(variant: string): Scenario {
  const words = new Words();
  const host = new OurHost(words, variant, 1);
  const pages = [new OurPage(words, host, [1, 3]), new OurPage(words, host, [2, 4])];
  const which = words.word("page behind the gfn");
  const changed = words.word("change returned");

  function* user(): Steps {
    const window = new Window(host, pages[0]!, 0);
    yield* window.refresh(function* () {
      return pages[yield load(which)]!;
    });
    const began = yield load(changed);
    const frame = yield* window.enter();
    if (frame === 0) return;
    yield useWrite(frame);
    yield claim(began === 0 || frame === 2, "I2: written to the page that was at this gfn before its memslot moved");
    yield* window.leave();
  }
  function* moveSlot(): Steps {
    yield* invalidate(host, [pages[0]!], function* () {
      yield spinLock(host.mmuLock);
      yield store(which, 1);
      yield store(host.generation, 1);
      yield unlock(host.mmuLock);
      yield store(pages[0]!.npt, 0);
      return [];
    });
    yield store(changed, 1);
  }
  return { words: words.list, framesAtStart: 4, threads: [thread("user", user), thread("change", moveSlot)] };
}

/** Two sets, of which a change overwrites the one that is not current; two changes overwrite what a slow search is in. */
function createSearch(looksTwice: boolean): Scenario {
  const words = new Words();
  const generation = words.word("memslot generation");
  const sets = [[words.word("set 0, gfn", 10), words.word("set 0, hva", 10)], [words.word("set 1, gfn"), words.word("set 1, hva")]];
  return { words: words.list, threads: [
    thread("search", function* () {
      for (;;) {
        const before = yield load(generation);
        const [gfn, hva] = sets[before & 1]!;
        const [from, to] = [yield load(gfn!), yield load(hva!)];
        if (looksTwice && (yield load(generation)) !== before) continue;
        yield claim(from === to, `a memslot that never was: gfn ${from} with the host page of gfn ${to}`);
        return;
      }
    }),
    thread("changes", function* () {
      for (const next of [1, 2]) {
        const [gfn, hva] = sets[next & 1]!;
        yield store(gfn!, 10 + next);
        yield store(hva!, 10 + next);
        yield store(generation, next);
      }
    }),
  ] };
}

/** The slot goes: off the table first, then its frames, in one invalidation. */
function createRemoval(variant: string): Scenario {
  const words = new Words();
  const host = new OurHost(words, variant, 1);
  const page = new OurPage(words, host);
  const isThere = words.word("slot on the table", 1);

  function* user(): Steps {
    const window = new Window(host, page, 0, 1);
    for (let tries = 0; tries < 2; tries++) {
      const frame = yield* window.enter();
      if (frame !== 0) {
        yield useWrite(frame);
        yield* window.leave();
        return;
      }
      if ((yield load(isThere)) === 0) return;
      yield* lookUp(window);
    }
  }
  /** As Window.refresh, but a page without a memslot is none. */
  function* lookUp(window: Window): Steps {
    yield sleepUntil(page.active, (count) => count === 0);
    if ((yield load(isThere)) === 1) yield* window.refresh();
  }
  function* remove(): Steps {
    if (variant === "removed without an invalidation") {
      yield lock(host.mutationLock);
      yield store(isThere, 0);
      yield free(yield* page.drop());
      yield unlock(host.mutationLock);
      return;
    }
    yield* invalidate(host, [page], function* () {
      if (variant === "frames freed before it is off the table") yield free(1);
      yield store(isThere, 0);
      yield store(host.generation, 1);
      const frame = yield* page.drop();
      return variant === "frames freed before it is off the table" ? [] : [frame];
    });
  }
  return { words: words.list, framesAtStart: 1, framesAtEnd: 1, threads: [thread("user", user), thread("change", remove)] };
}
