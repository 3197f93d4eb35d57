import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { type Item, type Level, Loop, planRoutes, routeTo, shapeOf } from "./control-flow.js";

/** The shape as nested lists, loops as objects. */
const draw = (items: readonly Item[]): unknown[] => items.map((item) => (typeof item === "number" ? item : { loop: draw(item.items) }));

/** The levels at each block. */
function positions(items: readonly Item[], loop?: Loop, outer: readonly Level[] = []): Map<number, readonly Level[]> {
  return new Map(items.flatMap((item, at): [number, readonly Level[]][] => {
    const levels = [...outer, { loop, items, at }];
    return typeof item === "number" ? [[item, levels]] : [...positions(item.items, item, levels)];
  }));
}

/** The block at which a jump arrives that goes to `item` with `entry` in LOCAL.entry. */
function arrive(item: Item, entry: number): number {
  if (typeof item === "number") return item;
  if (!item.dispatches) return item.header;
  return arrive(item.items.find((each) => (typeof each === "number" ? each === entry : each.blocks.has(entry))) ?? item.header, entry);
}

/** Follows the jump from where `levels` are to `to`, as the code that is written for it does. */
function follow(to: number, levels: readonly Level[]): number {
  const { level, item } = routeTo(to, levels);
  const { loop, items } = levels[level]!;
  if (item !== "again") return arrive(items[item]!, to);
  return loop === undefined ? arrive(items.find((each) => (typeof each === "number" ? each === to : each.blocks.has(to)))!, to) : arrive(loop, to);
}

test("a loop is its header and what is left of it", () => {
  deepEqual(draw(shapeOf([[1], [2], [1, 3], []])), [0, { loop: [1, 2] }, 3]);
});

test("loops nest, and a block that jumps to itself is one", () => {
  deepEqual(draw(shapeOf([[1], [2], [2, 3], [1, 4], []])), [0, { loop: [1, { loop: [2] }, 3] }, 4]);
});

test("what is no loop stands in the order of its jumps", () => {
  deepEqual(draw(shapeOf([[2, 3], [], [1], [2]])), [0, 3, 2, 1]);
});

test("a loop with two ways in sends them to their blocks itself", () => {
  const successors = [[1, 2], [2], [1]];
  const shape = shapeOf(successors);
  planRoutes(successors, shape);
  const loop = shape[1];
  ok(loop instanceof Loop && loop.dispatches);
});

test("a loop that is entered at its header does not ask where its rounds begin", () => {
  const successors = [[1], [2], [1]];
  const shape = shapeOf(successors);
  planRoutes(successors, shape);
  const loop = shape[1];
  ok(loop instanceof Loop && !loop.dispatches);
});

test("every jump of drawn graphs arrives", () => {
  let state = 1;
  const draw32 = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  for (let round = 0; round < 2000; round++) {
    const count = 1 + (draw32() % 12);
    const successors = Array.from({ length: count }, () => Array.from({ length: draw32() % 4 }, () => draw32() % count));
    const shape = shapeOf(successors);
    planRoutes(successors, shape);
    const levels = positions(shape);
    equal(levels.size, count);
    successors.forEach((all, from) => { for (const to of all) equal(follow(to, levels.get(from)!), to, JSON.stringify(successors)); });
  }
});
