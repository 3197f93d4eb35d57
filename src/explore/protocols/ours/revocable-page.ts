/**
 * Ours: a user of a page and a change of the page (docs/page-lifetimes.md §3 and §4).
 *
 *     user                                      change
 *     1 slot odd                                1 mutation lock   2 active++, sequence++   3 every slot: odd? wait
 *     2 sequence as remembered?                 4 MMU lock: entry BUSY, NPT entry emptied   5 copy
 *       yes: 3 write   4 slot even              6 MMU lock: new entries   7 sequence++   8 active--   9 free the old frame
 *       no:  3 slot even; then                 10 unlock
 *     refresh: a s = sequence   b fault in, read the entry   c active = 0? otherwise wait, a   d sequence = s? otherwise a
 *
 * Without c, a refresher that reads the sequence in the change's middle publishes what is about to go:
 *
 *     user                                      change
 *                                               active++, sequence++ (1); no section is open
 *     a: s = 1   b: reads the entry: frame 1    (about to make it BUSY)
 *     d: sequence = 1: publishes (1, frame 1)
 *     slot odd; sequence = 1: may write
 *                                               BUSY, copy, new entries, sequence++, active--, frees frame 1
 *     writes to frame 1
 *     -> a write to a frame of somebody else's, or one that the copy does not have
 *
 * Two things that look as if they mattered do not, since what is published carries its sequence and each access compares it again: the
 * test d ("sequence not tested"), and the order of c and d ("sequence tested before active").
 */
import type { Scenario } from "../../model.js";
import { all, isNeverNegative, isZeroAtEnd } from "../invariants.js";
import type { Steps } from "../steps.js";
import { Words, maySleep, noSleep, protocol, thread } from "../steps.js";
import { OurHost, OurPage, Window, invalidate } from "./host.js";

/** The shipped protocol: user against change, in several surroundings, and its faults. */
export const OUR_PAGE = protocol({
  name: "our-page",
  says: "a user looks a page up and writes to it while the page is moved",
  expected: "holds",
  variants: {
    "mapped at start": "holds",
    "two users": "holds",
    "two pages": "holds",
    "shared bucket": "holds",
    "discard": "holds",
    "non-blockable discard": "holds",
    "two changes": "holds",
    "sequence not compared in the access": "use-after-free",
    "sequence not tested": "holds",
    "active not tested": "use-after-free",
    "active not raised": "use-after-free",
    "active raised behind the wait": "use-after-free",
    "sequence not bumped in begin": "use-after-free",
    "sequence not bumped in end": "use-after-free",
    "sequence sampled behind the look-up": "use-after-free",
    "sequence tested before active": "holds",
    "active dropped before sequence": "use-after-free",
    "waits before it begins": "use-after-free",
    "readers not waited for": "use-after-free",
    "checked before the section": "use-after-free",
    "section left before the use": "use-after-free",
    "freed before end": "holds",
    "refresh inside the section": "deadlock",
    "gives up behind begin": "deadlock",
    "waits with the mmu lock held": "deadlock",
    "non-blockable waits for the lock": "sleep-in-no-sleep",
    "non-blockable sleeps for readers": "sleep-in-no-sleep",
  },
  bounds: { "two users": 2, "non-blockable discard": 4 },
  create,
});

const MAPPED = [
  "sequence not compared in the access",
  "mapped at start", "sequence not bumped in begin", "waits before it begins", "readers not waited for", "checked before the section",
  "section left before the use", "refresh inside the section", "gives up behind begin",
];

function create(variant = ""): Scenario {
  const words = new Words();
  const hasTwoUsers = variant === "two users";
  const host = new OurHost(words, variant, hasTwoUsers ? 2 : 1);
  const page = new OurPage(words, host);
  const isSharedBucket = variant === "shared bucket";
  const other = isSharedBucket || variant === "two pages" ? new OurPage(words, host, [3, 4], isSharedBucket ? page : undefined) : undefined;
  const isDiscard = variant.includes("discard") || variant.startsWith("non-blockable");
  const mustNotSleep = variant.startsWith("non-blockable");
  const frame = MAPPED.includes(variant) ? 1 : undefined;

  function* user(slot: number): Steps {
    const window = new Window(host, page, slot, slot === 1 ? 1 : frame);
    yield* window.setEvent();
  }
  function* move(): Steps {
    const moved = variant === "two pages" ? [page, other!] : [isSharedBucket ? other! : page];
    yield* invalidate(host, moved, function* () {
      const frames: number[] = [];
      for (const each of moved) frames.push(yield* each.replaceFrame());
      return frames;
    });
  }
  function* discard(): Steps {
    if (mustNotSleep) yield noSleep();
    yield* invalidate(host, [page], function* () {
      return [yield* page.drop()];
    }, mustNotSleep);
    if (mustNotSleep) yield maySleep();
  }
  const threads = [thread("user", () => user(0)), thread("change", isDiscard ? discard : move)];
  if (hasTwoUsers) threads.push(thread("user 2", () => user(1)));
  if (variant === "two changes" || mustNotSleep) threads.push(thread("change 2", otherChange));
  /** Takes the mutation lock and changes some other page. */
  function* otherChange(): Steps {
    yield* invalidate(host, [], function* () {
      return [];
    });
  }
  return {
    words: words.list, threads, framesAtStart: isDiscard ? 1 : other === undefined ? 2 : 4,
    invariant: isNeverNegative(page.active),
    atEnd: all(isZeroAtEnd(page.active), (view) =>
      (isDiscard || page.hasEvent(view) ? undefined : "I9: the event was written, and the guest's page does not have it")),
  };
}
