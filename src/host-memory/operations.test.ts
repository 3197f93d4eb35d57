import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, hvaPageOf, pfnOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { NPT_PRESENT, NPT_WRITABLE, PAGE_SIZE } from "../abi/layout.js";
import { pageUserNumber } from "../abi/page-users.js";
import { HostMemory } from "./index.js";
import { FIRST_BLOCK, FRAMES_PER_BLOCK } from "./layout.js";
import { addressOf, fillPage, hostWith, isPageIntact, TestSwapStore } from "./testing/test-host.js";

const gfns = (count: number): Gfn[] => Array.from({ length: count }, (_, gfn) => gfnOf(gfn));

test("a page goes to the swap file and comes back with its contents at the next touch", () => {
  const host = hostWith(16);
  const store = new TestSwapStore(100);
  host.setSwapStore(store);
  for (const gfn of gfns(8)) fillPage(host, gfn);
  assert.deepEqual(host.swapOut(gfns(10)), { swapped: 8, skipped: 2 });
  assert.equal(host.statistics().framesInUse, 0);
  assert.deepEqual(host.memoryMap().slots[0], { id: 0, baseGfn: 0, pageCount: 16, present: 0, shared: 0, swapped: 8, absent: 8 });
  for (const gfn of gfns(8)) assert.ok(isPageIntact(host, gfn), `page ${gfn}`);
  assert.deepEqual([host.memoryMap().swapSlotsUsed, host.statistics().framesInUse], [0, 8]);
});

test("pages beyond the limit push others out, and all keep their contents", () => {
  const host = hostWith(200);
  host.setSwapStore(new TestSwapStore(1000));
  host.setFrameLimit(40);
  for (const gfn of gfns(200)) fillPage(host, gfn);
  assert.ok(host.statistics().framesInUse <= 40);
  for (let round = 0; round < 3; round++) for (const gfn of gfns(200)) assert.ok(isPageIntact(host, gfn), `page ${gfn}`);
  assert.ok(host.pageStatistics().pagesSwappedIn > 400);
});

test("a full swap file makes a fault wait and tell why, loses nothing, and the fault goes on when there is room", () => {
  const host = hostWith(64);
  host.setSwapStore(new TestSwapStore(8));
  host.setFrameLimit(16);
  let touched = 0;
  while (host.faultIn(gfnOf(touched), true) === "mapped") fillPage(host, gfnOf(touched++));
  assert.equal(touched, 24);
  assert.equal(host.faultIn(gfnOf(40), true), "stalled");
  assert.match(host.stall!, /^the swap file is full/);
  host.discardPages(gfnOf(0), 1);
  assert.equal(host.faultIn(gfnOf(40), true), "mapped");
  assert.equal(host.stall, undefined);
  host.setFrameLimit(undefined);
  for (let gfn = 1; gfn < 24; gfn++) assert.ok(isPageIntact(host, gfnOf(gfn)), `page ${gfn}`);
});

test("a swap file that cannot be written leaves the pages where they are", () => {
  const host = hostWith(8);
  const store = new TestSwapStore(100);
  store.writeFailure = "no space left on device";
  host.setSwapStore(store);
  for (const gfn of gfns(4)) fillPage(host, gfn);
  assert.deepEqual(host.swapOut(gfns(4)), { swapped: 0, skipped: 4, failure: "no space left on device" });
  assert.equal(host.memoryMap().swapSlotsUsed, 0);
  for (const gfn of gfns(4)) assert.ok(isPageIntact(host, gfn));
});

test("a swap file that cannot be read makes the fault wait, and the page is there when it can", () => {
  const host = hostWith(8);
  const store = new TestSwapStore(100);
  host.setSwapStore(store);
  fillPage(host, gfnOf(3));
  host.swapOut([gfnOf(3)]);
  store.readFailure = "input/output error";
  assert.equal(host.faultIn(gfnOf(3), false), "stalled");
  assert.equal(host.stall, "input/output error");
  store.readFailure = undefined;
  assert.ok(isPageIntact(host, gfnOf(3)));
  assert.equal(host.statistics().framesInUse, 1);
});

