/**
 * Ours: a frame number that guest mode alone uses, as the APIC access page's: docs/page-lifetimes.md §2. Request and retry.
 *
 *     change, notifier's start                  vCPU, outside guest mode
 *     1 request |= RELOAD at every vCPU         1 take RELOAD
 *     2 guestEpoch odd? wait                    2 s = sequence   3 frame = entry   4 active = 0 and sequence = s? keep it : RELOAD again
 *
 * Without 4 the vCPU takes the old frame once more, between the wait and the change of the entry.
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, add, clearBits, load, protocol, setBits, sleepUntil, thread, use } from "../steps.js";
import { BUSY, OurHost, OurPage, invalidate } from "./host.js";

/** The reload of a frame number by request. */
export const OUR_RELOAD = protocol({
  name: "our-reload",
  says: "a frame number for guest mode, reloaded by a request that waits and a look-up that tries again",
  expected: "holds",
  variants: { "kicked, not waited for": "use-after-free", "no retry": "use-after-free", "taken behind the look-up": "holds" },
  create,
});

const RELOAD = 1;

function create(variant = ""): Scenario {
  const words = new Words();
  const host = new OurHost(words, "", 0);
  const page = new OurPage(words, host);
  const [epoch, request] = [words.word("guest epoch"), words.word("request")];
  let frame = 1;

  function* change(): Steps {
    yield* invalidate(host, [page], function* () {
      yield setBits(request, RELOAD);
      const seen = yield load(epoch);
      if (seen % 2 === 1 && variant !== "kicked, not waited for") yield sleepUntil(epoch, (now) => now !== seen);
      return [yield* page.replaceFrame()];
    });
  }
  function* reload(): Steps {
    if (variant !== "taken behind the look-up") yield clearBits(request, RELOAD);
    const before = yield load(page.sequence);
    const found = yield load(page.entry);
    const isGood = variant === "no retry" || ((yield load(page.active)) === 0 && (yield load(page.sequence)) === before);
    if (isGood && found !== BUSY) {
      frame = found;
      if (variant === "taken behind the look-up") yield clearBits(request, RELOAD);
      return;
    }
    // A turn of the run loop with nothing to run; standing still until the change is over says the same in fewer schedules.
    yield setBits(request, RELOAD);
    yield sleepUntil(page.active, (count) => count === 0);
  }
  function* vcpu(): Steps {
    for (let runs = 0; runs < 2;) {
      yield add(epoch, 1);
      const isAsked = (yield load(request)) !== 0;
      if (!isAsked) yield use(frame);
      if (!isAsked) runs++;
      yield add(epoch, 1);
      if (isAsked) yield* reload();
    }
  }
  return { words: words.list, framesAtStart: 2, threads: [thread("change", change), thread("vCPU", vcpu)] };
}
