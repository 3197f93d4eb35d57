import assert from "node:assert/strict";
import { test } from "node:test";
import { atomicLoad, atomicOr } from "#sync";
import { gfnOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { NPT_ACCESSED, NPT_CODE, NPT_DIRTY, NPT_PRESENT, NPT_ROOT_BASE, NPT_WRITABLE, PAGE_SIZE } from "../abi/layout.js";
import { reserveMemory } from "./host-views.raw.js";
import { HostMemory } from "./index.js";

const MIB = 0x10_0000;
const FLAGS = 0xfff;

function hostWith(pageCount: number, guestMemoryBytes = MIB): HostMemory {
  const host = HostMemory.create({ guestMemoryBytes, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount });
  return host;
}

/** What the processor does when it decodes instructions of a page. */
function setCode(host: HostMemory, gfn: Gfn): void {
  const leaf = atomicLoad(host.words, (NPT_ROOT_BASE >>> 2) + (gfn >>> 10));
  atomicOr(host.words, (leaf >>> 2) + (gfn & 1023), NPT_CODE);
}

function firstWord(host: HostMemory, gfn: Gfn): number {
  return ((host.nptEntry(gfn) & ~FLAGS) >>> 0) >>> 2;
}

test("a page gets a frame at its first touch only", () => {
  const host = hostWith(256);
  assert.equal(host.statistics().framesInUse, 0);
  assert.equal(host.nptEntry(gfnOf(5)), 0);
  assert.equal(host.faultIn(gfnOf(5), false), "mapped");
  const entry = host.nptEntry(gfnOf(5));
  assert.equal(entry & FLAGS, NPT_PRESENT | NPT_WRITABLE);
  assert.equal(host.faultIn(gfnOf(5), true), "mapped");
  assert.equal(host.nptEntry(gfnOf(5)), entry);
  const { framesInUse, tableFrames, guestPagesPresent } = host.statistics();
  assert.deepEqual({ framesInUse, tableFrames, guestPagesPresent }, { framesInUse: 1, tableFrames: 2, guestPagesPresent: 1 });
});

test("a guest frame outside every memslot is no memory", () => {
  const host = hostWith(16);
  for (const gfn of [16, 0xfee00, 0xfff_ffff, 0x1000_0000, 2 ** 51]) assert.equal(host.faultIn(gfnOf(gfn), true), "no-slot");
  assert.equal(host.statistics().framesInUse, 0);
});

test("sparse guest-physical addresses up to 40 bits cost a frame and two tables each, not the range between", () => {
  const host = hostWith(1);
  const sparse = [0x1_0000, 0x10_0000, 0x80_0000, 0xfff_ffff].map(gfnOf);
  sparse.forEach((baseGfn, index) => host.addMemslot({ id: index + 1, baseGfn, pageCount: 1 }));
  for (const gfn of sparse) assert.equal(host.faultIn(gfn, true), "mapped");
  assert.equal(new Set(sparse.map((gfn) => firstWord(host, gfn))).size, 4);
  assert.deepEqual([host.statistics().framesInUse, host.statistics().tableFrames], [4, 8]);
});

test("an exhausted pool answers out-of-memory, and memory comes back with the removal of the slot", () => {
  const host = hostWith(16384, 16 * MIB);
  const { framesTotal } = host.statistics();
  let mapped = 0;
  while (host.faultIn(gfnOf(mapped), true) === "mapped") mapped++;
  assert.equal(host.faultIn(gfnOf(mapped), true), "out-of-memory");
  assert.equal(host.faultIn(gfnOf(16383), true), "out-of-memory");
  assert.equal(host.faultIn(gfnOf(0), true), "mapped");
  assert.deepEqual(host.moveFrames([gfnOf(0)]), { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 1 });
  const full = host.statistics();
  assert.deepEqual([full.framesInUse, full.guestPagesPresent], [framesTotal, framesTotal]);
  assert.equal(mapped, framesTotal);
  host.removeMemslot(0);
  const after = host.statistics();
  assert.deepEqual([after.framesInUse, after.guestPagesPresent], [0, 0]);
});

test("tables and frames do not leak over many rounds of add, touch, discard, move and remove", () => {
  const host = hostWith(2100, 16 * MIB);
  const touch = (): void => {
    for (let gfn = 0; gfn < 2100; gfn += 3) assert.equal(host.faultIn(gfnOf(gfn), true), "mapped");
  };
  for (let round = 0; round < 5; round++) {
    touch();
    assert.equal(host.moveFrames([gfnOf(3)]).moved, 1);
    assert.equal(host.discardPages(gfnOf(0), 300), 100);
    assert.equal(host.statistics().guestPagesPresent, 600);
    host.removeMemslot(0);
    assert.deepEqual([host.statistics().framesInUse, host.statistics().tableFrames], [0, 6]);
    host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 2100 });
  }
});