test("a fault of a VM that ends waits no more", () => {
  const host = hostWith(64);
  host.setSwapStore(new TestSwapStore(1));
  host.setFrameLimit(2);
  host.stop();
  const results = gfns(8).map((gfn) => host.faultIn(gfn, true));
  assert.equal(results.at(-1), "out-of-memory");
});

test("equal pages share one frame read-only, and a write gives a page its own again", () => {
  const host = hostWith(16);
  for (const gfn of gfns(10)) fillPage(host, gfn, gfn < 6 ? 77 : gfn);
  assert.deepEqual(host.mergeEqualPages(), { scanned: 10, merged: 6, framesFreed: 5 });
  assert.equal(host.statistics().framesInUse, 5);
  const [slot] = host.memoryMap().slots;
  assert.deepEqual([slot!.present, slot!.shared], [4, 6]);
  assert.equal(host.memoryMap().blocks[0]!.shared, 1);
  assert.ok(isPageIntact(host, gfnOf(2), 77));
  assert.equal(host.nptEntry(gfnOf(2)) & (NPT_PRESENT | NPT_WRITABLE), NPT_PRESENT);
  fillPage(host, gfnOf(2), 99);
  for (const gfn of gfns(6)) assert.ok(isPageIntact(host, gfn, gfn === 2 ? 99 : 77), `page ${gfn}`);
  assert.equal(host.statistics().framesInUse, 6);
  for (const gfn of gfns(5)) fillPage(host, gfn, 100 + gfn);
  assert.ok(isPageIntact(host, gfnOf(5), 77));
  assert.equal(addressOf(host, gfnOf(5)) > 0, true);
  assert.equal(host.statistics().framesInUse, 10);
  assert.equal(host.pageStatistics().pagesUnshared, 6);
});

test("merging again joins what is shared already, and discarding the sharers frees the frame", () => {
  const host = hostWith(16);
  for (const gfn of gfns(4)) fillPage(host, gfn, 7);
  host.mergeEqualPages();
  for (const gfn of [8, 9]) fillPage(host, gfnOf(gfn), 7);
  assert.deepEqual(host.mergeEqualPages(), { scanned: 6, merged: 2, framesFreed: 2 });
  assert.equal(host.statistics().framesInUse, 1);
  host.discardPages(gfnOf(0), 16);
  assert.deepEqual([host.statistics().framesInUse, host.statistics().guestPagesPresent], [0, 0]);
});

test("a shared frame moves for all of its pages", () => {
  const host = hostWith(16);
  for (const gfn of gfns(5)) fillPage(host, gfn, 7);
  host.mergeEqualPages();
  const before = host.nptEntry(gfnOf(1)) >>> 12;
  for (const gfn of gfns(5)) host.faultIn(gfn, false);
  assert.equal(host.moveFrames([gfnOf(1)]).moved, 1);
  const frames = new Set(gfns(5).map((gfn) => host.nptEntry(gfn) >>> 12));
  assert.equal(frames.size, 1);
  assert.ok(!frames.has(before));
  for (const gfn of gfns(5)) assert.ok(isPageIntact(host, gfn, 7));
  assert.equal(host.statistics().framesInUse, 1);
});

test("equal pages share frames of 64 pages, and merging again leaves full frames as they are", () => {
  const host = hostWith(200);
  for (const gfn of gfns(150)) fillPage(host, gfn, 7);
  assert.deepEqual(host.mergeEqualPages(), { scanned: 150, merged: 150, framesFreed: 147 });
  assert.deepEqual(host.mergeEqualPages(), { scanned: 150, merged: 0, framesFreed: 0 });
  for (let gfn = 150; gfn < 200; gfn++) fillPage(host, gfnOf(gfn), 7);
  host.mergeEqualPages();
  const counts = new Map<number, number>();
  for (const gfn of gfns(200)) {
    host.faultIn(gfn, false);
    counts.set(host.nptEntry(gfn) >>> 12, (counts.get(host.nptEntry(gfn) >>> 12) ?? 0) + 1);
  }
  assert.deepEqual([...counts.values()].sort((a, b) => a - b), [8, 64, 64, 64]);
});

