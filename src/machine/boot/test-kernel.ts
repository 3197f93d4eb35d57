/**
 * Small kernels made up for tests: an ELF with the segments and notes asked for, and a bzImage around it.
 */

import { crc32 } from "../../platform/node/index.js";
import { writeU16, writeU32, writeU64 } from "./little-endian.js";

/** A PT_LOAD segment of a made-up kernel. */
export interface TestSegment {
  readonly gpa: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes?: number;
}

/** What a made-up ELF kernel is like; the defaults are a kernel that boots. */
export interface TestElf {
  readonly segments?: readonly TestSegment[];
  readonly notes?: Uint8Array;
  readonly machine?: number;
  readonly elfClass?: number;
  readonly type?: number;
}

/** Physical address and PVH entry of the default test kernel. */
export const TEST_KERNEL_GPA = 0x100_0000;
export const TEST_KERNEL_ENTRY = TEST_KERNEL_GPA + 0x850;

/** Makes an ELF note with its padding. */
export function makeNote(name: string, type: number, descriptor: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(name + "\0");
  const descriptorAt = 12 + Math.ceil(nameBytes.length / 4) * 4;
  const note = new Uint8Array(descriptorAt + Math.ceil(descriptor.length / 4) * 4);
  writeU32(note, 0, nameBytes.length);
  writeU32(note, 4, descriptor.length);
  writeU32(note, 8, type);
  note.set(nameBytes, 12);
  note.set(descriptor, descriptorAt);
  return note;
}

/** Makes the notes of a PVH kernel: one that must be skipped, then the entry. */
export function makePvhNotes(entry: number): Uint8Array {
  const descriptor = new Uint8Array(8);
  writeU64(descriptor, 0, entry);
  return concatenate([makeNote("Linux", 6, new Uint8Array(5)), makeNote("Xen", 18, descriptor)]);
}

/** Makes an ELF kernel: header, program headers, notes, then the segments' bytes. */
export function makeElf(elf: TestElf = {}): Uint8Array {
  const segments = elf.segments ?? [{ gpa: TEST_KERNEL_GPA, bytes: makePattern(0x3000), memoryBytes: 0x5000 }];
  const notes = elf.notes ?? makePvhNotes(TEST_KERNEL_ENTRY);
  const headers = new Uint8Array(64 + 56 * (segments.length + 1));
  headers.set([0x7f, 0x45, 0x4c, 0x46, elf.elfClass ?? 2, 1, 1]);
  writeU16(headers, 16, elf.type ?? 2);
  writeU16(headers, 18, elf.machine ?? 62);
  writeU64(headers, 32, 64);
  writeU16(headers, 54, 56);
  writeU16(headers, 56, segments.length + 1);

  const parts = [headers, notes];
  let at = headers.length + notes.length;
  segments.forEach(({ gpa, bytes, memoryBytes = bytes.length }, i) => {
    writeProgramHeader(headers, i, { type: 1, fileOffset: at, gpa, fileBytes: bytes.length, memoryBytes });
    parts.push(bytes);
    at += bytes.length;
  });
  const note = { type: 4, fileOffset: headers.length, gpa: 0, fileBytes: notes.length, memoryBytes: notes.length };
  writeProgramHeader(headers, segments.length, note);
  return concatenate(parts);
}

interface TestProgramHeader {
  readonly type: number;
  readonly fileOffset: number;
  readonly gpa: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

function writeProgramHeader(file: Uint8Array, index: number, header: TestProgramHeader): void {
  const at = 64 + 56 * index;
  writeU32(file, at, header.type);
  writeU64(file, at + 8, header.fileOffset);
  writeU64(file, at + 24, header.gpa);
  writeU64(file, at + 32, header.fileBytes);
  writeU64(file, at + 40, header.memoryBytes);
}

/** Offset of the payload in the file, for a bzImage made by makeBzImage. */
export const TEST_PAYLOAD_AT = 5 * 512 + 0x40;

/** Makes a bzImage with four set-up sectors, protocol 2.15, a version text and a good checksum around a payload. */
export function makeBzImage(payload: Uint8Array): Uint8Array {
  const setupBytes = 5 * 512;
  const imageBytes = Math.ceil((0x40 + payload.length + 4) / 16) * 16;
  const file = new Uint8Array(setupBytes + imageBytes);
  file[0x1f1] = 4;
  writeU32(file, 0x1f4, imageBytes / 16);
  writeU16(file, 0x1fe, 0xaa55);
  writeU32(file, 0x202, 0x5372_6448);
  writeU16(file, 0x206, 0x020f);
  writeU16(file, 0x20e, 0x100);
  file.set(new TextEncoder().encode("6.1.0-test (someone@somewhere)\0"), 0x300);
  writeU16(file, 0x236, 0x7f);
  writeU32(file, 0x238, 2047);
  writeU32(file, 0x248, 0x40);
  writeU32(file, 0x24c, payload.length);
  file.set(payload, TEST_PAYLOAD_AT);
  sealBzImage(file);
  return file;
}

/** Writes the checksum that belongs to the rest of the file. */
export function sealBzImage(file: Uint8Array): void {
  writeU32(file, file.length - 4, ~crc32(file.subarray(0, file.length - 4)));
}

/** Appends the unpacked length, as the kernel's build does to all but gzip. */
export function withSize(packed: Uint8Array, unpackedBytes: number): Uint8Array {
  const size = new Uint8Array(4);
  writeU32(size, 0, unpackedBytes);
  return concatenate([packed, size]);
}

/** Packs as LZ4 legacy, with literals only. */
export function packLz4(bytes: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = [new Uint8Array([0x02, 0x21, 0x4c, 0x18])];
  for (let at = 0; at < bytes.length; at += 8 << 20) blocks.push(packLz4Block(bytes.subarray(at, at + (8 << 20))));
  return concatenate(blocks);
}

function packLz4Block(bytes: Uint8Array): Uint8Array {
  const more = bytes.length - 15;
  const lengths = bytes.length < 15 ? [bytes.length << 4] : [0xf0, ...new Array<number>(Math.floor(more / 255)).fill(255), more % 255];
  const head = new Uint8Array(4);
  writeU32(head, 0, lengths.length + bytes.length);
  return concatenate([head, new Uint8Array(lengths), bytes]);
}

/** Bytes that look like code: repeating, with calls (E8) now and then, the last one not zero. */
export function makePattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 12345;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = i % 7 === 0 ? 0xe8 : i % 7 === 4 ? (state >>> 31 ? 0xff : 0) : i % 64 < 48 ? i >>> 6 : state >>> 16;
  }
  bytes[length - 1] = 0x90;
  return bytes;
}

/** Joins byte arrays. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
