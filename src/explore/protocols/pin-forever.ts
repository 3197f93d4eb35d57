/**
 * (a) Pin for ever: what hypervisors did first. The page is looked up once, a reference held, the pointer used from then on.
 *
 *     registrar                 1 look the frame up, take a reference (may sleep)   2 store the pointer
 *     sender                    1 load the pointer   2 write through it
 *     host                      no duty: nobody tells anybody
 *
 * Nothing is used after it was freed, in any context, without a lock. What it costs:
 *
 *     sender                            VMM, memory                       sender                            offliner
 *     p = pointer (frame 1)                                               p = pointer (frame 1), pinned
 *                                       mmap(MAP_FIXED): page = frame 2                                     entry away, references: 2, not 1
 *     writes the event to frame 1                                                                           -EAGAIN, and so for ever
 *     -> the guest, on frame 2, never sees it                             -> the memory module stays
 */
import { HostPage } from "./host-page.js";
import { all, eventIsSeen, hasNoLeak, landsInCurrentFrame } from "./invariants.js";
import type { Scenario } from "../model.js";
import type { Steps } from "./steps.js";
import { Words, claim, exchange, load, protocol, sleepUntil, store, thread } from "./steps.js";

/** Protocol (a), and bug B01 and B11 as its variants. */
export const PIN_FOREVER = protocol({
  name: "pin-forever",
  says: "a page that is pinned by its user for ever: never freed in use, but it stays where it is whatever the address shows",
  expected: "holds",
  variants: {
    "remap": "claim",
    "slot-deleted": "claim",
    "offline": "claim",
    "registered-twice": "end",
    "re-registered": "use-after-free",
  },
  create,
});

function create(variant?: string): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const pointer = words.word("pointer");
  const delivered = words.word("delivered");
  const changed = words.word("host change returned");

  function* register(): Steps {
    const frame = yield* page.lookUp();
    yield store(pointer, frame);
  }
  function* send(): Steps {
    const began = yield load(changed);
    const frame = yield load(pointer);
    yield* page.setEvent(frame);
    if (variant === "remap") yield landsInCurrentFrame(began, frame, 2);
    if (variant === "slot-deleted") yield claim(began === 0, "I2: written to memory that the VMM has taken for itself: its memslot is gone");
    yield store(delivered, 1);
  }
  function* sender(): Steps {
    yield* register();
    if (variant === "registered-twice") yield* register();
    yield* send();
  }
  /** The guest registers again: the old pin is dropped while somebody may be behind step 1 of send. */
  function* registerAgain(): Steps {
    yield sleepUntil(pointer, (frame) => frame !== 0);
    const frame = yield* page.lookUp();
    yield* page.put(yield exchange(pointer, frame));
  }
  function* host(): Steps {
    if (variant === "offline") {
      yield sleepUntil(delivered, (sent) => sent !== 0);
      yield claim(yield* moves(page), "I7: nobody uses the page, and it cannot be moved: its memory cannot go offline");
    } else if (variant === "slot-deleted") {
      yield sleepUntil(pointer, (frame) => frame !== 0);
    } else if (variant === "remap" || variant === "re-registered") {
      yield sleepUntil(pointer, (frame) => frame !== 0);
      yield* page.remap();
    } else yield* page.move();
    yield store(changed, 1);
  }
  const threads = [thread("sender", sender), thread("host", host)];
  if (variant === "re-registered") threads.push(thread("registrar", registerAgain));
  const isRemapped = variant === "remap" || variant === "re-registered";
  return {
    words: words.list, threads, framesAtStart: 2,
    atEnd: variant === "registered-twice" ? all(atMostOnePin) : isRemapped ? () => undefined : eventIsSeen(page, delivered),
  };

  /** One pin is the protocol; a second one is a leak. */
  function atMostOnePin(view: Parameters<ReturnType<typeof hasNoLeak>>[0]): string | undefined {
    const leak = hasNoLeak(page)(view);
    return leak?.includes("has 3 references") ? `${leak}: registered twice, pinned twice, let go once at most` : undefined;
  }
}

function* moves(page: HostPage): Steps<boolean> {
  return yield* page.move();
}
