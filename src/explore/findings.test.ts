/** Each kind of finding, where it must be and where it must not be; known faults; and each check of the engine, switched off, misses one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineChecks } from "./checks.js";
import { explore } from "./explore.js";
import type { Finding, Operation, Scenario, ScenarioDescription } from "./model.js";
import {
  add, allocate, claim, free, load, lock, noSleep, note, plainLoad, plainStore, readLock, readOnce, readUnlock, retry, sleepUntil, spinLock, spinUntil, store, tryLock,
  unlock, use, writeLock, writeOnce, writeUnlock,
} from "./operations.js";
import type { ExploreOptions } from "./options.js";
import { lockOrder, lostWakeup, storeBuffering } from "./scenarios/classics.js";
import { naiveRefresher } from "./scenarios/naive-refresher.js";

type Steps = Generator<Operation, void, number>;

/** A scenario with words 0, 1, 2, ... named a, b, c, ... that are 0. */
function scenario(runs: readonly (() => Steps)[], more: Partial<Scenario> = {}): ScenarioDescription {
  return {
    name: "test", says: "", expected: "holds",
    create: () => ({
      words: ["a", "b", "c"].map((name) => ({ name, value: 0 })),
      threads: runs.map((run, index) => ({ name: ["one", "two", "three"][index]!, run })), ...more,
    }),
  };
}

const WAYS: readonly ExploreOptions[] = [{ reduction: "states" }, { reduction: "dpor" }, { reduction: "none" }];

/** All findings of all three searches, which are the same. */
function findingsOf(description: ScenarioDescription, options: ExploreOptions = {}): string[] {
  const [first, ...others] = WAYS.map((way) => {
    const { findings } = explore(description, { ...options, ...way, findsAll: true });
    return [...new Set(findings.map(({ kind, says }) => `${kind}: ${says}`))].sort();
  });
  for (const other of others) assert.deepEqual(other, first);
  return first!;
}

function expectKind(description: ScenarioDescription, kind: Finding["kind"] | "holds", options: ExploreOptions = {}): void {
  for (const way of WAYS) {
    const { verdict, findings } = explore(description, { ...options, ...way });
    assert.equal(verdict === "holds" ? "holds" : findings[0]?.kind, kind, way.reduction);
  }
}

test("known faults are found, and their right versions hold", () => {
  expectKind(naiveRefresher, "use-after-free");
  expectKind(lostWakeup, "holds");
  expectKind(lostWakeup, "deadlock", { mutation: "counter read too late" });
  expectKind(lockOrder, "holds");
  expectKind(lockOrder, "deadlock", { mutation: "other order" });
});

test("Dekker without a barrier fails under tso only", () => {
  expectKind(storeBuffering, "holds", { mutation: "no barrier" });
  expectKind(storeBuffering, "claim", { mutation: "no barrier", memoryModel: "tso" });
  expectKind(storeBuffering, "holds", { memoryModel: "tso" });
});

test("random and pct find them, too", () => {
  for (const scheduler of ["random", "pct"] as const) {
    for (const [description, options] of [[naiveRefresher, {}], [lostWakeup, { mutation: "counter read too late" }], [lockOrder, { mutation: "other order" }]] as const) {
      const { verdict, tally } = explore(description, { ...options, scheduler, seed: 7, runs: 2000 });
      assert.equal(verdict, "fails", `${scheduler} ${description.name}`);
      assert.ok(tally.schedules < 2000);
      assert.deepEqual(explore(description, { ...options, scheduler, seed: 7, runs: 2000 }).tally, tally, "the same seed gives the same runs");
    }
    assert.equal(explore(lockOrder, { scheduler, runs: 300 }).tally.schedules, 300);
  }
});

test("a deadlock names the cycle, and who is in it", () => {
  const takes = (...order: readonly [number, number]) => function* (): Steps {
    yield lock(order[0]);
    yield lock(order[1]);
    yield unlock(order[1]);
    yield unlock(order[0]);
  };
  assert.deepEqual(findingsOf(scenario([takes(0, 1), takes(1, 2), takes(2, 0)])), [
    "deadlock: they wait for each other: one waits for lock b, which two holds; two waits for lock c, which three holds; three waits for lock a, which one holds",
  ]);
  assert.deepEqual(findingsOf(scenario([function* () { yield lock(0); yield lock(0); }])), [
    "deadlock: they wait for each other: one waits for lock a, which one holds",
  ]);
});

test("a fair reader-writer lock deadlocks where a reader takes it twice, one that is not fair does not", () => {
  const twice = (fair: boolean) => [
    function* (): Steps {
      yield readLock(0, fair);
      yield readLock(0, fair);
      yield readUnlock(0);
      yield readUnlock(0);
    },
    function* (): Steps {
      yield writeLock(0, fair);
      yield writeUnlock(0);
    },
  ];
  const findings = findingsOf(scenario(twice(true)));
  assert.equal(findings.length, 1);
  assert.match(findings[0]!, /^deadlock: nobody can go on: one waits for read-lock a, where two waits to write; two waits for write-lock a, which has 1 reader$/);
  assert.deepEqual(findingsOf(scenario(twice(false))), []);
});

