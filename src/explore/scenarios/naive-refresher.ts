/** The proposal in the mail by which the guest's shared page was to be mapped without a pin, with a refresher that is not careful. */
import { allocate, free, load, retry, sleepUntil, store, use } from "../operations.js";
import type { Operation, Scenario, ScenarioDescription } from "../model.js";

const POINTER = 0;
const PAGE = 1;
const READERS = 2;
const WORDS = [{ name: "pointer", value: 1 }, { name: "page table", value: 1 }, { name: "readers", value: 0 }];

/** Uses the page if the pointer is there, and looks it up and publishes it if it is not. */
function* reader(): Generator<Operation, void, number> {
  for (;;) {
    yield store(READERS, 1);
    const frame = yield load(POINTER);
    if (frame !== 0) yield use(frame);
    yield store(READERS, 0);
    if (frame !== 0) return;
    const found = yield load(PAGE);
    // Between here and the store the page may go.
    yield store(POINTER, found);
    yield retry("the pointer was cleared");
  }
}

/** Moves the page: clears the pointer, waits for readers, frees the old frame. */
function* mover(): Generator<Operation, void, number> {
  const old = yield load(PAGE);
  yield store(POINTER, 0);
  yield sleepUntil(READERS, (count) => count === 0);
  yield store(PAGE, yield allocate());
  yield free(old);
}

/** What the mail proposes, with a refresher that publishes what it looked up before. */
export const naiveRefresher: ScenarioDescription = {
  name: "naive-refresher",
  says: "the pointer is cleared and readers are waited for, but a refresher publishes the frame that it had looked up before",
  expected: "use-after-free",
  create: (): Scenario => ({
    words: WORDS, framesAtStart: 1,
    threads: [{ name: "reader", run: reader }, { name: "mover", run: mover }],
  }),
};
