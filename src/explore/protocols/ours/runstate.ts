/**
 * Ours: a run state over two pages, of which one is moved meanwhile (src/hypercall/vcpu/runstate.ts, state/guest-area.ts).
 *
 *     writer, runstateLock                      guest, another vCPU
 *     1 byte with UPDATE, in its page           1 entry time: high, low, high again
 *     2 the rest: first page, second page       2 the times
 *     3 byte without UPDATE                     3 entry time as before, no UPDATE? then they belong together
 *
 * Each access is one section in one page; no section is open while another page is looked up. So there are no two locks to take in an
 * order, but a page may move between the accesses: its bytes move with it.
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, claim, load, lock, protocol, store, thread, unlock } from "../steps.js";

/** The shipped run states. */
export const OUR_RUNSTATE = protocol({
  name: "our-runstate",
  says: "a run state that crosses a page is written while its second page moves and the guest reads it",
  expected: "holds",
  variants: { "without the flag": "claim", "flag cleared before the rest": "claim", "two writers, no lock": "claim", "two writers": "holds" },
  bounds: { "two writers": 3 },
  create,
});

const UPDATE = 0x80;

function create(variant = ""): Scenario {
  const words = new Words();
  const [high, low] = [words.word("first page: entry time, byte 7"), words.word("first page: entry time, bytes 0 to 6")];
  const times = [words.word("second page, old frame: times"), words.word("second page, new frame: times")];
  const [place, section, runstateLock, now] = [words.word("second page's frame"), words.word("section"), words.word("runstateLock"), words.word("accounted")];

  /** An access to the second page: the change waits for the section, and the section sees where the page is. */
  function* storeTimes(value: number): Steps {
    yield lock(section);
    yield store(times[yield load(place)]!, value);
    yield unlock(section);
  }
  function* write(): Steps {
    if (variant !== "two writers, no lock") yield lock(runstateLock);
    const time = (yield load(now)) + 1;
    yield store(now, time);
    if (variant !== "without the flag") yield store(high, UPDATE);
    yield store(low, time);
    if (variant === "flag cleared before the rest") yield store(high, 0);
    yield* storeTimes(time);
    if (variant !== "without the flag" && variant !== "flag cleared before the rest") yield store(high, 0);
    if (variant !== "two writers, no lock") yield unlock(runstateLock);
  }
  function* move(): Steps {
    yield lock(section);
    yield store(times[1]!, yield load(times[0]!));
    yield store(place, 1);
    yield unlock(section);
  }
  function* entryTime(): Steps<number> {
    const before = yield load(high);
    const time = yield load(low);
    return before === 0 && (yield load(high)) === 0 ? time : -1;
  }
  /** Reads by a translation that the change cuts, and so never in its middle. */
  function* guest(): Steps {
    const before = yield* entryTime();
    yield lock(section);
    const sum = yield load(times[yield load(place)]!);
    yield unlock(section);
    const after = yield* entryTime();
    if (before >= 0 && before === after) yield claim(before === sum, `I11: entry time ${before}, times that add up to ${sum}, and no sign of an update`);
  }
  const threads = [thread("writer", write), thread("guest", guest)];
  threads.push(variant.startsWith("two writers") ? thread("writer 2", write) : thread("change", move));
  return { words: words.list, threads };
}