test("a daemon may be left standing, another thread may not", () => {
  const waits = function* (): Steps { yield sleepUntil(0, (value) => value === 2); };
  assert.match(findingsOf(scenario([waits]))[0]!, /deadlock: nobody can go on: one waits for a change of a, which is 0/);
  const daemon: ScenarioDescription = { ...scenario([waits]), create: () => ({ words: [{ name: "a", value: 0 }], threads: [{ name: "d", isDaemon: true, run: waits }] }) };
  assert.deepEqual(findingsOf(daemon), []);
});

test("sleeping is found where it is forbidden, even if there is nothing to wait for; it nests", () => {
  const sleeps = (ends: number) => scenario([function* () {
    yield noSleep(true);
    yield noSleep(true);
    for (let end = 0; end < ends; end++) yield noSleep(false);
    yield lock(0);
    yield unlock(0);
  }]);
  assert.deepEqual(findingsOf(sleeps(1)), ["sleep-in-no-sleep: one may sleep in lock a, where it must not"]);
  assert.deepEqual(findingsOf(sleeps(2)), []);
  assert.deepEqual(findingsOf(scenario([function* () { yield noSleep(true); yield spinLock(0); yield unlock(0); }])), []);
});

test("frames: used again at once, use after free, double free, leak", () => {
  const frames = scenario([function* () {
    const first = yield allocate();
    const second = yield allocate();
    yield claim(first === 1 && second === 2, "numbers from 1 on");
    yield free(1);
    yield free(2);
    yield claim((yield allocate()) === 2 && (yield allocate()) === 1, "the one freed last comes first");
    yield use(1);
    yield free(1);
    yield free(2);
  }]);
  assert.deepEqual(findingsOf(frames), []);
  assert.deepEqual(findingsOf(scenario([function* () { yield free(1); yield use(1); }], { framesAtStart: 1 })), ["use-after-free: one uses frame 1, which is free"]);
  assert.deepEqual(findingsOf(scenario([function* () { yield free(1); yield free(1); }], { framesAtStart: 1 })), ["double-free: one frees frame 1, which is free"]);
  const leaks = function* (): Steps { yield allocate(); };
  assert.deepEqual(findingsOf(scenario([leaks])), ["leak: 1 frames are in use at the end, 0 at most were expected"]);
  assert.deepEqual(findingsOf(scenario([leaks], { framesAtEnd: 1 })), []);
});

const RACE = "data-race: one and two access b at the same time, with plain accesses";
const reads = (first: Operation) => function* (): Steps {
  if ((yield first) === 1) yield plainLoad(1);
};
const writesThen = (last: Operation) => function* (): Steps {
  yield plainStore(1, 5);
  yield last;
};

test("a data race is found where nothing orders two plain accesses, and not where a value or a lock does", () => {
  for (const memoryModel of ["sc", "tso"] as const) {
    assert.deepEqual(findingsOf(scenario([writesThen(store(0, 1)), reads(load(0))]), { memoryModel }), []);
    assert.deepEqual(findingsOf(scenario([writesThen(writeOnce(0, 1)), reads(readOnce(0))]), { memoryModel }), []);
    assert.deepEqual(findingsOf(scenario([writesThen(store(2, 1)), reads(load(0))]), { memoryModel }), [], "the read is not reached");
    assert.deepEqual(findingsOf(scenario([writesThen(load(0)), function* () { yield load(0); yield plainLoad(1); }]), { memoryModel }), [RACE]);
    assert.deepEqual(findingsOf(scenario([writesThen(load(0)), function* () { yield load(1); }]), { memoryModel }), [RACE], "plain and atomic");
    assert.deepEqual(findingsOf(scenario([writesThen(load(0)), function* () { yield spinUntil(1, (value) => value === 7); }]), { memoryModel })
      .filter((finding) => finding.startsWith("data-race")), [RACE], "who waits for a word reads it");
  }
  const locked = function* (): Steps {
    yield lock(0);
    yield plainStore(1, 1);
    yield unlock(0);
  };
  assert.deepEqual(findingsOf(scenario([locked, locked])), []);
  const tries = function* (): Steps {
    const isTaken = (yield tryLock(0)) === 1;
    yield plainStore(1, 1);
    if (isTaken) yield unlock(0);
  };
  assert.deepEqual(findingsOf(scenario([locked, tries])), [RACE]);
  assert.deepEqual(findingsOf(scenario([function* () { yield plainLoad(1); }, function* () { yield plainLoad(1); }])), [], "two reads");
});

