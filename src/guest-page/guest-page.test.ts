import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, gpaOf } from "../abi/address.js";
import { HostMemory } from "../host-memory/index.js";
import { GuestMemory } from "./index.js";
import type { GuestPage, PageValue, PageView } from "./index.js";

function machine(): { host: HostMemory; guest: GuestMemory } {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 64 });
  return { host, guest: new GuestMemory(host) };
}

function openAt(guest: GuestMemory, gpa: number, lengthBytes: number): GuestPage {
  const page = guest.openPage(gpaOf(gpa), lengthBytes, "test");
  assert.ok(page !== undefined);
  return page;
}

test("an opened page is mapped, holds no reference and keeps nothing from being moved", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2010, 16);
  assert.equal(page.check(), true);
  assert.equal(host.pool.describe(host.presentPfn(host.findHvaPage(gfnOf(2)))!).references, 1);
  assert.equal(host.moveFrames([gfnOf(2)]).moved, 1);
});

test("a move revokes the mapping: check and tryAccess say so, access maps the new frame", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2010, 16);
  page.access((view) => view.writeU32(4, 0xabcd));
  host.moveFrames([gfnOf(2)]);
  assert.equal(page.check(), false);
  assert.equal(page.tryAccess(() => "ran"), undefined);
  assert.equal(page.access((view) => view.readU32(4)), 0xabcd);
  assert.equal(page.check(), true);
  assert.equal(page.tryAccess((view) => view.readU32(4)), 0xabcd);
});

test("a change elsewhere leaves the mapping valid", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2000, 8);
  host.faultIn(gfnOf(3), true);
  host.moveFrames([gfnOf(3)]);
  assert.equal(page.check(), true);
});

test("after its memslot is gone a page gives undefined, and works again when there is one again", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2000, 8);
  page.access((view) => view.writeU32(0, 7));
  host.removeMemslot(0);
  assert.equal(page.check(), false);
  assert.equal(page.refresh(), "no-slot");
  assert.equal(page.access(() => "ran"), undefined);
  host.addMemslot({ id: 5, baseGfn: gfnOf(1), pageCount: 4 });
  assert.equal(page.tryAccess(() => "ran"), undefined);
  assert.equal(page.access((view) => view.readU32(0)), 0);
});

test("a slot re-added with other host-virtual pages is not confused with the old one", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2000, 8);
  const before = host.findHvaPage(gfnOf(2));
  host.addMemslot({ id: 1, baseGfn: gfnOf(100), pageCount: 3000 });
  host.removeMemslot(0);
  host.addMemslot({ id: 2, baseGfn: gfnOf(5000), pageCount: 3 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 64 });
  assert.notEqual(host.findHvaPage(gfnOf(2)), before);
  guest.writeU32(gpaOf(0x2000), 1);
  assert.equal(host.findHvaPage(gfnOf(5002)), before);
  guest.writeU32(gpaOf(5002 * 4096), 2);
  assert.equal(page.access((view) => view.readU32(0)), 1);
});

test("a deactivated page refuses every further use", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2000, 8);
  page.deactivate();
  assert.equal(page.check(), false);
  assert.equal(page.tryAccess(() => "ran"), undefined);
  assert.throws(() => page.access(() => "ran"), { name: "AssertionError", message: /deactivated/ });
});

test("a range that leaves its page stops the VM", () => {
  const { guest } = machine();
  assert.throws(() => guest.openPage(gpaOf(0x2ffc), 5, "test"), { name: "AssertionError", message: /within one page/ });
  assert.throws(() => guest.openPage(gpaOf(0x2000), 0, "test"), { name: "AssertionError" });
});

test("the view reaches the opened range and not a byte more", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2100, 16);
  const outside: ((view: PageView) => PageValue)[] = [
    (view) => view.readU8(16), (view) => view.readU32(13), (view) => view.writeU64(9, 1n), (view) => view.readU16(-1),
    (view) => view.copyIn(8, new Uint8Array(9)), (view) => view.copyOut(0, 17), (view) => view.testAndSetBit(128),
    (view) => view.orU32(16, 1), (view) => view.fill(15, 2), (view) => view.exchangeU8(16, 1),
  ];
  for (const use of outside) assert.throws(() => page.access(use), { name: "AssertionError", message: /inside the opened range/ });
  assert.equal(guest.read(gpaOf(0x2000), 4096)!.every((byte) => byte === 0), true);
});

test("a view kept beyond its callback is dead, and the compiler refuses to let one out", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2000, 16);
  const kept: PageView[] = [];
  page.access((view) => void kept.push(view));
  assert.throws(() => kept[0]!.readU8(0), { name: "AssertionError", message: /inside the callback/ });
  // @ts-expect-error a view is no PageValue
  page.access((view) => view);
  // @ts-expect-error nor is a function that holds it
  page.access((view) => () => view.readU8(0));
  // @ts-expect-error nor a promise, whose code would go on behind the access
  page.tryAccess(async (view) => view.readU8(0));
});