test("a shared frame moves for all of its pages when others have changed who they are since its last move", () => {
  const host = hostWith(32);
  const other = HostMemory.attach(host.memory);
  const move = (gfn: Gfn): void => assert.deepEqual(host.moveFrames([gfn]), { moved: 1, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 });
  /** The processor's way leads to the same new frame for each of `pages`. */
  const assertTogether = (pages: readonly Gfn[], before: number): void => {
    const frames = new Set(pages.map((gfn) => (assert.ok(isPageIntact(host, gfn, 7)), host.nptEntry(gfn) >>> 12)));
    assert.ok(frames.size === 1 && !frames.has(before), `frame ${before} before, ${[...frames]} now`);
  };
  const frameOf = (gfn: Gfn): number => (host.faultIn(gfn, false), host.nptEntry(gfn) >>> 12);
  for (const gfn of gfns(12)) fillPage(host, gfn, 7);
  host.mergeEqualPages();
  move(gfnOf(0));
  for (const gfn of [12, 13]) fillPage(other, gfnOf(gfn), 7);
  assert.equal(other.mergeEqualPages().merged, 2);
  let before = frameOf(gfnOf(0));
  move(gfnOf(0));
  assertTogether(gfns(14), before);
  // As many as before, but others.
  fillPage(other, gfnOf(3), 9);
  fillPage(other, gfnOf(14), 7);
  assert.equal(other.mergeEqualPages().merged, 1);
  before = frameOf(gfnOf(0));
  move(gfnOf(0));
  assertTogether(gfns(15).filter((gfn) => gfn !== 3), before);
  assert.ok(isPageIntact(host, gfnOf(3), 9));
  host.moveMemslot(0, gfnOf(0x100));
  const away = gfns(15).filter((gfn) => gfn !== 3).map((gfn) => gfnOf(0x100 + gfn));
  before = frameOf(away[0]!);
  for (const gfn of away) frameOf(gfn);
  move(away[0]!);
  assertTogether(away, before);
  assert.equal(host.statistics().framesInUse, 2);
  other.detach();
});

test("every block goes offline in turn with no frame left in use, and the pages keep their contents", () => {
  const host = hostWith(6000, 6000 * PAGE_SIZE);
  for (const gfn of gfns(6000)) fillPage(host, gfn, gfn % 50 === 0 ? 50 : gfn);
  host.mergeEqualPages();
  for (const { index } of host.statistics().blocks) {
    const outcome = host.offlineBlock(index);
    assert.equal(outcome.result, "offline");
    const block = host.memoryMap().blocks.find((other) => other.index === index)!;
    assert.deepEqual([block.state, block.present, block.shared, block.pinned, block.free], ["offline", 0, 0, 0, FRAMES_PER_BLOCK]);
    assert.deepEqual(host.onlineBlock(index), { result: "online" });
  }
  for (const gfn of gfns(6000)) assert.ok(isPageIntact(host, gfn, gfn % 50 === 0 ? 50 : gfn), `page ${gfn}`);
});

