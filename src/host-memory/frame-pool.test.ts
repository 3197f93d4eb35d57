import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { frameAddress, hvaPageOf } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { FRAMES_BASE, PAGE_SIZE } from "../abi/layout.js";
import { HostMemory } from "./index.js";
import { FIRST_BLOCK, FRAMES_PER_BLOCK } from "./layout.js";

const MIB = 0x10_0000;
const PAGE = hvaPageOf(1);

function smallHost(): HostMemory {
  const host = HostMemory.create({ guestMemoryBytes: MIB, vcpuCount: 1 });
  host.pool.offlineBlock(FIRST_BLOCK + 1);
  return host;
}

function takeAll(host: HostMemory): Pfn[] {
  const taken: Pfn[] = [];
  for (let pfn = host.pool.allocateZeroed(PAGE); pfn !== undefined; pfn = host.pool.allocateZeroed(PAGE)) taken.push(pfn);
  return taken;
}

test("an exhausted pool says so, and gives every frame again once it is released", () => {
  const host = smallHost();
  const first = takeAll(host);
  assert.equal(first.length, FRAMES_PER_BLOCK);
  assert.equal(new Set(first).size, FRAMES_PER_BLOCK);
  assert.equal(host.statistics().framesInUse, FRAMES_PER_BLOCK);
  for (const pfn of first) host.pool.release([pfn]);
  assert.equal(host.statistics().framesInUse, 0);
  assert.equal(takeAll(host).length, FRAMES_PER_BLOCK);
});

test("a released frame is zeroed before it is handed out again", () => {
  const host = smallHost();
  const pfn = host.pool.allocateZeroed(PAGE)!;
  assert.ok(frameAddress(pfn) >= FRAMES_BASE);
  host.views.bytes.fill(0xa5, frameAddress(pfn), frameAddress(pfn) + PAGE_SIZE);
  host.pool.release([pfn]);
  assert.equal(host.pool.allocateZeroed(PAGE), pfn);
  assert.ok(host.views.bytes.subarray(frameAddress(pfn), frameAddress(pfn) + PAGE_SIZE).every((byte) => byte === 0));
});

test("releasing a free frame stops the VM", () => {
  const host = smallHost();
  const pfn = host.pool.allocateZeroed(PAGE)!;
  host.pool.release([pfn]);
  assert.throws(() => host.pool.release([pfn]), { name: "AssertionError", message: /a frame with a reference/ });
});

test("the frame table knows owner and references, and the last reference frees a frame", () => {
  const host = smallHost();
  const pfn = host.pool.allocateUncleared(hvaPageOf(77), "within-limit")!;
  assert.deepEqual(host.pool.describe(pfn), { owner: 77, references: 1 });
  host.pool.addReference(pfn);
  host.pool.release([pfn]);
  assert.equal(host.statistics().framesInUse, 1);
  host.pool.release([pfn]);
  assert.equal(host.statistics().framesInUse, 0);
});

test("the limit holds for first frames and not for moves", () => {
  const host = smallHost();
  host.setFrameLimit(2);
  const taken = [host.pool.allocateZeroed(PAGE), host.pool.allocateUncleared(PAGE, "within-limit")];
  assert.ok(taken.every((pfn) => pfn !== undefined));
  assert.equal(host.pool.allocateZeroed(PAGE), undefined);
  assert.equal(host.pool.allocateUncleared(PAGE, "within-limit"), undefined);
  assert.notEqual(host.pool.allocateUncleared(PAGE, "beyond-limit"), undefined);
});

test("a batch takes freed frames first, goes on in the next block, and is shorter when there are no more", () => {
  const host = HostMemory.create({ guestMemoryBytes: MIB, vcpuCount: 1 });
  const { framesTotal } = host.statistics();
  const owners = (count: number) => Array.from({ length: count }, (_, index) => hvaPageOf(index));
  const first = host.pool.allocateBatch(owners(3));
  host.pool.release(first);
  const all = host.pool.allocateBatch(owners(framesTotal - 1));
  assert.equal(all.length, framesTotal - 1);
  assert.deepEqual(new Set(all.slice(0, 3)), new Set(first));
  assert.equal(new Set(all).size, all.length);
  assert.deepEqual(host.pool.describe(all[5]!), { owner: 5, references: 1 });
  assert.equal(host.pool.allocateBatch(owners(4)).length, 1);
  assert.deepEqual(host.pool.allocateBatch(owners(4)), []);
  assert.equal(host.statistics().framesInUse, framesTotal);
  // A frame with two references is not freed, and the others of the batch are, whatever their blocks.
  host.pool.addReference(all[0]!);
  host.pool.release(all);
  assert.equal(host.statistics().framesInUse, 2);
  assert.deepEqual(host.pool.blocks().map(({ framesInUse }) => framesInUse).sort(), [1, 1]);
});

test("an isolated block gives no frames, and gives them again when that is cancelled", () => {
  const host = smallHost();
  assert.equal(host.pool.isolateBlock(FIRST_BLOCK), true);
  assert.equal(host.pool.isolateBlock(FIRST_BLOCK), false);
  assert.equal(host.pool.allocateZeroed(PAGE), undefined);
  host.pool.cancelIsolation(FIRST_BLOCK);
  assert.notEqual(host.pool.allocateZeroed(PAGE), undefined);
});

test("a block goes offline only when empty, and gives no frames until it is online again", () => {
  const host = HostMemory.create({ guestMemoryBytes: MIB, vcpuCount: 1 });
  assert.deepEqual(host.statistics().blocks.map((block) => block.state), ["online", "online"]);
  const pfn = host.pool.allocateZeroed(PAGE)!;
  assert.equal(host.pool.offlineBlock(FIRST_BLOCK), "in-use");
  assert.equal(host.pool.offlineBlock(FIRST_BLOCK + 1), "offline");
  const rest = takeAll(host);
  assert.equal(rest.length, FRAMES_PER_BLOCK - 1);
  assert.equal(host.statistics().blocks[1]!.framesInUse, 0);
  host.pool.onlineBlock(FIRST_BLOCK + 1);
  assert.equal(takeAll(host).length, FRAMES_PER_BLOCK);
  for (const frame of [pfn, ...rest]) host.pool.release([frame]);
  assert.equal(host.pool.offlineBlock(FIRST_BLOCK), "offline");
});

test("offline of a block that is not there stops the VM", () => {
  assert.throws(() => smallHost().pool.offlineBlock(FIRST_BLOCK + 200), { name: "AssertionError", message: /memory block of this host/ });
});

test("two threads that take and release frames never hold the same one", async () => {
  const host = smallHost();
  const results = await Promise.all([0x11, 0x22].map((signature) => {
    const workerData = { memory: host.memory, rounds: 15_000, signature };
    return once(new Worker(new URL("./frame-pool.worker.js", import.meta.url), { workerData }), "message");
  }));
  assert.deepEqual(results, [[0], [0]]);
  assert.equal(host.statistics().framesInUse, 0);
});
