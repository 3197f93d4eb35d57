/**
 * An ELF64 kernel ("System V ABI", gabi) with the note that names its PVH entry point (Xen public/elfnote.h,
 * XEN_ELFNOTE_PHYS32_ENTRY).
 *
 * What comes in is a file of unknown origin: every offset is checked against the file before it is used.
 */

import { GuestImageError } from "../../abi/guest-image-error.js";
import { readAddress, readU16, readU32, readU64 } from "./little-endian.js";
import type { PieceBytes } from "./piece-bytes.js";

const ELF_HEADER_LENGTH = 64;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;
const PROGRAM_HEADER_LENGTH = 56;
const PT_LOAD = 1;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
/** Early guest page tables map 1 GiB, and the entry is 32-bit code: a kernel reaches no further. */
const KERNEL_ADDRESS_MAX = 0x4000_0000;

/** One range of guest-physical memory that a kernel fills. Its bytes are an array, or are read from a file (piece-bytes.ts). */
export interface KernelSegment<Bytes extends PieceBytes = Uint8Array> {
  /** First guest-physical address. */
  readonly gpa: number;
  /** Linear address that its first byte is linked for. */
  readonly linkedAddress: bigint;
  /** What is loaded there: of an array a view of the unpacked kernel, not a copy. */
  readonly bytes: Bytes;
  /** Length in memory, at least bytes.length; the rest is zero. */
  readonly memoryBytes: number;
}

/** What an ELF kernel says about how to load and enter it. */
export interface ElfKernel {
  /** Guest-physical address where a vCPU starts, in 32-bit protected mode. */
  readonly entry: number;
  /** Sorted by address, without overlap. */
  readonly segments: readonly KernelSegment[];
}

interface ProgramHeader {
  readonly type: number;
  readonly fileOffset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** True if the file begins as an ELF file does. */
export function isElf(file: Uint8Array): boolean {
  return file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** Reads an ELF kernel; throws GuestImageError if it is damaged or cannot be entered by PVH. */
export function parseElfKernel(file: Uint8Array): ElfKernel {
  checkElfHeader(file);
  const headers = readProgramHeaders(file);
  const segments = readSegments(file, headers);
  const entry = findPvhEntry(file, headers);
  if (entry === undefined) {
    throw new GuestImageError(
      "the kernel has no PVH entry note: use one built with CONFIG_PVH=y or CONFIG_XEN_PVH=y, such as Debian's linux-image-cloud-amd64",
    );
  }
  if (!segments.some((s) => entry >= s.gpa && entry < s.gpa + s.bytes.length)) {
    throw damaged(`its PVH entry 0x${entry.toString(16)} lies outside its segments`);
  }
  return { entry, segments };
}

function checkElfHeader(file: Uint8Array): void {
  if (!isElf(file)) throw damaged("it does not begin with the ELF magic");
  if (file.length < ELF_HEADER_LENGTH) throw damaged("its ELF header is cut short");
  const type = readU16(file, 16);
  if (file[4] !== ELFCLASS64 || file[5] !== ELFDATA2LSB || readU16(file, 18) !== EM_X86_64) {
    throw new GuestImageError("the kernel is an ELF file, but not for x86-64: pass a 64-bit x86 kernel");
  }
  if (type !== ET_EXEC && type !== ET_DYN) {
    throw new GuestImageError("the kernel is an ELF file that cannot be loaded (an object or core file): pass vmlinux or a bzImage");
  }
}

function readProgramHeaders(file: Uint8Array): ProgramHeader[] {
  const offset = readU64(file, 32);
  const entryLength = readU16(file, 54);
  const count = readU16(file, 56);
  if (count === 0) throw new GuestImageError("the kernel is an ELF file without segments: pass vmlinux or a bzImage");
  if (entryLength !== PROGRAM_HEADER_LENGTH) throw damaged(`its program headers have ${entryLength} bytes each, not ${PROGRAM_HEADER_LENGTH}`);
  if (offset + count * entryLength > file.length) throw damaged("its program headers lie behind the end of the file");
  return Array.from({ length: count }, (_, i) => {
    const at = offset + i * entryLength;
    return {
      type: readU32(file, at),
      fileOffset: readU64(file, at + 8),
      virtualAddress: readAddress(file, at + 16),
      physicalAddress: readU64(file, at + 24),
      fileBytes: readU64(file, at + 32),
      memoryBytes: readU64(file, at + 40),
    };
  });
}

function readSegments(file: Uint8Array, headers: readonly ProgramHeader[]): KernelSegment[] {
  const segments: KernelSegment[] = [];
  for (const header of headers) {
    if (header.type !== PT_LOAD || header.memoryBytes === 0) continue;
    if (header.fileOffset + header.fileBytes > file.length) throw damaged("a segment lies behind the end of the file");
    if (header.fileBytes > header.memoryBytes) throw damaged("a segment is longer in the file than in memory");
    if (header.physicalAddress + header.memoryBytes > KERNEL_ADDRESS_MAX) {
      throw damaged(`a segment at 0x${header.physicalAddress.toString(16)} does not lie in the first GiB`);
    }
    segments.push({
      gpa: header.physicalAddress,
      linkedAddress: header.virtualAddress,
      bytes: trimZeros(file.subarray(header.fileOffset, header.fileOffset + header.fileBytes)),
      memoryBytes: header.memoryBytes,
    });
  }
  if (segments.length === 0) throw new GuestImageError("the kernel is an ELF file with nothing to load: pass vmlinux or a bzImage");
  segments.sort((a, b) => a.gpa - b.gpa);
  segments.forEach((segment, i) => {
    const before = segments[i - 1];
    if (before && before.gpa + before.memoryBytes > segment.gpa) throw damaged("its segments overlap");
  });
  return segments;
}

/**
 * Drops zeros at the end: fresh guest memory is zero. Kernels keep their bss in the file (10 MB of zeros in Debian's), and
 * loading it would give a frame to each of its pages.
 */
function trimZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

function findPvhEntry(file: Uint8Array, headers: readonly ProgramHeader[]): number | undefined {
  for (const header of headers) {
    if (header.type !== PT_NOTE) continue;
    if (header.fileOffset + header.fileBytes > file.length) throw damaged("its notes lie behind the end of the file");
    const entry = findPvhEntryIn(file.subarray(header.fileOffset, header.fileOffset + header.fileBytes));
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** Walks notes: u32 name length, u32 descriptor length, u32 type, then name and descriptor, each padded to 4 bytes. */
function findPvhEntryIn(notes: Uint8Array): number | undefined {
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameBytes = readU32(notes, at);
    const descriptorBytes = readU32(notes, at + 4);
    const type = readU32(notes, at + 8);
    const name = at + 12;
    const descriptor = name + alignUp4(nameBytes);
    const next = descriptor + alignUp4(descriptorBytes);
    if (next > notes.length) throw damaged("a note is cut short");
    const isXen = nameBytes === 4 && readU32(notes, name) === 0x006e_6558; // "Xen\0"
    if (isXen && type === XEN_ELFNOTE_PHYS32_ENTRY && descriptorBytes >= 4) return readU32(notes, descriptor);
    at = next;
  }
  return undefined;
}

/** Rounds up to 4 without 32-bit wrap: lengths come from the file. */
function alignUp4(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function damaged(what: string): GuestImageError {
  return new GuestImageError(`the kernel is damaged: ${what}; get the file again`);
}
