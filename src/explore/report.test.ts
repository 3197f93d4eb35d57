import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation } from "./model.js";
import { drawPage, explore, ReplayError } from "./index.js";
import { readSchedule, writeSchedule } from "./schedule-string.js";
import { lockOrder, lostWakeup, storeBuffering } from "./scenarios/classics.js";
import { naiveRefresher } from "./scenarios/naive-refresher.js";

test("the report of a fault, word for word", () => {
  assert.equal(explore(naiveRefresher).text.replace(/\n[^\n]*$/, ""), [
    "      reader              mover                   words",
    "   1                      load page table: 1",
    "   2                      store pointer = 0       pointer 1 -> 0",
    "   3                      await readers: 0",
    "   4  store readers = 1                           readers 0 -> 1",
    "   5  load pointer: 0",
    "   6  store readers = 0                           readers 1 -> 0",
    "   7  load page table: 1",
    "   8  store pointer = 1                           pointer 0 -> 1",
    "       reader retries: the pointer was cleared",
    "   9  store readers = 1                           readers 0 -> 1",
    "  10  load pointer: 1",
    "  11                      allocate: frame 2       frames 1 -> 1,2",
    "  12                      store page table = 2    page table 1 -> 2",
    "  13                      free frame 1            frames 1,2 -> 2",
    "  14  use frame 1",
    "  => use-after-free: reader uses frame 1, which is free",
    "",
    "naive-refresher fails: use-after-free: reader uses frame 1, which is free (14 steps, 2 preemptions, the fewest there are)",
    "replay: naive-refresher::sc:3:1*3.0*7.1*3.0",
    "bound: 2 threads (reader, mover); any number of preemptions; 3 retries and 10000 steps a thread; " +
      "memory model sc (sequentially consistent); every state once (states)",
  ].join("\n"));
});

test("a report that holds names all bounds", () => {
  const { text, verdict } = explore(lostWakeup, { preemptions: 2, retries: 1, steps: 50, memoryModel: "tso" });
  assert.equal(verdict, "holds");
  assert.match(text, /^lost-wakeup holds within this bound: 2 threads \(sleeper, waker\); 2 preemptions; 1 retry and 50 steps a thread; /);
  assert.match(text, /memory model tso \(plain stores delayed by up to 8 entries\); every state once \(states\)\n\d+ schedules, \d+ states, \d+ steps, depth \d+$/);
  assert.match(explore(lostWakeup, { reduction: "dpor" }).text, /one schedule for each order of the steps that do not commute \(dpor\)/);
  assert.match(explore(lostWakeup, { scheduler: "pct", runs: 5, seed: 9 }).text, /5 runs by chance with changing priorities \(pct, depth 3\), seed 9/);
});

test("a fault that needs n preemptions is missed with a bound of n - 1 and found with n", () => {
  for (const [description, options, count] of [
    [naiveRefresher, {}, 2], [lostWakeup, { mutation: "counter read too late" }, 1], [lockOrder, { mutation: "other order" }, 1],
  ] as const) {
    for (const reduction of ["states", "none"] as const) {
      assert.equal(explore(description, { ...options, reduction, preemptions: count - 1 }).verdict, "holds");
      assert.equal(explore(description, { ...options, reduction, preemptions: count }).verdict, "fails");
    }
    assert.equal(explore(description, options).schedule!.preemptions, count);
  }
});

test("every schedule that is printed can be replayed, with its finding and the same picture", () => {
  // The protocols' schedules are replayed by their own test, with the bounds that they need.
  for (const description of [naiveRefresher, lostWakeup, lockOrder, storeBuffering]) {
    for (const mutation of [undefined, ...(description.mutations ?? [])]) {
      for (const memoryModel of ["sc", "tso"] as const) {
        const options = { memoryModel, ...(mutation === undefined ? {} : { mutation }) };
        const { schedule, findings } = explore(description, options);
        if (schedule === undefined) continue;
        const again = explore(description, { ...options, replay: schedule.replay });
        // The schedule is the first finding's; it may show others on its way, and findings behind the first may be other schedules'.
        assert.deepEqual(again.schedule!.trace, schedule.trace);
        assert.ok(again.findings.some(({ kind, says }) => kind === findings[0]!.kind && says === findings[0]!.says), schedule.replay);
      }
    }
  }
});