test("a block whose frames have no room elsewhere is refused before anything moves", () => {
  const host = hostWith(FRAMES_PER_BLOCK + 1, FRAMES_PER_BLOCK * PAGE_SIZE);
  for (const { index } of host.statistics().blocks.slice(2)) host.offlineBlock(index);
  for (const gfn of gfns(FRAMES_PER_BLOCK + 1)) host.faultIn(gfn, true);
  const outcome = host.offlineBlock(FIRST_BLOCK);
  assert.equal(outcome.result === "refused" && outcome.reason, "no-room");
  assert.equal(host.pageStatistics().framesMoved, 0);
  assert.equal(host.memoryMap().blocks[0]!.state, "online");
  host.faultIn(gfnOf(0), true);
  const missing = host.offlineBlock(1);
  assert.equal(missing.result === "refused" && missing.reason, "no-such-block");
  const twice = host.onlineBlock(FIRST_BLOCK);
  assert.equal(twice.result === "refused" && twice.reason, "online-already");
});

test("a pinned page keeps its block online, and the refusal says which page and who holds it", () => {
  const host = hostWith(64);
  for (const gfn of gfns(8)) fillPage(host, gfn);
  const user = pageUserNumber("shared_info");
  const pfn = host.tryPinFrame(gfnOf(5), user)!;
  assert.deepEqual(host.moveFrames([gfnOf(5)]), { moved: 0, absent: 0, pinned: 1, noSlot: 0, outOfMemory: 0 });
  const outcome = host.offlineBlock(FIRST_BLOCK);
  assert.ok(outcome.result === "refused" && outcome.reason === "pinned");
  assert.deepEqual(outcome.pages, [{ pfn, gfn: 5, users: ["shared_info"] }]);
  assert.match(outcome.detail, /gfn 0x5 by shared_info/);
  assert.equal(host.memoryMap().blocks[0]!.pinned, 1);
  assert.ok(isPageIntact(host, gfnOf(5)));
  host.unpinFrame(pfn, user);
  assert.equal(host.offlineBlock(FIRST_BLOCK).result, "offline");
  for (const gfn of gfns(8)) assert.ok(isPageIntact(host, gfn));
});

test("a memslot moves with its contents, and the old place is no memory any more", () => {
  const host = hostWith(8);
  for (const gfn of gfns(8)) fillPage(host, gfn);
  assert.equal(host.moveMemslot(0, gfnOf(0x1000)).baseGfn, 0x1000);
  assert.equal(host.faultIn(gfnOf(3), false), "no-slot");
  assert.equal(host.nptEntry(gfnOf(3)) & NPT_PRESENT, 0);
  for (const gfn of gfns(8)) assert.ok(isPageIntact(host, gfnOf(0x1000 + gfn), gfn));
  host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: 4 });
  assert.throws(() => host.moveMemslot(0, gfnOf(2)), { name: "HostMemoryError", code: "memslot-overlap" });
  assert.ok(isPageIntact(host, gfnOf(0x1003), 3));
});

test("a mapping over old pages shows its own contents and frees what was there, wherever that was", () => {
  const host = hostWith(16);
  host.setSwapStore(new TestSwapStore(16));
  for (const gfn of gfns(6)) fillPage(host, gfn, gfn < 2 ? 7 : gfn);
  host.mergeEqualPages();
  host.swapOut([gfnOf(3)]);
  const contents = gfns(8).map((gfn) => new Uint8Array(new Int32Array(PAGE_SIZE / 4).map((_, word) => (200 + gfn) * 0x1_0001 + word).buffer));
  assert.equal(host.remapPages(gfnOf(0), contents), true);
  for (const gfn of gfns(8)) assert.ok(isPageIntact(host, gfn, 200 + gfn), `page ${gfn}`);
  assert.deepEqual([host.statistics().framesInUse, host.statistics().guestPagesPresent, host.memoryMap().swapSlotsUsed], [8, 8, 0]);
});

test("a change that must not sleep gives up before it begins when another is going on", () => {
  const host = hostWith(8);
  for (const gfn of gfns(4)) fillPage(host, gfn);
  let inside: unknown;
  const forms: boolean[] = [];
  host.setVcpuFlush({
    code: () => undefined,
    tlbs: (mustNotSleep) => {
      forms.push(mustNotSleep);
      if (inside === undefined) inside = host.discardPages(gfnOf(0), 1, { mustNotSleep: true });
    },
  });
  host.moveFrames([gfnOf(2)]);
  assert.equal(inside, "would-block");
  assert.equal(host.discardPages(gfnOf(0), 2, { mustNotSleep: true }), 2);
  assert.deepEqual(forms, [false, true]);
  assert.equal(host.pageStatistics().nonBlockableInvalidations, 1);
});

