// The mail's proposal: clear the pointer, wait for readers, then take the page away. The refresher is naive: it publishes what it
// looked up before. Run it with: unpinned explore docs/examples/naive-refresher.ts
import { allocate, free, load, retry, sleepUntil, store, use, type Operation, type ScenarioDescription } from "unpinned/explore";

const POINTER = 0;   // frame that readers may use; 0 = none
const PAGE = 1;      // the page table's entry: the frame that the page has
const READERS = 2;   // whether the reader is in its read section

function* reader(): Generator<Operation, void, number> {
  for (;;) {
    yield store(READERS, 1);
    const frame = yield load(POINTER);
    if (frame !== 0) yield use(frame);
    yield store(READERS, 0);
    if (frame !== 0) return;
    const found = yield load(PAGE);
    yield store(POINTER, found);             // the page may have gone since
    yield retry("the pointer was cleared");
  }
}

function* mover(): Generator<Operation, void, number> {
  const old = yield load(PAGE);
  yield store(POINTER, 0);
  yield sleepUntil(READERS, (count) => count === 0);
  yield store(PAGE, yield allocate());
  yield free(old);
}

export const scenario: ScenarioDescription = {
  name: "my-naive-refresher",
  says: "a refresher publishes the frame that it had looked up before the invalidation",
  expected: "use-after-free",
  create: () => ({
    words: [{ name: "pointer", value: 1 }, { name: "page table", value: 1 }, { name: "readers", value: 0 }],
    framesAtStart: 1,
    threads: [{ name: "reader", run: reader }, { name: "mover", run: mover }],
  }),
};
