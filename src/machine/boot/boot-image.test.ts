import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestImageError } from "../../abi/guest-image-error.js";
import { buildAcpiTables } from "./acpi.js";
import { buildBoot, type BootImage, type BootRequest } from "./boot-image.js";
import { loadKernel, type KernelImage } from "./bzimage.js";
import { bytesInMemory } from "./piece-bytes.js";
import { defaultCommandLine } from "./command-line.js";
import { readU16, readU32, readU64 } from "./little-endian.js";
import { makeElf, makePattern, TEST_KERNEL_ENTRY, TEST_KERNEL_GPA } from "./test-kernel.js";

const MIB = 1 << 20;
const kernel = await loadKernel(makeElf());

function build(changes: Partial<BootRequest> = {}): BootImage {
  return buildBoot({ kernel, initrd: makePattern(5000), commandLine: "console=hvc0 quiet", memoryBytes: 256 * MIB, vcpuCount: 2, ...changes });
}

/** Reads guest memory as the pieces leave it. */
function reader(image: BootImage): (gpa: number, length: number) => Uint8Array {
  return (gpa, length) => {
    const piece = image.pieces.find((p) => gpa >= p.gpa && gpa + length <= p.gpa + p.bytes.length);
    assert.ok(piece, `0x${gpa.toString(16)} must lie in a piece`);
    return bytesInMemory(piece.bytes).subarray(gpa - piece.gpa, gpa - piece.gpa + length);
  };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

test("start_info has the bytes that Xen's header asks for", () => {
  const image = build();
  const read = reader(image);
  const info = read(image.startInfoGpa, 56);
  assert.equal(readU32(info, 0), 0x336ec578);
  assert.equal(readU32(info, 4), 1);
  assert.equal(readU32(info, 8), 0);
  assert.equal(readU32(info, 12), 1);
  assert.equal(readU32(info, 48), 4);
  const commandLine = read(readU64(info, 24), 19);
  assert.equal(text(commandLine), "console=hvc0 quiet\0");

  const module = read(readU64(info, 16), 32);
  assert.deepEqual(read(readU64(module, 0), 5000), makePattern(5000));
  assert.equal(readU64(module, 8), 5000);

  const map = read(readU64(info, 40), 96);
  const entries = [0, 1, 2, 3].map((i) => [readU64(map, 24 * i), readU64(map, 24 * i + 8), readU32(map, 24 * i + 16)]);
  assert.deepEqual(entries, [
    [0, 0xa0000, 1],
    [0x100000, 256 * MIB - 0x110000, 1],
    [256 * MIB - 0x10000, 0x1000, 3],
    [256 * MIB - 0xf000, 0xf000, 2],
  ]);
});

test("without an initrd there is no module", () => {
  const image = build({ initrd: undefined });
  const info = reader(image)(image.startInfoGpa, 56);
  assert.equal(readU32(info, 12), 0);
  assert.equal(readU64(info, 16), 0);
});

test("nothing overlaps: kernel with its bss, start info, initrd, ACPI tables, special pages", () => {
  const image = build();
  const ranges = [
    ...image.pieces.filter((p) => p.gpa !== TEST_KERNEL_GPA).map((p) => [p.gpa, p.gpa + p.bytes.length] as const),
    [TEST_KERNEL_GPA, TEST_KERNEL_GPA + 0x5000] as const,
    ...Object.values(image.specialPages).map((gfn) => [gfn * 4096, (gfn + 1) * 4096] as const),
  ].sort((a, b) => a[0] - b[0]);
  ranges.forEach(([start], i) => assert.ok(i === 0 || start >= ranges[i - 1]![1], `range at 0x${start.toString(16)} must be free`));
  assert.equal(ranges.length, 6);
  for (const [start, end] of ranges) {
    assert.ok(image.memslots.some((slot) => start >= slot.gpa && end <= slot.gpa + slot.lengthBytes), "must be backed by a memslot");
  }
  assert.equal(image.entry, TEST_KERNEL_ENTRY);
});

test("the special pages and tables lie outside the RAM that the guest is told of", () => {
  const image = build();
  for (const gfn of Object.values(image.specialPages)) {
    assert.ok(!image.ram.some((range) => gfn * 4096 >= range.gpa && gfn * 4096 < range.gpa + range.lengthBytes));
  }
  assert.deepEqual(image.ram.map((range) => range.gpa), [0, 0x100000]);
});

test("the ACPI tables hang together and every checksum is right", () => {
  const image = build({ vcpuCount: 3 });
  const read = reader(image);
  const rsdpGpa = readU64(read(image.startInfoGpa, 56), 32);
  const rsdp = read(rsdpGpa, 36);
  const sum = (bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0) & 0xff;
  assert.equal(text(rsdp.subarray(0, 8)), "RSD PTR ");
  assert.equal(sum(rsdp.subarray(0, 20)), 0);
  assert.equal(sum(rsdp), 0);

  const table = (gpa: number, signature: string) => {
    const bytes = read(gpa, readU32(read(gpa, 8), 4));
    assert.equal(text(bytes.subarray(0, 4)), signature);
    assert.equal(sum(bytes), 0, `the checksum of ${signature} must be right`);
    return bytes;
  };
  const xsdt = table(readU64(rsdp, 24), "XSDT");
  assert.equal(xsdt.length, 36 + 16);
  const fadt = table(readU64(xsdt, 36), "FACP");
  assert.equal(fadt.length, 268);
  assert.equal(fadt[8], 5);
  assert.equal(readU32(fadt, 112) & (1 << 20), 1 << 20, "hardware-reduced");
  assert.equal(readU16(fadt, 109), 0x24);
  const dsdt = table(readU64(fadt, 140), "DSDT");
  assert.equal(dsdt.length, 36);
  assert.equal(readU32(fadt, 40), readU64(fadt, 140));

  const madt = table(readU64(xsdt, 44), "APIC");
  assert.equal(readU32(madt, 36), 0xfee00000);
  assert.equal(readU32(madt, 40), 0);
  const localApics = [0, 1, 2].map((i) => [...madt.subarray(44 + 8 * i, 52 + 8 * i)]);
  assert.deepEqual(localApics, [[0, 8, 0, 0, 1, 0, 0, 0], [0, 8, 1, 1, 1, 0, 0, 0], [0, 8, 2, 2, 1, 0, 0, 0]]);
});

test("the ACPI tables of the largest guest fit their page", () => {
  for (const personality of ["xen", "kvm"] as const) assert.ok(buildAcpiTables(0x1000_0000, 8, personality).bytes.length <= 4096);
});

test("pieces are views of what was given, not copies", () => {
  const initrd = makePattern(5000);
  const image = build({ initrd });
  assert.ok(image.pieces.some((piece) => piece.bytes === initrd));
  assert.ok(image.pieces.some((piece) => piece.bytes === kernel.segments[0]!.bytes));
});

function refusal(changes: Partial<BootRequest>): string {
  try {
    build(changes);
  } catch (error) {
    assert.ok(error instanceof GuestImageError, `a GuestImageError was expected, got ${String(error)}`);
    return error.message;
  }
  assert.fail("must be refused");
}

test("too little memory is refused with the size that does", () => {
  const message = refusal({ memoryBytes: 16 * MIB });
  const needed = Number(/this kernel and initrd need at least (\d+) MiB, and 16 MiB were given/.exec(message)?.[1]);
  assert.ok(build({ memoryBytes: needed * MIB }));
  assert.match(refusal({ memoryBytes: (needed - 1) * MIB }), /memory too small/);
  assert.match(refusal({ memoryBytes: 4 * MIB, initrd: undefined }), /this kernel needs at least/);
});

test("an initrd that no memory would hold, and more memory than there can be, are refused", () => {
  const huge = { length: 2 ** 32 } as Uint8Array;
  assert.match(refusal({ initrd: huge, memoryBytes: 3072 * MIB }), /initrd is too large.*at most 3072 MiB/);
  assert.match(refusal({ memoryBytes: 3073 * MIB }), /memory too large/);
  assert.ok(build({ memoryBytes: 3072 * MIB }));
});

test("a command line is refused when it is too long or not one line, and kept byte for byte otherwise", () => {
  assert.match(refusal({ commandLine: "x".repeat(2048) }), /2048 bytes, but this kernel takes 2047/);
  assert.match(refusal({ commandLine: "a\nb" }), /one line/);
  const image = build({ commandLine: "x".repeat(2047) });
  assert.equal(reader(image)(readU64(reader(image)(image.startInfoGpa, 56), 24), 2048)[2046], 0x78);
});

test("a number of vCPUs that there cannot be is refused", () => {
  for (const vcpuCount of [0, 9, 1.5]) assert.match(refusal({ vcpuCount }), /vCPUs/);
});

test("a kernel linked below 1 MiB is refused", () => {
  const low: KernelImage = { ...kernel, segments: [{ gpa: 0x1000, linkedAddress: 0x1000n, bytes: makePattern(16), memoryBytes: 16 }] };
  assert.match(refusal({ kernel: low }), /below 1 MiB/);
});

test("what the user appends to the command line comes last", () => {
  assert.match(defaultCommandLine("exec", "xen", " quiet mitigations=auto "), /^console=hvc0 .* unpinned\.mode=exec quiet mitigations=auto$/);
  assert.match(defaultCommandLine("shell", "xen"), /unpinned\.mode=shell$/);
});
