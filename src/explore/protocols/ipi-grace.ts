/**
 * (g) An IPI as grace period: lockless walks of shadow page tables, fast get_user_pages.
 *
 *     walker                    1 interrupts off   2 mode = READING_SHADOW_PAGE_TABLES   3 full barrier   4 walk   5 mode = outside   6 on
 *     host                      1 unlink the table   2 IPI to every processor that is not outside, wait   3 free the table
 *
 * The mode and the link are a pair of writes and reads: the walker writes its mode, then reads the link; the host writes the link, then
 * reads the mode. Without the mode (or the barrier behind it):
 *
 *     walker                                    host
 *     reads the link: table 1
 *                                               unlinks table 1; the walker's processor is outside: no IPI
 *                                               frees table 1
 *     reads an entry of table 1
 *     -> the walk goes on in somebody else's memory
 */
import type { Scenario } from "../model.js";
import type { Steps } from "./steps.js";
import { Words, fence, free, load, maySleep, noSleep, readOnce, writeOnce, protocol, sleepUntil, store, thread, use } from "./steps.js";

/** Protocol (g). */
export const IPI_GRACE = protocol({
  name: "ipi-grace",
  says: "a walker with interrupts off publishes a mode; who unlinks waits for all processors that are not outside",
  expected: "holds",
  isTso: true,
  variants: {
    "mode not published": "use-after-free",
    "barrier missing": "use-after-free",
    "waits for guest mode only": "use-after-free",
    "walker sleeps": "sleep-in-no-sleep",
  },
  create,
});

const [OUTSIDE, READING, IN_GUEST] = [0, 2, 1];

function create(variant = ""): Scenario {
  const words = new Words();
  const mode = words.word("mode", OUTSIDE);
  const link = words.word("link", 1);

  function* walker(): Steps {
    yield noSleep();
    if (variant !== "mode not published") yield writeOnce(mode, READING);
    if (variant !== "barrier missing") yield fence();
    const table = yield readOnce(link);
    if (variant === "walker sleeps") yield sleepUntil(link, () => true);
    if (table !== 0) yield use(table);
    yield store(mode, OUTSIDE);
    yield maySleep();
  }
  function* host(): Steps {
    yield store(link, 0);
    const seen = yield load(mode);
    const isAsked = variant === "waits for guest mode only" ? seen === IN_GUEST : seen !== OUTSIDE;
    if (isAsked) yield sleepUntil(mode, (now) => now === OUTSIDE);
    yield free(1);
  }
  return { words: words.list, framesAtStart: 1, threads: [thread("walker", walker), thread("host", host)] };
}
