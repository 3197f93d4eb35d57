import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_PAGES_MAX, StormPace, type StormRate } from "./storm-pace.js";

const MS = 1e6;

/** Lets a storm run for `lengthNs`, looked at every `everyNs`; the sizes of its batches. */
function simulate(rate: StormRate, lengthNs: number, everyNs: number): number[] {
  const pace = new StormPace(rate, 5e9);
  const batches: number[] = [];
  for (let now = 5e9; now <= 5e9 + lengthNs; now += everyNs) {
    const due = pace.due(now);
    if (due > 0) batches.push(due);
    pace.note(due);
  }
  return batches;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

test("exactly as many moves are made as are asked for", () => {
  for (const rate of [1, 3, 10, 249, 250, 1000]) assert.equal(sum(simulate(rate, 10e9, MS)), rate * 10, `${rate}`);
  // Less than a batch may be owed still.
  for (const rate of [1001, 15_999, 64_000]) {
    const total = sum(simulate(rate, 10e9, MS));
    assert.ok(total <= rate * 10 && total > rate * 10 - BATCH_PAGES_MAX, `${total} of ${rate * 10}`);
  }
});

test("low rates move page by page, high ones in batches of at most 64", () => {
  assert.deepEqual(new Set(simulate(10, 5e9, MS)), new Set([1]));
  assert.deepEqual(new Set(simulate(1000, 5e9, MS)), new Set([4]));
  assert.ok(simulate(60_000, 2e9, MS / 10).every((batch) => batch <= BATCH_PAGES_MAX && batch >= 60));
});

test("what was missed for a while is made up for, with up to 64 at a time", () => {
  const pace = new StormPace(1000, 0);
  assert.equal(pace.due(0.5e9), 64);
  let total = 0;
  for (let due = pace.due(0.5e9); due > 0; due = pace.due(0.5e9)) {
    pace.note(due);
    total += due;
  }
  assert.equal(total, 500);
});

test("a storm that was held up for long owes one second", () => {
  const pace = new StormPace(1000, 0);
  let total = 0;
  for (let due = pace.due(100e9); due > 0; due = pace.due(100e9)) {
    pace.note(due);
    total += due;
  }
  assert.ok(total >= 996 && total <= 1000, `${total}`);
  assert.equal(pace.due(100e9 + 8 * MS) > 0, true);
});

test("pages that did not move are still owed", () => {
  const pace = new StormPace(100, 0);
  assert.equal(pace.due(10 * MS), 1);
  pace.note(0);
  assert.equal(pace.due(10 * MS), 1);
  pace.note(1);
  assert.equal(pace.due(10 * MS), 0);
});

test("the wait ends when the batch is due", () => {
  const pace = new StormPace(1000, 0);
  assert.equal(pace.waitNs(0), 4 * MS);
  assert.equal(pace.waitNs(3 * MS), 1 * MS);
  assert.equal(pace.waitNs(9 * MS), 0);
  assert.equal(pace.due(4 * MS), 4);
});

test("off is never due, max always", () => {
  const [off, max] = [new StormPace(0, 0), new StormPace("max", 0)];
  assert.deepEqual([off.due(1e12), off.waitNs(1e12)], [0, Infinity]);
  max.note(64);
  assert.deepEqual([max.due(0), max.waitNs(0)], [64, 0]);
});
