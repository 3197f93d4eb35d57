import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestImageError } from "../../abi/guest-image-error.js";
import { parseElfKernel } from "./elf.js";
import { writeU32, writeU64 } from "./little-endian.js";
import { concatenate, makeElf, makeNote, makePattern, makePvhNotes, TEST_KERNEL_ENTRY, TEST_KERNEL_GPA } from "./test-kernel.js";

function assertRefused(file: Uint8Array, message: RegExp): void {
  assert.throws(() => parseElfKernel(file), (error: unknown) => {
    assert.ok(error instanceof GuestImageError, `a GuestImageError was expected, got ${String(error)}`);
    assert.match(error.message, message);
    return true;
  });
}

test("segments come sorted by address, with zeros at the end left out", () => {
  const withZeros = concatenate([makePattern(0x1000), new Uint8Array(0x800)]);
  const { segments } = parseElfKernel(makeElf({
    segments: [{ gpa: 0x200_0000, bytes: withZeros }, { gpa: TEST_KERNEL_GPA, bytes: makePattern(0x1000), memoryBytes: 0x2000 }],
  }));
  assert.deepEqual(segments.map(({ gpa, bytes, memoryBytes }) => [gpa, bytes.length, memoryBytes]), [
    [TEST_KERNEL_GPA, 0x1000, 0x2000],
    [0x200_0000, 0x1000, 0x1800],
  ]);
});

test("an empty segment is skipped", () => {
  const { segments } = parseElfKernel(makeElf({
    segments: [{ gpa: 0, bytes: new Uint8Array(0) }, { gpa: TEST_KERNEL_GPA, bytes: makePattern(0x1000) }],
  }));
  assert.equal(segments.length, 1);
});

test("only the note of type 18 and owner Xen gives the entry", () => {
  const decoys = [makeNote("Xen", 1, new Uint8Array(8).fill(1)), makeNote("GNU", 18, new Uint8Array(8).fill(2)), makeNote("Xen", 18, new Uint8Array(0))];
  assertRefused(makeElf({ notes: concatenate(decoys) }), /no PVH entry note.*CONFIG_PVH/);
  assert.equal(parseElfKernel(makeElf({ notes: concatenate([...decoys, makePvhNotes(TEST_KERNEL_ENTRY)]) })).entry, TEST_KERNEL_ENTRY);
});

test("an ELF of another kind is refused by its kind", () => {
  assertRefused(makeElf({ machine: 183 }), /not for x86-64/);
  assertRefused(makeElf({ elfClass: 1 }), /not for x86-64/);
  assertRefused(makeElf({ type: 1 }), /object or core file/);
  assertRefused(makeElf({ segments: [] }), /nothing to load/);
});

test("overlapping segments are refused, touching ones are not", () => {
  const segmentsAt = (second: number) => [{ gpa: TEST_KERNEL_GPA, bytes: makePattern(0x1000), memoryBytes: 0x2000 }, { gpa: second, bytes: makePattern(16) }];
  assertRefused(makeElf({ segments: segmentsAt(TEST_KERNEL_GPA + 0x1fff) }), /overlap/);
  assert.equal(parseElfKernel(makeElf({ segments: segmentsAt(TEST_KERNEL_GPA + 0x2000) })).segments.length, 2);
});

test("an entry outside the segments, or a segment above 1 GiB, is refused", () => {
  assertRefused(makeElf({ notes: makePvhNotes(0x10) }), /entry 0x10 lies outside/);
  assertRefused(makeElf({ segments: [{ gpa: 0x4000_0000, bytes: makePattern(16) }] }), /first GiB/);
  assertRefused(makeElf({ segments: [{ gpa: 2 ** 50, bytes: makePattern(16) }] }), /first GiB/);
});

test("an ELF cut at any length is refused, never misread", () => {
  const file = makeElf();
  for (let length = 4; length < file.length; length += 61) assertRefused(file.subarray(0, length), /damaged|no PVH|nothing to load/);
});

test("offsets and lengths that lie are refused", () => {
  const lies: [number, number, RegExp][] = [
    [32, 2 ** 40, /program headers lie behind the end/],
    [64 + 8, 2 ** 40, /segment lies behind the end/],
    [64 + 32, 2 ** 52, /segment lies behind the end/],
    [64 + 40, 0x10, /longer in the file than in memory/],
    [64 + 56 + 8, 2 ** 40, /notes lie behind the end/],
  ];
  for (const [offset, value, message] of lies) {
    const file = makeElf();
    writeU64(file, offset, value);
    assertRefused(file, message);
  }
  const file = makeElf();
  writeU32(file, 64 + 2 * 56 + 4, 0xffff_ffff); // length of the first note's descriptor
  assertRefused(file, /note is cut short/);
});
