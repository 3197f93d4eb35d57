import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, hvaPageOf } from "../abi/address.js";
import { HostMemory } from "./index.js";
import type { InvalidationRange, Invalidations } from "./index.js";

function invalidationsOf(): Invalidations {
  return HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 }).invalidations;
}

function rangeOf(firstHvaPage: number, pageCount: number): readonly InvalidationRange[] {
  return [{ firstHvaPage: hvaPageOf(firstHvaPage), firstGfn: gfnOf(0), pageCount }];
}

test("a frame looked up while nothing changes may be published", () => {
  const invalidations = invalidationsOf();
  const index = invalidations.sequenceIndex(hvaPageOf(5000));
  assert.equal(invalidations.mayPublish(index, invalidations.sequence(index)), true);
});

test("a frame looked up before, during or across an invalidation may not be published after it", () => {
  const invalidations = invalidationsOf();
  const index = invalidations.sequenceIndex(hvaPageOf(5000));
  const before = invalidations.sequence(index);
  invalidations.begin(rangeOf(5000, 1));
  const during = invalidations.sequence(index);
  invalidations.end(rangeOf(5000, 1));
  assert.equal(invalidations.mayPublish(index, before), false);
  assert.equal(invalidations.mayPublish(index, during), false);
  assert.equal(invalidations.mayPublish(index, invalidations.sequence(index)), true);
});

test("every page of a range is hit, however long and wherever it starts", () => {
  for (const [first, count] of [[1024, 1], [2047, 2], [5000, 1023], [5000, 1024], [900, 300_000]] as const) {
    const invalidations = invalidationsOf();
    const probes = [first, first + (count >>> 1), first + count - 1].map((page) => invalidations.sequenceIndex(hvaPageOf(page)));
    const before = probes.map((index) => invalidations.sequence(index));
    invalidations.begin(rangeOf(first, count));
    invalidations.end(rangeOf(first, count));
    probes.forEach((index, at) => {
      assert.equal(invalidations.mayPublish(index, before[at]!), false);
      assert.equal(invalidations.mayPublish(index, invalidations.sequence(index)), true, "the active count is back at 0");
    });
  }
});

test("a page next to the range is left alone", () => {
  const invalidations = invalidationsOf();
  const index = invalidations.sequenceIndex(hvaPageOf(5002));
  const before = invalidations.sequence(index);
  invalidations.begin(rangeOf(5000, 2));
  assert.equal(invalidations.mayPublish(index, before), true);
  invalidations.end(rangeOf(5000, 2));
});

test("an invalidation begun inside one's own section stops the VM instead of waiting for itself", () => {
  const invalidations = invalidationsOf();
  invalidations.enter();
  assert.throws(() => invalidations.begin(rangeOf(5000, 1)), { name: "AssertionError", message: /no open guest page section/ });
  invalidations.leave();
});

test("an end without its begin stops the VM: the count never goes below zero", () => {
  const invalidations = invalidationsOf();
  assert.throws(() => invalidations.end(rangeOf(5000, 1)), { name: "AssertionError", message: /that was begun/ });
});