test("a livelock is replayed, too", () => {
  const description = {
    name: "spin", says: "", expected: "livelock" as const,
    create: () => ({
      words: [{ name: "a", value: 1 }],
      threads: [{ name: "spinner", *run(): Generator<Operation, void, number> { while ((yield { kind: "load", cell: 0 }) !== 0) yield { kind: "retry", why: "a is 1" }; } }],
    }),
  };
  const { schedule, findings } = explore(description, { retries: 2 });
  assert.equal(findings[0]!.kind, "livelock");
  assert.deepEqual(explore(description, { retries: 2, replay: schedule!.replay }).findings, findings);
});

test("schedules are short texts, and come back", () => {
  const header = { scenario: "A scenario, its name", mutation: "no barrier", memoryModel: "tso" as const, retries: 3 };
  const choices = [0, 0, 0, 1, 2, 2, 11, 0, ...new Array<number>(40).fill(3)];
  const text = writeSchedule(header, choices);
  assert.equal(text, "a-scenario-its-name:no-barrier:tso:3:0*3.1.2*2.b.0.3*14");
  assert.deepEqual(readSchedule(text, header), choices);
  assert.deepEqual(readSchedule(writeSchedule(header, []), header), []);
});

test("a wrong schedule is refused in one line", () => {
  const replay = (text: string) => () => explore(storeBuffering, { replay: text });
  for (const [text, message] of [
    ["", /is no schedule/], ["0.1", /is no schedule/], ["lost-wakeup::sc:3:0", /is of lost-wakeup::sc:3, and not of dekker::sc:3/],
    ["dekker::tso:3:0", /is of dekker::tso:3/], ["dekker:no-barrier:sc:3:0", /is of dekker:no-barrier/], ["dekker::sc:4:0", /is of dekker::sc:4/],
    ["dekker::sc:3:0.!", /"!" is no part/], ["dekker::sc:3:0*9", /step 5 of the schedule is zero's, which cannot go on there/],
    ["dekker::sc:3:7", /step 1 of the schedule is nobody's store buffer's/],
  ] as const) {
    assert.throws(replay(text), (error: Error) => error instanceof ReplayError && message.test(error.message) && !error.message.includes("\n"), text);
  }
});

test("wrong options are refused in one line", () => {
  for (const options of [{ preemptions: -1 }, { retries: 1.5 }, { steps: 0 }, { runs: NaN }, { mutation: "none such" }, { preemptions: 1, reduction: "dpor" as const },
    { preemptions: 1, scheduler: "pct" as const }]) {
    assert.throws(() => explore(lockOrder, options), (error: Error & { code?: string }) => error.code === "ERR_EXPLORE_OPTION" && !error.message.includes("\n"));
  }
});

test("a search that may not take its time is incomplete, and says so", () => {
  const description = {
    name: "large", says: "", expected: "holds" as const,
    create: () => ({
      words: Array.from({ length: 4 }, (_, n) => ({ name: `w${n}`, value: 0 })),
      threads: Array.from({ length: 4 }, (_, n) => ({
        name: `t${n}`, *run() { for (let step = 0; step < 30; step++) yield { kind: "update" as const, cell: n, by: (value: number) => value + 1 }; },
      })),
    }),
  };
  let calls = 0;
  const { verdict, text } = explore(description, { timeMsMax: 0, onProgress: () => calls++ });
  assert.equal(verdict, "incomplete");
  assert.match(text, /the time was over before all was looked at/);
  assert.equal(calls, 1);
});

test("the page has the schedule and nothing from elsewhere", () => {
  const page = drawPage(explore(lockOrder, { mutation: "other order" }));
  assert.match(page, /lock-order with &quot;other order&quot;/);
  const [, data] = /<script id="trace" type="application\/json">(.*)<\/script>/.exec(page)!;
  assert.deepEqual((JSON.parse(data!) as { steps: { says: string }[] }).steps.map(({ says }) => says), ["lock A", "lock B"]);
  assert.doesNotMatch(page, /(?:src|href)=|https?:|url\(|@import/);
  assert.throws(() => drawPage(explore(lockOrder)), /no schedule/);
});

test("a page's data cannot end its script", () => {
  const description = { ...lockOrder, name: "a", create: () => ({ words: [{ name: "</script><b>", value: 0 }], threads: [{ name: "t", *run() { yield { kind: "lock" as const, cell: 0, sleeps: true }; yield { kind: "lock" as const, cell: 0, sleeps: true }; } }] }) };
  assert.doesNotMatch(drawPage(explore(description)), /<\/script><b>/);
});
