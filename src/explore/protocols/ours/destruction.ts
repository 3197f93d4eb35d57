/**
 * Ours: the end of a VM (docs/locking.md §4): everybody is asked to end, and memory goes when all have.
 *
 *     main thread                               vCPU and device threads
 *     1 request |= STOP, notify                 1 STOP? end: leave sections, give the slot back
 *     2 WORD_STOPPING, wake who waits for memory  2 waiting for memory: STOPPING? give up
 *     3 wait until all have ended               3 otherwise enter a section, use a page, leave
 *     4 memory goes
 *
 * A thread that is killed where it stands may stand in a section:
 *
 *     main thread                               device thread            memory thread
 *                                               enters a section
 *     kills it
 *                                                                        waits for its section, for ever
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, add, free, load, protocol, sleepUntil, store, thread, use } from "../steps.js";

/** The shipped end of a VM. */
export const OUR_DESTRUCTION = protocol({
  name: "our-destruction",
  says: "a VM ends while its threads use memory, wait for memory, and move it",
  expected: "holds",
  variants: {
    "memory goes first": "use-after-free",
    "who waits for memory is not woken": "deadlock",
    "killed in a section": "deadlock",
    "ends between start and end": "deadlock",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const [stop, stopping, ended] = [words.word("request STOP"), words.word("WORD_STOPPING"), words.word("threads ended")];
  const [slot, active] = [words.word("reader slot"), words.word("active")];

  function* device(): Steps {
    for (let turn = 0; turn < 2 && (yield load(stop)) === 0; turn++) {
      yield add(slot, 1);
      if (variant === "killed in a section" && (yield load(stop)) === 1) return yield* end();
      yield use(1);
      yield add(slot, 1);
      // A refresh waits while an invalidation is active.
      yield sleepUntil(active, (count) => count === 0);
    }
    yield* end();
  }
  function* end(): Steps {
    yield add(ended, 1);
  }
  /** A vCPU in a fault for which there is no frame. Nobody frees one: only the end of the VM ends it. */
  function* vcpu(): Steps {
    yield sleepUntil(stopping, (value) => value === 1);
    yield* end();
  }
  function* memoryThread(): Steps {
    yield add(active, 1);
    const epoch = yield load(slot);
    if (epoch % 2 === 1) yield sleepUntil(slot, (now) => now !== epoch);
    if (variant === "ends between start and end" && (yield load(stop)) === 1) return yield* end();
    yield add(active, -1);
    yield* end();
  }
  function* main(): Steps {
    yield store(stop, 1);
    if (variant !== "who waits for memory is not woken") yield store(stopping, 1);
    if (variant !== "memory goes first") yield sleepUntil(ended, (count) => count === 3);
    yield free(1);
  }
  return {
    words: words.list, framesAtStart: 1,
    threads: [thread("main", main), thread("device", device), thread("vCPU", vcpu), thread("memory", memoryThread)],
  };
}
