import assert from "node:assert/strict";
import { test } from "node:test";
import { atomicLoad, atomicOr } from "#sync";
import { gfnOf, gpaOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { NPT_CODE, NPT_DIRTY, NPT_ROOT_BASE } from "../abi/layout.js";
import { HostMemory } from "../host-memory/index.js";
import { GuestMemory } from "./index.js";

const RAM_PAGES = 16;
const HOLE_START = RAM_PAGES * 4096;

function guestWith(onCodeWrite?: (gfn: Gfn) => void): { host: HostMemory; guest: GuestMemory } {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: RAM_PAGES });
  host.addMemslot({ id: 1, baseGfn: gfnOf(0x8_0000_0), pageCount: 2 });
  return { host, guest: new GuestMemory(host, onCodeWrite === undefined ? {} : { onCodeWrite }) };
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >>> 8)) & 0xff);
}

test("untouched memory reads as zeroes", () => {
  const { guest } = guestWith();
  assert.deepEqual(guest.read(gpaOf(100), 5000), new Uint8Array(5000));
});

test("what was written is read back across page ends and at high addresses", () => {
  const { guest } = guestWith();
  const bytes = pattern(10_000);
  for (const gpa of [0, 1, 4095, 4096, 20_001, 0x8_0000_0 * 4096 - 0]) {
    const slice = gpa > HOLE_START ? bytes.subarray(0, 8192) : bytes;
    assert.equal(guest.write(gpaOf(gpa), slice), true);
    assert.deepEqual(guest.read(gpaOf(gpa), slice.length), slice);
  }
});

test("a write changes nothing outside its range", () => {
  const { guest } = guestWith();
  guest.fill(gpaOf(0), 3 * 4096, 0xee);
  guest.write(gpaOf(4090), pattern(12));
  const around = guest.read(gpaOf(0), 3 * 4096)!;
  assert.deepEqual(around.subarray(4090, 4102), pattern(12));
  assert.ok(around.subarray(0, 4090).every((byte) => byte === 0xee));
  assert.ok(around.subarray(4102).every((byte) => byte === 0xee));
});

test("a range that leaves the memslots is refused, and a refused write writes nothing", () => {
  const { host, guest } = guestWith();
  assert.equal(guest.read(gpaOf(HOLE_START - 4), 8), undefined);
  assert.equal(guest.read(gpaOf(HOLE_START), 1), undefined);
  assert.equal(guest.read(gpaOf(0), 2 ** 39), undefined);
  assert.equal(guest.write(gpaOf(HOLE_START - 4), pattern(8)), false);
  assert.equal(guest.writeU64(gpaOf(HOLE_START - 4), 1n), false);
  assert.equal(guest.writeU32(gpaOf(HOLE_START), 1), false);
  assert.equal(guest.fill(gpaOf(HOLE_START - 1), 2, 1), false);
  assert.equal(guest.openPage(gpaOf(HOLE_START), 8, "test"), undefined);
  assert.deepEqual(guest.read(gpaOf(HOLE_START - 4), 4), new Uint8Array(4));
  assert.equal(host.statistics().guestPagesPresent, 1);
});

test("an empty range needs no memory", () => {
  const { guest } = guestWith();
  assert.deepEqual(guest.read(gpaOf(HOLE_START), 0), new Uint8Array(0));
  assert.equal(guest.write(gpaOf(HOLE_START), new Uint8Array(0)), true);
});

test("32 and 64 bit values are little endian, unsigned, and may cross a page end at any byte", () => {
  const { guest } = guestWith();
  for (let gpa = 4096 - 9; gpa <= 4096 + 1; gpa++) {
    assert.equal(guest.writeU64(gpaOf(gpa), 0xfedc_ba98_7654_3210n), true);
    assert.deepEqual([...guest.read(gpaOf(gpa), 8)!], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
    assert.equal(guest.readU64(gpaOf(gpa)), 0xfedc_ba98_7654_3210n);
    assert.equal(guest.readU32(gpaOf(gpa + 4)), 0xfedc_ba98);
    assert.equal(guest.writeU32(gpaOf(gpa), 0xffff_fff0), true);
    assert.equal(guest.readU64(gpaOf(gpa)), 0xfedc_ba98_ffff_fff0n);
  }
});

test("out of frames, reads and writes of new pages fail and old pages stay usable", () => {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 9000 });
  const guest = new GuestMemory(host);
  let gfn = 0;
  while (guest.writeU32(gpaOf(gfn * 4096), gfn + 1)) gfn++;
  assert.equal(gfn, host.statistics().framesTotal);
  assert.equal(guest.read(gpaOf(gfn * 4096), 4), undefined);
  assert.equal(guest.openPage(gpaOf(gfn * 4096), 4, "test"), undefined);
  assert.equal(guest.readU32(gpaOf((gfn - 1) * 4096)), gfn);
});

test("a write to a page with decoded code is reported, a read and a write elsewhere are not", () => {
  const written: number[] = [];
  const { host, guest } = guestWith((gfn) => written.push(gfn));
  guest.fill(gpaOf(0), 3 * 4096, 1);
  const leaf = atomicLoad(host.words, NPT_ROOT_BASE >>> 2) >>> 2;
  atomicOr(host.words, leaf + 1, NPT_CODE);
  guest.read(gpaOf(4096), 8);
  guest.writeU32(gpaOf(8192), 5);
  assert.deepEqual(written, []);
  guest.write(gpaOf(4094), pattern(4));
  guest.openPage(gpaOf(4100), 8, "test")!.access((view) => view.testAndSetBit(3));
  assert.deepEqual(written, [1, 1]);
  assert.ok((host.nptEntry(gfnOf(1)) & NPT_DIRTY) !== 0);
});
