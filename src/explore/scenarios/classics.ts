/** Faults that every engineer of kernels knows, small: what the explorer's reports look like, and what its tests find again. */
import type { Operation, ScenarioDescription } from "../model.js";
import { add, claim, fence, load, lock, readOnce, sleepUntil, store, unlock, writeOnce } from "../operations.js";

type Steps = Generator<Operation, void, number>;

/** A sleeper that looks at the condition before it remembers what it will sleep on. */
export const lostWakeup: ScenarioDescription = {
  name: "lost-wakeup",
  says: "a thread that sleeps while a counter is what it was reads the counter before it looks at the condition",
  expected: "holds",
  mutations: ["counter read too late"],
  create(mutation) {
    const [CONDITION, COUNTER] = [0, 1];
    function* sleeper(): Steps {
      for (;;) {
        let seen = mutation === undefined ? yield load(COUNTER) : 0;
        if ((yield load(CONDITION)) === 1) return;
        if (mutation !== undefined) seen = yield load(COUNTER);
        yield sleepUntil(COUNTER, (count) => count !== seen);
      }
    }
    function* waker(): Steps {
      yield store(CONDITION, 1);
      yield add(COUNTER, 1);
    }
    return {
      words: [{ name: "condition", value: 0 }, { name: "counter", value: 0 }],
      threads: [{ name: "sleeper", run: sleeper }, { name: "waker", run: waker }],
    };
  },
};

/** Two locks that are taken in both orders. */
export const lockOrder: ScenarioDescription = {
  name: "lock-order",
  says: "two threads take two locks in the same order",
  expected: "holds",
  mutations: ["other order"],
  create(mutation) {
    function* taker(first: number, second: number): Steps {
      yield lock(first);
      yield lock(second);
      yield unlock(second);
      yield unlock(first);
    }
    return {
      words: [{ name: "A", value: 0 }, { name: "B", value: 0 }],
      threads: [{ name: "one", run: () => taker(0, 1) }, { name: "two", run: () => (mutation === undefined ? taker(0, 1) : taker(1, 0)) }],
    };
  },
};

/** Dekker's start: each announces itself, then looks for the other. */
export const storeBuffering: ScenarioDescription = {
  name: "dekker",
  says: "two threads announce themselves before they look for each other, with a barrier between; without it that fails under tso only",
  expected: "holds",
  mutations: ["no barrier"],
  create(mutation) {
    function* entrant(mine: number, other: number): Steps {
      yield writeOnce(mine, 1);
      if (mutation === undefined) yield fence();
      if ((yield readOnce(other)) !== 0) return;
      const before = yield add(2, 1);
      yield claim(before === 0, "nobody else is inside");
      yield add(2, -1);
    }
    return {
      words: [{ name: "wants 0", value: 0 }, { name: "wants 1", value: 0 }, { name: "inside", value: 0 }],
      threads: [{ name: "zero", run: () => entrant(0, 1) }, { name: "one", run: () => entrant(1, 0) }],
    };
  },
};
