/**
 * What a PVH guest finds behind EBX: hvm_start_info with its module list, memory map and command line. Follows Xen
 * public/arch-x86/hvm/start_info.h, version 1.
 */

import { writeU32, writeU64 } from "./little-endian.js";

const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;
const START_INFO_LENGTH = 56;
const MODULE_LENGTH = 32;
const MEMORY_MAP_ENTRY_LENGTH = 24;

/** Kinds of guest-physical memory, as e820 numbers them. */
export const MEMORY_TYPE_RAM = 1;
export const MEMORY_TYPE_RESERVED = 2;
export const MEMORY_TYPE_ACPI = 3;

/** One range of the memory map. */
export interface MemoryMapEntry {
  readonly gpa: number;
  readonly lengthBytes: number;
  /** MEMORY_TYPE_*. */
  readonly type: number;
}

/** What the start info tells the guest. */
export interface StartInfo {
  /** Module 0, if there is one. */
  readonly initrd: { readonly gpa: number; readonly lengthBytes: number } | undefined;
  /** Encoded, without a closing zero. */
  readonly commandLine: Uint8Array;
  readonly rsdpGpa: number;
  readonly memoryMap: readonly MemoryMapEntry[];
}

/** Bytes that `buildStartInfo` will need. */
export function startInfoLength(commandLineBytes: number, memoryMapEntries: number): number {
  return START_INFO_LENGTH + 8 + MODULE_LENGTH + MEMORY_MAP_ENTRY_LENGTH * memoryMapEntries + commandLineBytes + 1;
}

/**
 * Builds the start info and all it points to in one piece, to stand at guest-physical address `gpa` (a multiple of
 * 8). The guest may write there: Linux 6.12 uses the magic word as its first stack.
 */
export function buildStartInfo(gpa: number, info: StartInfo): Uint8Array {
  const bytes = new Uint8Array(startInfoLength(info.commandLine.length, info.memoryMap.length));
  const moduleAt = START_INFO_LENGTH + 8;
  const mapAt = moduleAt + MODULE_LENGTH;
  const commandLineAt = mapAt + MEMORY_MAP_ENTRY_LENGTH * info.memoryMap.length;

  writeU32(bytes, 0, XEN_HVM_START_MAGIC_VALUE);
  writeU32(bytes, 4, 1); // version
  writeU32(bytes, 8, 0); // flags: neither privileged nor the initial domain
  writeU32(bytes, 12, info.initrd ? 1 : 0);
  writeU64(bytes, 16, info.initrd ? gpa + moduleAt : 0);
  writeU64(bytes, 24, gpa + commandLineAt);
  writeU64(bytes, 32, info.rsdpGpa);
  writeU64(bytes, 40, gpa + mapAt);
  writeU32(bytes, 48, info.memoryMap.length);

  if (info.initrd) {
    writeU64(bytes, moduleAt, info.initrd.gpa);
    writeU64(bytes, moduleAt + 8, info.initrd.lengthBytes);
  }
  info.memoryMap.forEach((entry, i) => {
    const at = mapAt + MEMORY_MAP_ENTRY_LENGTH * i;
    writeU64(bytes, at, entry.gpa);
    writeU64(bytes, at + 8, entry.lengthBytes);
    writeU32(bytes, at + 16, entry.type);
  });
  bytes.set(info.commandLine, commandLineAt);
  return bytes;
}