test("a callback that throws closes its section, so that a move does not hang", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2000, 16);
  assert.throws(() => page.access(() => { throw new RangeError("mine"); }), RangeError);
  assert.equal(host.moveFrames([gfnOf(2)]).moved, 1);
});

test("whatever may sleep is refused inside a callback, at once and every time", () => {
  const { host, guest } = machine();
  const page = openAt(guest, 0x2000, 16);
  const other = openAt(guest, 0x3000, 16);
  const sleepers = [
    () => other.access(() => 0), () => other.refresh(), () => guest.read(gpaOf(0), 1), () => guest.openPage(gpaOf(0), 1, "test"),
    () => host.faultIn(gfnOf(2), true), () => host.moveFrames([gfnOf(2)]), () => host.removeMemslot(0),
  ];
  for (const sleeper of sleepers) {
    assert.throws(() => page.access(sleeper), { name: "AssertionError", message: /may neither sleep/ });
  }
});

test("two pages can be open at once through tryAccess", () => {
  const { guest } = machine();
  const first = openAt(guest, 0x2000, 16);
  const second = openAt(guest, 0x3000, 16);
  second.access((view) => view.writeU32(0, 9));
  const sum = first.access((outer) => {
    const inner = second.tryAccess((view) => view.readU32(0));
    outer.writeU32(0, 33);
    return outer.readU32(0) + (inner ?? 1000);
  });
  assert.equal(sum, 42);
});

test("plain accesses of every width are little endian and take any alignment", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2003, 64);
  page.access((view) => {
    view.writeU8(0, 0x1ff);
    view.writeU16(1, 0x1_2345);
    view.writeU32(3, 0x89ab_cdef);
    view.writeU64(7, 0xfedc_ba98_7654_3210n);
    assert.deepEqual([view.readU8(0), view.readU16(1), view.readU32(3), view.readU64(7)], [0xff, 0x2345, 0x89ab_cdef, 0xfedc_ba98_7654_3210n]);
    assert.deepEqual([...view.copyOut(0, 8)], [0xff, 0x45, 0x23, 0xef, 0xcd, 0xab, 0x89, 0x10]);
    view.copyIn(20, Uint8Array.of(1, 2, 3));
    view.fill(21, 1, 0x77);
    assert.equal(view.readU32(20), 0x0003_7701);
    assert.equal(view.lengthBytes, 64);
  });
  assert.deepEqual([...guest.read(gpaOf(0x2003), 2)!], [0xff, 0x45]);
});

test("atomic operations return the old value, unsigned", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2000, 64);
  page.access((view) => {
    view.storeU32(0, 0xffff_fff0);
    assert.deepEqual([view.loadU32(0), view.orU32(0, 0xf), view.andU32(0, 0x8000_0001)], [0xffff_fff0, 0xffff_fff0, 0xffff_ffff]);
    assert.deepEqual([view.exchangeU32(0, 5), view.addU32(0, -6), view.loadU32(0)], [0x8000_0001, 5, 0xffff_ffff]);
    assert.deepEqual([view.compareExchangeU32(0, 0xffff_ffff, 1), view.compareExchangeU32(0, 7, 9), view.loadU32(0)], [0xffff_ffff, 1, 1]);
    view.storeU64(8, 0xf000_0000_0000_0001n);
    assert.deepEqual([view.orU64(8, 2n), view.andU64(8, 3n), view.exchangeU64(8, 9n), view.loadU64(8)],
      [0xf000_0000_0000_0001n, 0xf000_0000_0000_0003n, 3n, 9n]);
    assert.deepEqual([view.exchangeU8(17, 200), view.loadU8(17)], [0, 200]);
    view.storeU8(17, 1);
    assert.equal(view.readU8(17), 1);
  });
});

test("bit operations count bits from the start of the range as the Xen bit arrays do", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2000, 512);
  page.access((view) => {
    assert.deepEqual([view.testAndSetBit(67), view.testAndSetBit(67), view.testBit(67), view.testBit(66)], [false, true, true, false]);
    assert.equal(view.readU64(8), 8n);
    assert.deepEqual([view.testAndClearBit(67), view.testAndClearBit(67), view.readU64(8)], [true, false, 0n]);
    assert.equal(view.testAndSetBit(31, 256), false);
    assert.equal(view.readU32(256), 0x8000_0000);
  });
});

test("an unaligned atomic access stops the VM", () => {
  const { guest } = machine();
  const page = openAt(guest, 0x2002, 64);
  assert.throws(() => page.access((view) => view.orU32(0, 1)), { name: "AssertionError", message: /naturally aligned/ });
  assert.equal(page.access((view) => view.orU32(2, 1)), 0);
});