test("a removed and re-added page reads as zeroes and the processor's way to the old frame is gone", () => {
  const host = hostWith(4);
  host.faultIn(gfnOf(2), true);
  host.words[firstWord(host, gfnOf(2))] = 0x1234;
  host.removeMemslot(0);
  assert.equal(host.nptEntry(gfnOf(2)), 0);
  assert.equal(host.faultIn(gfnOf(2), true), "no-slot");
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 4 });
  host.faultIn(gfnOf(2), true);
  assert.equal(host.words[firstWord(host, gfnOf(2))], 0);
});

test("a move keeps contents and flags, gives the processor its way back, and frees the old frame", () => {
  const host = hostWith(4);
  const gfn = gfnOf(3);
  host.faultIn(gfn, true);
  const before = firstWord(host, gfn);
  for (let word = 0; word < PAGE_SIZE / 4; word++) host.words[before + word] = word ^ 0x5a5a;
  setCode(host, gfn);
  host.markWritten(host.nptEntryIndex(gfn));
  assert.equal(host.moveFrames([gfn]).moved, 1);
  assert.equal(host.nptEntry(gfn) & FLAGS, NPT_PRESENT | NPT_WRITABLE | NPT_CODE | NPT_DIRTY | NPT_ACCESSED);
  const after = firstWord(host, gfn);
  assert.notEqual(after, before);
  for (let word = 0; word < PAGE_SIZE / 4; word++) assert.equal(host.words[after + word], word ^ 0x5a5a);
  assert.equal(host.statistics().framesInUse, 1);
  assert.equal(host.pageStatistics().framesMoved, 1);
});

test("a move of an untouched page or of no page does nothing", () => {
  const host = hostWith(4);
  assert.deepEqual(host.moveFrames([gfnOf(1), gfnOf(4)]), { moved: 0, absent: 1, pinned: 0, noSlot: 1, outOfMemory: 0 });
  assert.deepEqual([host.statistics().framesInUse, host.pageStatistics().invalidations], [0, 0]);
});

test("a batch of moves is one invalidation and one flush", () => {
  const host = hostWith(64);
  for (let gfn = 0; gfn < 64; gfn++) host.faultIn(gfnOf(gfn), true);
  assert.equal(host.moveFrames(Array.from({ length: 64 }, (_, gfn) => gfnOf(gfn))).moved, 64);
  const { invalidations, tlbFlushes, framesMoved } = host.pageStatistics();
  assert.deepEqual({ invalidations, tlbFlushes, framesMoved }, { invalidations: 1, tlbFlushes: 1, framesMoved: 64 });
});

test("notifiers hear of a change before it, TLBs are flushed after the way is cut, and the end comes last", () => {
  const host = hostWith(4);
  const gfn = gfnOf(1);
  host.faultIn(gfn, true);
  const before = host.nptEntry(gfn);
  const page = host.findHvaPage(gfn);
  const oldPfn = host.presentPfn(page);
  const log: unknown[] = [];
  const look = (event: string): void => void log.push([event, host.nptEntry(gfn) === before, host.presentPfn(page) === oldPfn]);
  host.setVcpuFlush({ tlbs: () => look("flush"), code: () => look("code") });
  const unregister = host.registerNotifier({
    invalidateRangeStart: (range, mustNotSleep) => {
      assert.deepEqual([range, mustNotSleep], [{ firstHvaPage: page, firstGfn: gfn, pageCount: 1 }, false]);
      look("start");
    },
    invalidateRangeEnd: () => look("end"),
  });
  host.moveFrames([gfn]);
  assert.deepEqual(log, [["start", true, true], ["flush", false, false], ["end", false, false]]);
  unregister();
  host.moveFrames([gfn]);
  assert.deepEqual(log.map((entry) => (entry as unknown[])[0]), ["start", "flush", "end", "flush"]);
});

