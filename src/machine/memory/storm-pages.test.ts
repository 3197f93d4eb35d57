import assert from "node:assert/strict";
import { test } from "node:test";
import { type Gfn, gfnOf } from "../../abi/address.js";
import { RandomNumbers, StormPages } from "./storm-pages.js";
import { ModelOperations } from "./test-operations.js";

/** The pages of `rounds` rounds, taken in batches of 4. */
function rounds(pages: StormPages, count: number): Gfn[][] {
  return Array.from({ length: count }, () => Array.from({ length: 16 }, () => pages.take(4)).flat());
}

test("the same seed gives the same pages, another one others", () => {
  const take = (seed: number): Gfn[] => rounds(new StormPages(new ModelOperations(), seed), 3).flat();
  assert.deepEqual(take(7), take(7));
  assert.notDeepEqual(take(7), take(8));
});

test("random numbers are spread evenly, and reach both ends", () => {
  const random = new RandomNumbers(1);
  const counts = new Array<number>(10).fill(0);
  for (let n = 0; n < 100_000; n++) counts[random.below(10)]!++;
  assert.ok(counts.every((count) => count > 9_600 && count < 10_400), counts.join(" "));
});

test("every mapped page is in every round, once", () => {
  const model = new ModelOperations();
  model.mapped.push(gfnOf(3), gfnOf(3), gfnOf(0x1005), gfnOf(0x1100));
  for (const round of rounds(new StormPages(model, 1), 20)) {
    assert.equal(new Set(round).size, 64);
    for (const gfn of model.mapped) assert.ok(round.includes(gfn));
  }
});

test("pages come from all of all memslots", () => {
  const model = new ModelOperations();
  const seen = new Set(rounds(new StormPages(model, 1), 400).flat());
  assert.equal(seen.size, model.pageCount);
});

test("pages without a frame are passed over, and a memory with none gives none", () => {
  const model = new ModelOperations();
  for (let n = 0; n < 1000; n++) model.swapped.add(gfnOf(0x1000 + n));
  const round = new StormPages(model, 1).take(64);
  assert.ok(round.length > 32 && round.every((gfn) => gfn < 160), round.join(" "));
  for (let n = 0; n < 160; n++) model.swapped.add(gfnOf(n));
  assert.deepEqual(new StormPages(model, 1).take(64), []);
});
