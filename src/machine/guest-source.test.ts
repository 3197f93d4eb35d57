import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bytesInMemory } from "./boot/piece-bytes.js";
import { makeBzImage, makeElf, makePattern, TEST_KERNEL_GPA, withSize } from "./boot/test-kernel.js";
import { cacheOf, prepareGuest } from "./guest-source.js";
import type { VirtualMachineOptions } from "./options.js";

const root = mkdtempSync(join(tmpdir(), "unpinned-source-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;

const segments = [
  { gpa: TEST_KERNEL_GPA, bytes: makePattern(700_001), memoryBytes: 0xb_0000 },
  { gpa: 0x200_0000, bytes: makePattern(0x1234), memoryBytes: 0x2000 },
];
const elf = makeElf({ segments });
const bzImage = makeBzImage(withSize(elf, elf.length));

/** A path below `root` that nothing has. */
function freshPath(): string {
  return join(root, String(count++));
}

/** What the guest's memory is filled with, and how: "file" where it is read from the cache. */
async function prepare(options: VirtualMachineOptions): Promise<{ readonly pieces: readonly (readonly [number, Uint8Array])[]; readonly from: string; readonly entry: number }> {
  const source = await prepareGuest({ initrd: makePattern(10), ...options }, 1, cacheOf(options));
  try {
    const pieces = source.image.pieces.map(({ gpa, bytes }) => [gpa, Uint8Array.from(bytesInMemory(bytes))] as const);
    return { pieces, from: source.image.pieces[0]!.bytes instanceof Uint8Array ? "memory" : "file", entry: source.image.entry };
  } finally {
    source.release();
  }
}

test("a packed kernel is unpacked once, and the same from the cache, by path and by content", async () => {
  const directory = freshPath();
  const path = freshPath();
  writeFileSync(path, bzImage);
  const first = await prepare({ kernel: path, cache: { directory } });
  assert.equal(first.from, "memory");
  assert.equal(readdirSync(directory).length, 1);
  for (const kernel of [path, bzImage, Buffer.from(bzImage)]) {
    const again = await prepare({ kernel, cache: { directory } });
    assert.deepEqual(again, { ...first, from: "file" });
  }
});

test("a damaged file of the cache is made anew", async () => {
  const directory = freshPath();
  const first = await prepare({ kernel: bzImage, cache: { directory } });
  const path = join(directory, readdirSync(directory)[0]!);
  const whole = readFileSync(path);
  const flipped = Buffer.from(whole);
  flipped[500_000]! ^= 1;
  for (const bytes of [flipped, whole.subarray(0, 500_000), Buffer.alloc(0)]) {
    writeFileSync(path, bytes);
    assert.deepEqual(await prepare({ kernel: bzImage, cache: { directory } }), first);
    assert.deepEqual(readFileSync(path), whole);
  }
});

test("a kernel that differs is another one", async () => {
  const directory = freshPath();
  await prepare({ kernel: bzImage, cache: { directory } });
  const other = makeElf({ segments: [segments[0]!] });
  const { pieces, from } = await prepare({ kernel: makeBzImage(withSize(other, other.length)), cache: { directory } });
  assert.equal(from, "memory");
  assert.ok(!pieces.some(([gpa]) => gpa === 0x200_0000));
  assert.equal(readdirSync(directory).length, 2);
});

test("nothing is kept of an ELF kernel, of one that cannot be booted, or without a cache", async () => {
  const directory = freshPath();
  await prepare({ kernel: elf, cache: { directory } });
  await assert.rejects(prepare({ kernel: bzImage.subarray(0, 5000), cache: { directory } }), /truncated/);
  await assert.rejects(prepare({ kernel: new Uint8Array(0), cache: { directory } }), /empty/);
  assert.throws(() => readdirSync(directory), { code: "ENOENT" });
  await prepare({ kernel: bzImage, cache: { directory } });
  assert.equal((await prepare({ kernel: bzImage, cache: false })).from, "memory");
});

test("a folder that cannot be used is no error", async () => {
  const path = freshPath();
  writeFileSync(path, "a file");
  for (let round = 0; round < 2; round++) assert.equal((await prepare({ kernel: bzImage, cache: { directory: join(path, "below") } })).from, "memory");
});

test("a kernel that is not there is told as before", async () => {
  await assert.rejects(prepare({ kernel: join(root, "absent"), cache: { directory: freshPath() } }), /^InputFileError: cannot read the kernel .*absent: no such file$/);
  await assert.rejects(prepare({ kernel: root, cache: { directory: freshPath() } }), /it is a directory/);
});