test("discardPages takes frames and flushes TLBs before they can be reused", () => {
  const host = hostWith(8);
  for (const gfn of [1, 2, 6]) host.faultIn(gfnOf(gfn), true);
  let inUseAtFlush = 0;
  host.setVcpuFlush({ tlbs: () => { inUseAtFlush = host.statistics().framesInUse; }, code: () => undefined });
  assert.equal(host.discardPages(gfnOf(0), 4), 2);
  assert.equal(inUseAtFlush, 3);
  assert.equal(host.statistics().framesInUse, 1);
  assert.notEqual(host.nptEntry(gfnOf(6)), 0);
  assert.throws(() => host.discardPages(gfnOf(6), 3), { name: "AssertionError", message: /within one memslot/ });
});

test("a size that no host can have is refused with its reason", () => {
  const refused = (guestMemoryBytes: number, vcpuCount: number, code: string): void =>
    assert.throws(() => HostMemory.create({ guestMemoryBytes, vcpuCount }), { name: "HostMemoryError", code });
  refused(0, 1, "guest-memory-invalid");
  refused(4097, 1, "guest-memory-invalid");
  refused(MIB, 0, "guest-memory-invalid");
  refused(MIB, 9, "guest-memory-invalid");
  refused(4096 * MIB, 1, "guest-memory-too-large");
});

test("attach refuses a memory that is no host memory", () => {
  const fresh = reserveMemory(32 * 0x1_0000);
  assert.throws(() => HostMemory.attach(fresh), { name: "HostMemoryError", code: "not-a-host-memory" });
  const tiny = reserveMemory(0x1_0000);
  assert.throws(() => HostMemory.attach(tiny), { name: "HostMemoryError", code: "not-a-host-memory" });
});

test("a second handle sees the same memory, and handles run out at 64", () => {
  const host = hostWith(4);
  const second = HostMemory.attach(host.memory);
  second.faultIn(gfnOf(1), true);
  assert.equal(host.nptEntry(gfnOf(1)), second.nptEntry(gfnOf(1)));
  assert.equal(second.vcpuCount, 1);
  const more = Array.from({ length: 62 }, () => HostMemory.attach(host.memory));
  assert.throws(() => HostMemory.attach(host.memory), { name: "HostMemoryError", code: "too-many-threads" });
  more[0]!.detach();
  HostMemory.attach(host.memory);
});

test("three gigabytes of guest memory can be reserved and their ends touched", () => {
  const pageCount = (3 * 1024 * MIB) / PAGE_SIZE;
  const host = hostWith(pageCount, 3 * 1024 * MIB);
  for (const gfn of [0, pageCount - 1].map(gfnOf)) {
    assert.equal(host.faultIn(gfn, true), "mapped");
    host.words[firstWord(host, gfn)] = gfn;
  }
  assert.equal(host.words[firstWord(host, gfnOf(pageCount - 1))], pageCount - 1);
});

test("frames above 2 GiB keep their addresses", () => {
  const host = hostWith(16, 3 * 1024 * MIB);
  const blocks = host.statistics().blocks;
  const last = blocks.at(-1)!.index;
  for (const block of blocks) if (block.index !== last) assert.equal(host.pool.offlineBlock(block.index), "offline");
  host.faultIn(gfnOf(9), true);
  const entry = host.nptEntry(gfnOf(9)) >>> 0;
  assert.equal(Math.floor(entry / 0x100_0000), last);
  host.words[entry >>> 2] = 77;
  assert.equal(host.moveFrames([gfnOf(9)]).moved, 1);
  const moved = host.nptEntry(gfnOf(9)) >>> 0;
  assert.notEqual(moved, entry);
  assert.equal(host.words[moved >>> 2], 77);
});
