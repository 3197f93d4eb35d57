import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation, Scenario } from "./model.js";
import { load, lock, store, unlock, update } from "./operations.js";
import { Exploration } from "./exploration.js";
import { ALL_CHECKS } from "./checks.js";
import { nothingWatched } from "./machine-options.js";
import { searchEvery } from "./schedulers/every.js";
import { searchAll } from "./testing/search.js";

/** Threads that make so many steps each, every thread on a word of its own. */
function independent(...counts: readonly number[]): Scenario {
  function* run(cell: number, count: number): Generator<Operation, void, number> {
    for (let step = 0; step < count; step++) yield update(cell, (value) => value + 1);
  }
  return {
    words: counts.map((_, cell) => ({ name: `w${cell}`, value: 0 })),
    threads: counts.map((count, cell) => ({ name: `t${cell}`, run: () => run(cell, count) })),
  };
}

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

/** Orders of so many steps of several threads: (sum)! / product of the (count)!. */
function multinomial(...counts: readonly number[]): number {
  return factorial(counts.reduce((sum, count) => sum + count, 0)) / counts.reduce((product, count) => product * factorial(count), 1);
}

/** The schedules of a search without reduction, as texts. */
function schedulesOf(create: () => Scenario): string[] {
  const schedules: string[] = [];
  const exploration: Exploration = new Exploration(
    { create, isTso: false, retriesMax: 0, stepsMax: Infinity, checks: ALL_CHECKS, hasClocks: true, watched: nothingWatched(create().words.length) },
    { stopsAtFirst: false, isOver: () => false, preemptionsMax: Infinity, onEnd: () => void schedules.push(exploration.path().join("")) });
  searchEvery(exploration);
  return schedules;
}

test("two threads with two steps each have the six schedules that there are", () => {
  assert.deepEqual(schedulesOf(() => independent(2, 2)).sort(), ["0011", "0101", "0110", "1001", "1010", "1100"]);
});

test("three threads, one with two steps, have twelve schedules", () => {
  assert.deepEqual(schedulesOf(() => independent(2, 1, 1)).sort(), [
    "0012", "0021", "0102", "0120", "0201", "0210", "1002", "1020", "1200", "2001", "2010", "2100",
  ]);
});

test("without reduction independent steps have as many schedules as the multinomial coefficient says", () => {
  for (const counts of [[1], [5], [1, 1], [3, 3], [6, 6], [7, 2], [2, 2, 2], [3, 3, 3], [1, 2, 3], [2, 2, 2, 2]]) {
    assert.equal(searchAll(() => independent(...counts), "every").tally.schedules, multinomial(...counts), String(counts));
  }
});

test("with reduction independent steps have one schedule", () => {
  for (const counts of [[6, 6], [3, 3, 3], [2, 2, 2, 2]]) {
    const { tally } = searchAll(() => independent(...counts), "dpor");
    assert.deepEqual([tally.schedules, tally.pruned], [1, 0], String(counts));
  }
});

test("independent steps have as many states as the product of the places in the threads", () => {
  for (const counts of [[6, 6], [3, 3, 3], [1, 2, 3, 4]]) {
    const { tally } = searchAll(() => independent(...counts), "states");
    assert.equal(tally.states, counts.reduce((product, count) => product * (count + 1), 1), String(counts));
    assert.equal(tally.schedules, 1);
  }
});

test("with reduction steps on one word have a schedule for each order, and none is repeated", () => {
  const create = (): Scenario => {
    function* run(): Generator<Operation, void, number> {
      yield update(0, (value) => value + 1);
      yield update(0, (value) => value + 1);
    }
    return { words: [{ name: "w", value: 0 }], threads: [{ name: "a", run }, { name: "b", run }, { name: "c", run }] };
  };
  assert.equal(searchAll(create, "dpor").tally.schedules, multinomial(2, 2, 2));
});

test("n readers and one writer of a word have 2^n schedules that differ", () => {
  for (const readers of [1, 2, 3, 4]) {
    const create = (): Scenario => ({
      words: [{ name: "w", value: 0 }],
      threads: [
        { name: "writer", *run() { yield store(0, 1); } },
        ...Array.from({ length: readers }, (_, n) => ({ name: `r${n}`, *run(): Generator<Operation, void, number> { yield load(0); } })),
      ],
    });
    assert.equal(searchAll(create, "dpor").tally.schedules, 2 ** readers);
  }
});

test("n threads that take one lock have n! schedules that differ", () => {
  for (const count of [1, 2, 3, 4]) {
    const create = (): Scenario => {
      function* run(): Generator<Operation, void, number> {
        yield lock(0);
        yield unlock(0);
      }
      return { words: [{ name: "lock", value: 0 }], threads: Array.from({ length: count }, (_, n) => ({ name: `t${n}`, run })) };
    };
    assert.equal(searchAll(create, "dpor").tally.schedules, factorial(count));
  }
});

test("so many preemptions allow as many schedules of two threads as there are ways to cut them", () => {
  // Runs of two threads with n steps each and c preemptions: either begins; a thread that ends is not preempted.
  const schedules = (preemptions: number): number => searchAll(() => independent(3, 3), "every", { preemptionsMax: preemptions }).tally.schedules;
  const all = schedulesOf(() => independent(3, 3));
  const preemptionsOf = (schedule: string): number => [...schedule].filter((who, at) =>
    at > 0 && schedule[at - 1] !== who && schedule.slice(at).includes(schedule[at - 1]!)).length;
  for (const bound of [0, 1, 2, 3, 4]) assert.equal(schedules(bound), all.filter((schedule) => preemptionsOf(schedule) <= bound).length, String(bound));
  assert.equal(schedules(0), 2);
});