test("a page named twice is swapped out once", () => {
  const host = hostWith(16);
  host.setSwapStore(new TestSwapStore(100));
  fillPage(host, gfnOf(3));
  assert.deepEqual(host.swapOut([gfnOf(3), gfnOf(3)]), { swapped: 1, skipped: 1 });
  assert.deepEqual([host.memoryMap().swapSlotsUsed, host.statistics().guestPagesPresent], [1, 0]);
  assert.ok(isPageIntact(host, gfnOf(3)));
});

test("the swap file grows no longer than the most pages that were out at a time", () => {
  const host = hostWith(200);
  const store = new TestSwapStore(1000);
  host.setSwapStore(store);
  for (const gfn of gfns(100)) fillPage(host, gfn);
  for (let round = 0; round < 20; round++) {
    assert.equal(host.swapOut(gfns(100)).swapped, 100);
    // Back in an order of their own, so that free slots lie between ones in use.
    for (let page = 0; page < 100; page++) assert.ok(isPageIntact(host, gfnOf((page * 37 + round) % 100)));
  }
  assert.deepEqual([...store.pages.keys()].sort((a, b) => a - b), Array.from({ length: 100 }, (_, slot) => slot));
  // A slot in the middle is free again.
  host.swapOut(gfns(100));
  assert.ok(isPageIntact(host, gfnOf(50)));
  assert.equal(host.swapOut([gfnOf(50)]).swapped, 1);
  assert.equal(store.pages.size, 100);
});

test("a reclaim of more pages than there are takes each once", () => {
  const host = hostWith(16);
  host.setSwapStore(new TestSwapStore(100));
  for (const gfn of gfns(4)) fillPage(host, gfn);
  assert.deepEqual(host.reclaim(10), { swapped: 4, skipped: 0 });
  assert.deepEqual([host.memoryMap().swapSlotsUsed, host.statistics().framesInUse, host.statistics().guestPagesPresent], [4, 0, 0]);
  for (const gfn of gfns(4)) assert.ok(isPageIntact(host, gfn));
});

/** Whether the processor's way to a page, if it has one, leads to the page's frame. */
function hasTrueWay(host: ReturnType<typeof hostWith>, gfn: Gfn): boolean {
  const entry = host.nptEntry(gfn);
  return (entry & NPT_PRESENT) === 0 || entry >>> 12 === host.presentPfn(host.findHvaPage(gfn));
}

test("a page that leaves a shared frame gives its reference back before anybody can count the sharers", () => {
  const host = hostWith(16);
  const other = HostMemory.attach(host.memory);
  for (const gfn of gfns(3)) host.faultIn(gfn, true);
  host.mergeEqualPages();
  const seen: unknown[] = [];
  const release = host.pool.release.bind(host.pool);
  host.pool.release = (frames) => {
    seen.push(other.discardPages(gfnOf(9), 1, { mustNotSleep: true }));
    release(frames);
  };
  host.faultIn(gfnOf(1), true);
  assert.deepEqual(seen, ["would-block"]);
});

test("an offline waits for a page that is being swapped in", () => {
  const host = hostWith(16);
  const store = new TestSwapStore(16);
  host.setSwapStore(store);
  for (const gfn of gfns(4)) fillPage(host, gfn);
  host.swapOut([gfnOf(2)]);
  const read = store.read.bind(store);
  let looks = 0;
  // Another thread's, which begins while the swap file takes its time and is stopped before that ends.
  store.read = (slot, target) => {
    host.offlineBlock(FIRST_BLOCK, () => ++looks === 20);
    read(slot, target);
  };
  assert.ok(isPageIntact(host, gfnOf(2)));
  assert.equal(looks, 20);
  assert.equal(host.offlineBlock(FIRST_BLOCK, () => false).result, "offline");
  for (const gfn of gfns(4)) assert.ok(isPageIntact(host, gfn), `page ${gfn}`);
});

