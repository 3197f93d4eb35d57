import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicLoad, waitWhile } from "#sync";
import { gfnOf } from "../abi/address.js";
import { WORD_TEST_AREA } from "./fault-in.words.js";
import { HostMemory } from "./index.js";

function startWorker(host: HostMemory, pageCount: number, step: number): Promise<string[]> {
  const worker = new Worker(new URL("./fault-in.worker.js", import.meta.url), { workerData: { memory: host.memory, pageCount, step } });
  return once(worker, "message").then(([result]) => result as string[]);
}

test("two threads that fault the same 20000 pages in agree on every frame", async () => {
  const pageCount = 20_000;
  const host = HostMemory.create({ guestMemoryBytes: pageCount * 4096, vcpuCount: 2 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount });
  const results = await Promise.all([startWorker(host, pageCount, 1), startWorker(host, pageCount, 7)]);
  assert.deepEqual(results, [["mapped"], ["mapped"]]);
  const frames = new Set<number>();
  for (let gfn = 0; gfn < pageCount; gfn++) {
    const pfn = host.nptEntry(gfnOf(gfn)) >>> 12;
    frames.add(pfn);
    assert.equal(host.presentPfn(host.findHvaPage(gfnOf(gfn))), pfn);
    assert.equal(atomicLoad(host.words, pfn * 1024), 2, `page ${gfn}`);
  }
  assert.equal(frames.size, pageCount);
  const { framesInUse, tableFrames, guestPagesPresent } = host.statistics();
  assert.deepEqual([framesInUse, guestPagesPresent, tableFrames], [pageCount, pageCount, 40]);
});

test("a thread that faults on a page in migration sleeps until the move is done, then gets the new frame", async () => {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 1 });
  host.faultIn(gfnOf(0), true);
  const before = host.nptEntry(gfnOf(0)) >>> 12;
  let started: Promise<string[]> | undefined;
  let seenDuringMove = -1;
  // Worker start-up needs no turn of this thread's event loop, so it may be waited for inside the flush.
  host.setVcpuFlush({ code: () => undefined, tlbs: () => {
    started = startWorker(host, 1, 0);
    assert.notEqual(waitWhile(host.words, WORD_TEST_AREA + 1, 0, 5000), "timed-out");
    waitWhile(host.words, WORD_TEST_AREA + 2, 0, 50);
    seenDuringMove = atomicLoad(host.words, WORD_TEST_AREA + 2);
  } });
  assert.equal(host.moveFrames([gfnOf(0)]).moved, 1);
  assert.equal(seenDuringMove, 0);
  assert.deepEqual(await started, ["mapped"]);
  const after = atomicLoad(host.words, WORD_TEST_AREA + 2);
  assert.notEqual(after, before);
  assert.equal(host.presentPfn(host.findHvaPage(gfnOf(0))), after);
});
