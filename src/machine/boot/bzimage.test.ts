import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { GuestImageError } from "../../abi/guest-image-error.js";
import { loadKernel } from "./bzimage.js";
import { writeU16, writeU32 } from "./little-endian.js";
import { makeBzImage, makeElf, packLz4, sealBzImage, TEST_KERNEL_ENTRY, TEST_KERNEL_GPA, TEST_PAYLOAD_AT, withSize } from "./test-kernel.js";

const elf = makeElf();
const lz4 = () => withSize(packLz4(elf), elf.length);

async function assertRefused(file: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(loadKernel(file), (error: unknown) => {
    assert.ok(error instanceof GuestImageError, `a GuestImageError was expected, got ${String(error)}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

test("an ELF kernel loads with the entry of its Xen note", async () => {
  const kernel = await loadKernel(elf);
  assert.equal(kernel.entry, TEST_KERNEL_ENTRY);
  assert.equal(kernel.format, "ELF");
  assert.deepEqual(kernel.segments.map(({ gpa, bytes, memoryBytes }) => [gpa, bytes.length, memoryBytes]), [[TEST_KERNEL_GPA, 0x3000, 0x5000]]);
});

for (const [name, payload] of [
  ["LZ4", lz4()],
  ["gzip", gzipSync(elf)],
  ["uncompressed", withSize(elf, elf.length)],
] as const) {
  test(`a bzImage with a payload packed as ${name} gives the same kernel as the ELF`, async () => {
    const kernel = await loadKernel(makeBzImage(payload));
    const plain = await loadKernel(elf);
    assert.equal(kernel.format, `bzImage, ${name}`);
    assert.equal(kernel.version, "6.1.0-test (someone@somewhere)");
    assert.equal(kernel.commandLineBytesMax, 2047);
    assert.equal(kernel.entry, plain.entry);
    assert.deepEqual(kernel.segments[0]!.bytes, plain.segments[0]!.bytes);
  });
}

test("a signature behind the image, and what the signer changed in the PE header, do no harm", async () => {
  const payload = lz4();
  const image = makeBzImage(payload);
  image.set([0x4d, 0x5a]);
  writeU32(image, 0x3c, 0x80);
  writeU32(image, 0x80, 0x4550);
  sealBzImage(image);
  const signed = new Uint8Array(image.length + 1000);
  signed.set(image);
  writeU32(signed, 0x80 + 24 + 64, 0x1234_5678);
  writeU32(signed, 0x80 + 24 + 144, image.length);
  writeU32(signed, 0x80 + 24 + 148, 1000);
  assert.equal((await loadKernel(signed)).entry, TEST_KERNEL_ENTRY);
  const buffer = Buffer.from(signed);
  await loadKernel(buffer);
  assert.ok(buffer.equals(signed), "what was given stays as it is");
  signed[0x80 + 24 + 70]! ^= 1;
  await assertRefused(signed, /checksum differs/);
});

test("a bzImage with zeros for a checksum loads, as Linux 6.16 makes it", async () => {
  const image = makeBzImage(lz4());
  writeU32(image, image.length - 4, 0);
  assert.equal((await loadKernel(image)).entry, TEST_KERNEL_ENTRY);
});

test("what is no kernel is called so", async () => {
  await assertRefused(new Uint8Array(0), /empty/);
  await assertRefused(new TextEncoder().encode("hello"), /not a kernel/);
  await assertRefused(new Uint8Array(100_000), /not a kernel/);
});

test("a bzImage cut anywhere is refused", async () => {
  const image = makeBzImage(lz4());
  for (const length of [0x200, 0x240, 0x250, 600, TEST_PAYLOAD_AT, image.length - 1]) {
    await assertRefused(image.subarray(0, length), /truncated/);
  }
});

test("a bit flipped in any part of a bzImage is found", async () => {
  const image = makeBzImage(lz4());
  for (const at of [0x300, TEST_PAYLOAD_AT - 1, TEST_PAYLOAD_AT + 50, image.length - 30, image.length - 1]) {
    const copy = image.slice();
    copy[at]! ^= 0x10;
    await assertRefused(copy, /corrupt: its checksum differs/);
  }
});

test("damage that the checksum does not show is found by the unpacker", async () => {
  const cases: [Uint8Array, RegExp][] = [
    [withSize(packLz4(elf), elf.length + 1), /LZ4 payload does not unpack/],
    [withSize(packLz4(elf), elf.length - 1), /LZ4 payload does not unpack/],
    [withSize(packLz4(elf).subarray(0, 2000), elf.length), /LZ4 payload does not unpack/],
    [withSize(packLz4(elf), 0xffff_fff0), /impossible length/],
    [withSize(new Uint8Array(1000), 5), /no known compression/],
    [gzipSync(elf).fill(0, 100, 120), /gzip payload does not unpack/],
  ];
  for (const [payload, message] of cases) await assertRefused(makeBzImage(payload), message);
});

test("a payload that points outside the image is refused", async () => {
  for (const [field, value] of [[0x248, 0xffff_fff0], [0x24c, 0xffff_fff0], [0x24c, 4]] as const) {
    const image = makeBzImage(lz4());
    writeU32(image, field, value);
    sealBzImage(image);
    await assertRefused(image, /payload lies outside/);
  }
});

test("formats and kernels that cannot be used are named, with what to pass instead", async () => {
  await assertRefused(makeBzImage(withSize(new Uint8Array([0x42, 0x5a, 0x68, 1, 2, 3, 4, 5]), 5)), /packed with bzip2.*pass the unpacked vmlinux/);
  const old = makeBzImage(lz4());
  writeU16(old, 0x206, 0x0204);
  await assertRefused(old, /boot protocol 2\.04/);
  const narrow = makeBzImage(lz4());
  writeU16(narrow, 0x236, 0);
  await assertRefused(narrow, /32-bit/);
});