test("an offline does not wait for who holds a frame of no page", () => {
  const host = hostWith(16);
  const pfn = host.pool.allocateUncleared(hvaPageOf(9), "within-limit")!;
  let looks = 0;
  const outcome = host.offlineBlock(FIRST_BLOCK, () => ++looks === 20);
  assert.equal(outcome.result, "refused");
  assert.ok(looks < 20);
  host.pool.release([pfn]);
});

test("an offline that found pages before their memslot moved leaves the processor no way to their old frames", () => {
  const host = hostWith(16);
  fillPage(host, gfnOf(3));
  let looks = 0;
  host.offlineBlock(FIRST_BLOCK, () => {
    if (looks++ !== 1) return false;
    host.moveMemslot(0, gfnOf(0x1000));
    host.faultIn(gfnOf(0x1003), true);
    return false;
  });
  assert.ok(looks > 1);
  assert.ok(hasTrueWay(host, gfnOf(0x1003)));
  assert.ok(isPageIntact(host, gfnOf(0x1003), 3));
});

test("a merge that found pages before their memslot moved shares none of them", () => {
  const host = hostWith(16);
  for (const gfn of [3, 4]) fillPage(host, gfnOf(gfn), 7);
  let looks = 0;
  host.mergeEqualPages(() => {
    if (looks++ > 0) return false;
    host.moveMemslot(0, gfnOf(0x1000));
    host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: 16 });
    for (const gfn of [3, 4, 0x1003, 0x1004]) host.faultIn(gfnOf(gfn), true);
    return false;
  });
  assert.ok(looks > 0);
  for (const gfn of [3, 4, 0x1003, 0x1004]) assert.ok(hasTrueWay(host, gfnOf(gfn)), `page ${gfn}`);
  for (const gfn of [0x1003, 0x1004]) assert.ok(isPageIntact(host, gfnOf(gfn), 7));
});

test("a shared frame that cannot move, since somebody holds a reference more, costs no frame", () => {
  const host = hostWith(16);
  for (const gfn of gfns(3)) fillPage(host, gfn, 7);
  host.mergeEqualPages();
  host.faultIn(gfnOf(1), false);
  const pfn = pfnOf(host.nptEntry(gfnOf(1)) >>> 12);
  host.pool.addReference(pfn);
  assert.deepEqual(host.moveFrames([gfnOf(1)]), { moved: 0, absent: 0, pinned: 1, noSlot: 0, outOfMemory: 0 });
  assert.equal(host.statistics().framesInUse, 1);
  host.pool.release([pfn]);
  assert.equal(host.moveFrames([gfnOf(1)]).moved, 1);
  assert.equal(host.statistics().framesInUse, 1);
});

test("blocks that are offline do not count as room: the background reclaimer begins in time", () => {
  const host = hostWith(3000, 3000 * PAGE_SIZE);
  host.setSwapStore(new TestSwapStore(4000));
  for (const gfn of gfns(3000)) host.faultIn(gfn, true);
  assert.equal(host.needsReclaim(), 0);
  host.setFrameLimit(3010);
  assert.ok(host.needsReclaim() > 0);
  host.setFrameLimit(undefined);
  const { blocks } = host.statistics();
  for (const { index } of blocks.slice(1)) assert.equal(host.offlineBlock(index).result, "offline");
  for (let gfn = 0; gfn < 1000; gfn++) host.faultIn(gfnOf(gfn), true);
  assert.equal(host.pool.framesOnline, FRAMES_PER_BLOCK);
});