test("an invariant is asked where two independent steps lead through a state that one order alone does not have", () => {
  const flips = (cell: number) => function* (): Steps {
    yield store(cell, 1);
    yield store(cell, 0);
  };
  const bothOne = { invariant: (view: { value(cell: number): number }) => (view.value(0) + view.value(1) === 2 ? "both are 1" : undefined) };
  assert.deepEqual(findingsOf(scenario([flips(0), flips(1)], bothOne)), ["invariant: both are 1"]);
});

test("a note is one with the step before it", () => {
  const enters = (cell: number) => function* (): Steps {
    yield lock(2);
    yield note(cell, 1);
    yield load(2);
    yield note(cell, 0);
    yield unlock(2);
  };
  const excluded = { invariant: (view: { value(cell: number): number }) => (view.value(0) + view.value(1) > 1 || (view.value(0) + view.value(1) === 1 && view.value(2) === 0) ? "wrong" : undefined) };
  assert.deepEqual(findingsOf(scenario([enters(0), enters(1)], excluded)), []);
});

test("what a thread throws is a finding, and what the end must be is asked at the end", () => {
  assert.deepEqual(findingsOf(scenario([function* () { if ((yield load(0)) === 0) throw new Error("it is 0"); }])), ["claim: one threw it is 0"]);
  const end = { atEnd: (view: { value(cell: number): number }) => (view.value(0) === 2 ? undefined : `a is ${view.value(0)}`) };
  const loses = function* (): Steps { yield store(0, (yield load(0)) + 1); };
  assert.deepEqual(findingsOf(scenario([loses, loses], end)), ["end: a is 1"]);
  assert.deepEqual(findingsOf(scenario([function* () { yield add(0, 1); }, function* () { yield add(0, 1); }], end)), []);
});

const retries = function* (): Steps {
  while ((yield load(0)) !== 0) yield retry("a is not 0");
};

test("retrying for ever with nobody else able to go on is a livelock; behind the bound while others could go on is a cut", () => {
  const stuck = scenario([retries, function* () { yield store(0, 1); }]);
  assert.deepEqual(findingsOf(stuck), ["livelock: one retries for ever though nobody else can go on: a is not 0"]);
  const passing = scenario([retries, function* () { yield store(0, 1); yield store(0, 0); }]);
  for (const way of WAYS) {
    const { verdict, tally } = explore(passing, { ...way, retries: 2 });
    assert.equal(verdict, "holds");
    assert.ok(tally.cut > 0);
  }
  assert.equal(explore(scenario([function* () { yield store(0, 1); yield store(0, 0); }, function* () { yield load(0); }])).tally.cut, 0);
});

test("a cut path does not hide what the others do behind the cut", () => {
  // The retrying thread may use up its rounds before the other one has made its first step.
  const other = function* (): Steps {
    yield store(0, 1);
    yield use(1);
  };
  assert.ok(findingsOf(scenario([retries, other]), { retries: 0 }).some((finding) => finding.startsWith("use-after-free")));
});

test("the bound of steps cuts", () => {
  const endless = scenario([function* () { for (;;) yield add(0, 1); }]);
  const { verdict, tally } = explore(endless, { steps: 20 });
  assert.deepEqual([verdict, tally.cut, tally.depthMax], ["holds", 1, 20]);
});

test("wrong words and frames of a scenario are refused with an error", () => {
  assert.throws(() => explore(scenario([function* () { yield load(9); }])), /there is no word 9/);
  assert.throws(() => explore(scenario([function* () { yield use(-1); }])), /no frame/);
  assert.throws(() => explore(scenario([function* () { for (;;) yield allocate(); }])), /more than 24 frames/);
});

/** Each check, and a known fault that is missed without it. */
const PLANTED: readonly (readonly [check: keyof EngineChecks, description: ScenarioDescription, options: ExploreOptions])[] = [
  ["findsDeadlocks", lockOrder, { mutation: "other order" }],
  ["findsFreedFrames", naiveRefresher, {}],
  ["findsDoubleFrees", scenario([function* () { yield free(1); yield free(1); }], { framesAtStart: 1 }), {}],
  ["findsLeaks", scenario([function* () { yield allocate(); }]), {}],
  ["findsSleeps", scenario([function* () { yield noSleep(true); yield lock(0); yield unlock(0); }]), {}],
  ["findsLivelocks", scenario([retries, function* () { yield store(0, 1); }]), {}],
  ["findsRaces", scenario([writesThen(load(0)), function* () { yield plainLoad(1); }]), {}],
  ["findsRaces", scenario([writesThen(load(0)), function* () { yield plainLoad(1); }]), { reduction: "dpor" }],
  ["ordersReadsAndWrites", lostWakeup, { mutation: "counter read too late", reduction: "dpor" }],
  ["looksAtBlocked", lockOrder, { mutation: "other order", reduction: "dpor" }],
];

for (const [check, description, options] of PLANTED) {
  test(`without ${check} a known fault of ${description.name} is missed (${options.reduction ?? "states"})`, () => {
    assert.equal(explore(description, options).verdict, "fails");
    assert.equal(explore(description, { ...options, checks: { [check]: false } }).verdict, "holds");
  });
}
