import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf } from "../abi/address.js";
import { HostMemory } from "./index.js";
import { ADDRESS_SPACE_PAGES, MEMSLOT_COUNT_MAX } from "./layout.js";

function host(): HostMemory {
  return HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
}

function add(target: HostMemory, id: number, baseGfn: number, pageCount: number): void {
  target.addMemslot({ id, baseGfn: gfnOf(baseGfn), pageCount });
}

test("a frame is found in the slot that holds it, and in none at either side", () => {
  const memory = host();
  add(memory, 1, 0x100, 0x700);
  add(memory, 0, 0, 0xa0);
  add(memory, 2, 0xfee0_0, 1);
  const idOf = (gfn: number): number | undefined => memory.findMemslot(gfnOf(gfn))?.id;
  assert.deepEqual([0, 0x9f, 0xa0, 0xff, 0x100, 0x7ff, 0x800, 0xfedff, 0xfee00, 0xfee01].map(idOf),
    [0, 0, undefined, undefined, 1, 1, undefined, undefined, 2, undefined]);
  assert.deepEqual(memory.memslots().map((slot) => slot.id), [0, 1, 2]);
});

test("lookup agrees with a naive search over 128 slots", () => {
  const memory = host();
  const slots = Array.from({ length: MEMSLOT_COUNT_MAX }, (_, id) => ({ id, baseGfn: gfnOf((id * 37 % 128) * 16 + id % 5), pageCount: 1 + (id % 9) }));
  for (const slot of slots) memory.addMemslot(slot);
  for (let gfn = 0; gfn < 128 * 16 + 32; gfn++) {
    const naive = slots.find((slot) => gfn >= slot.baseGfn && gfn < slot.baseGfn + slot.pageCount);
    assert.equal(memory.findMemslot(gfnOf(gfn))?.id, naive?.id, `gfn ${gfn}`);
  }
  assert.throws(() => add(memory, 999, 0x9_0000, 1), { name: "HostMemoryError", code: "memslot-table-full" });
});

test("no two slots share host-virtual pages, also after removal and re-use", () => {
  const memory = host();
  for (let id = 0; id < 6; id++) add(memory, id, id * 0x1000, 1500 - id * 200);
  memory.removeMemslot(2);
  memory.removeMemslot(4);
  add(memory, 7, 0x9000, 900);
  add(memory, 8, 0xa000, 4000);
  const sorted = [...memory.memslots()].sort((a, b) => a.baseHvaPage - b.baseHvaPage);
  for (let index = 1; index < sorted.length; index++) {
    const before = sorted[index - 1]!;
    assert.ok(before.baseHvaPage + before.pageCount <= sorted[index]!.baseHvaPage);
  }
  assert.ok(sorted[0]!.baseHvaPage > 0);
});

test("requests that cannot be met are refused with their reason and change nothing", () => {
  const memory = host();
  add(memory, 0, 10, 10);
  const { memslotGeneration: generation } = memory;
  const refused = (id: number, baseGfn: number, pageCount: number, code: string): void =>
    assert.throws(() => add(memory, id, baseGfn, pageCount), { name: "HostMemoryError", code });
  refused(1, 19, 1, "memslot-overlap");
  refused(1, 0, 11, "memslot-overlap");
  refused(0, 100, 1, "memslot-id-taken");
  refused(1, 100, 0, "memslot-invalid");
  refused(1, -1, 2, "memslot-invalid");
  refused(1, 1.5, 2, "memslot-invalid");
  refused(1, ADDRESS_SPACE_PAGES - 1, 2, "memslot-invalid");
  assert.throws(() => memory.removeMemslot(5), { name: "HostMemoryError", code: "memslot-unknown" });
  assert.equal(memory.memslotGeneration, generation);
  assert.equal(memory.memslots().length, 1);
});

test("the generation changes with each change of the slots", () => {
  const memory = host();
  const seen = [memory.memslotGeneration];
  add(memory, 0, 0, 1);
  seen.push(memory.memslotGeneration);
  memory.removeMemslot(0);
  seen.push(memory.memslotGeneration);
  assert.equal(new Set(seen).size, 3);
});
