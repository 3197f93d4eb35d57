/** The stand-ins do what the real views and atomics do, one thread alone: the same operations on both, made by chance. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atomicAddLong, atomicAndLong, atomicLoad, atomicLoadLong, atomicOrLong, atomicStoreLong } from "#sync";
import { gpaOf } from "../../abi/address.js";
import { PageView } from "../../guest-page/page-view.raw.js";
import { HostMemory } from "../../host-memory/index.js";
import { $now, setAtOnce } from "../instrument/runtime.js";
import * as seam from "../seam.js";
import { HostViews as ModelHostViews, PageView as ModelPageView } from "../views.js";
import { CellMap, World } from "../world.js";

const BYTES = 64;
const OFFSET = 128;

/** Numbers by chance, the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function modelOf(contents: readonly number[]): { readonly world: World; readonly views: ModelHostViews } {
  const world = new World(new CellMap(), contents);
  setAtOnce(world);
  return { world, views: new ModelHostViews({ buffer: { world } }) };
}

test("a view of a page answers as the real one, and leaves the same bytes", (context) => {
  context.after(() => setAtOnce(undefined));
  const { views } = modelOf(Array.from({ length: BYTES / 4 }, (_, word) => OFFSET + 4 * word));
  const model = new ModelPageView(views);
  const real = new PageView(HostMemory.create({ guestMemoryBytes: 1 << 20, vcpuCount: 1 }).views);
  const base = 0x1000_0000 + OFFSET;
  real.open(base, BYTES);
  $now(model.open(base, BYTES));
  for (const [round, operation] of operationsByChance(3000).entries()) {
    assert.deepEqual($now(operation(model as unknown as PageView)), operation(real), `round ${round}`);
    assert.equal(model.takeWrote(), real.takeWrote());
  }
  assert.deepEqual($now(model.copyOut(0, BYTES)), real.copyOut(0, BYTES));
});

type Use = (view: PageView) => unknown;

function operationsByChance(count: number): Use[] {
  const draw = numbers(1);
  const kinds: readonly ((at: number, value: number) => Use)[] = [
    (at) => (view) => view.readU8(at), (at, value) => (view) => view.writeU8(at, value & 0xff), (at) => (view) => view.readU32(at & ~3),
    (at, value) => (view) => view.writeU32(at & ~3, value), (at) => (view) => view.loadU8(at), (at, value) => (view) => view.storeU8(at, value & 0xff),
    (at, value) => (view) => view.exchangeU8(at, value & 0xff), (at, value) => (view) => view.addU32(at & ~3, value),
    (at, value) => (view) => view.testBit(8 * at + (value & 7)), (at, value) => (view) => view.testAndSetBit(8 * at + (value & 7)),
    (at, value) => (view) => view.testAndClearBit(8 * at + (value & 7)),
    (at, value) => (view) => view.copyIn(at >> 1, Uint8Array.from({ length: value & 31 }, (_, byte) => value >>> byte)),
    (at, value) => (view) => view.copyOut(at >> 1, value & 31),
  ];
  return Array.from({ length: count }, () => kinds[draw(kinds.length)]!(draw(BYTES), draw(2 ** 32)));
}

test("what is written to words that frames do not have reads as 0", (context) => {
  context.after(() => setAtOnce(undefined));
  const { views } = modelOf([OFFSET + 4]);
  const view = new ModelPageView(views);
  $now(view.open(OFFSET, BYTES));
  $now(view.copyIn(0, new Uint8Array(16).fill(0xff)));
  assert.deepEqual([...$now<Uint8Array>(view.copyOut(0, 12))], [0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
  $now(view.close());
  assert.throws(() => $now(view.readU8(4)), /inside the opened range/);
});

test("64-bit words answer as the real ones below 2^32 and for all ones, and refuse the rest", (context) => {
  context.after(() => setAtOnce(undefined));
  const { views } = modelOf([]);
  const longs = new BigInt64Array(new SharedArrayBuffer(16));
  const both = (real: bigint | void, model: unknown): void => assert.equal($now(model), real);
  both(atomicStoreLong(longs, 1, 5n), seam.atomicStoreLong(views.longs, 1, 5n));
  both(atomicOrLong(longs, 1, 0x8000_0000n), seam.atomicOrLong(views.longs, 1, 0x8000_0000n));
  both(atomicAddLong(longs, 1, 1n), seam.atomicAddLong(views.longs, 1, 1n));
  both(atomicAndLong(longs, 1, ~4n), seam.atomicAndLong(views.longs, 1, ~4n));
  both(atomicLoadLong(longs, 1), seam.atomicLoadLong(views.longs, 1));
  // Its lower half by itself is the same word.
  assert.equal($now<number>(seam.atomicLoad(views.words, 2)) | 0, atomicLoad(new Int32Array(longs.buffer), 2));
  both(atomicStoreLong(longs, 1, -1n), seam.atomicStoreLong(views.longs, 1, -1n));
  both(atomicLoadLong(longs, 1), seam.atomicLoadLong(views.longs, 1));
  assert.throws(() => $now(seam.atomicStoreLong(views.longs, 1, 1n << 32n)), /below 2\^32/);
});
