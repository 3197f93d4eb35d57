/**
 * Where everything stands in guest-physical memory when the boot vCPU starts.
 *
 *   0          RAM (the guest's first free page becomes its shared_info)
 *   0xA0000    nothing; 0xC0000 to 0xFFFFF zero pages, where the guest looks for option ROMs and a BIOS; under KVM with a
 *              reset vector at their end
 *   0x100000   RAM
 *   0x1000000  kernel (where its program headers say)
 *              start info, memory map, command line         next page; below 1 GiB, writable
 *              initrd                                       next page
 *              RAM
 *   top - 64K  ACPI tables
 *   top - 60K  reserved: console ring, xenstore ring, and room for more special pages
 *   top        = memoryBytes
 *
 * ACPI tables and special pages stand at the end of RAM, and not near 4 GiB as Xen's tools put them, because Linux 6.12
 * takes an ACPI region for the end of memory and sizes its zones up to there.
 */

import { GuestImageError } from "../../abi/guest-image-error.js";
import { PAGE_SHIFT, PAGE_SIZE, VCPU_COUNT_MAX } from "../../abi/layout.js";
import type { PersonalityName } from "../../exit/index.js";
import { buildAcpiTables } from "./acpi.js";
import type { KernelImage } from "./bzimage.js";
import type { PieceBytes } from "./piece-bytes.js";
import { RESET_STUB, RESET_VECTOR_GPA } from "./reset-stub.js";
import {
  buildStartInfo,
  MEMORY_TYPE_ACPI,
  MEMORY_TYPE_RAM,
  MEMORY_TYPE_RESERVED,
  startInfoLength,
  type MemoryMapEntry,
} from "./start-info.js";

const MIB = 1 << 20;
const LOW_MEMORY_END = 0xa_0000;
const BIOS_AREA = 0xc_0000;
const HIGH_MEMORY = 0x10_0000;
/** The guest's early page tables map this much; the start info must lie below. */
const EARLY_MAPPED_END = 0x4000_0000;
/** ACPI tables and special pages, at the end of RAM. */
const TOP_RESERVED = 64 << 10;
/** Above would be the local APIC and what else of 32-bit addresses is not memory. */
const MEMORY_BYTES_MAX = 3 * 1024 * MIB;
/**
 * What a kernel needs besides its image and twice the initrd (as it is in memory, and unpacked to a file system) to reach a
 * working shell: 6 to 8 MiB were found by halving, with Debian kernels 6.1 and 6.12 and initrds of 2 and 22 MiB.
 */
const KERNEL_WORKING_BYTES = 10 * MIB;

/** A range of guest-physical memory. */
export interface GuestRange {
  /** First guest-physical address, a multiple of the page size. */
  readonly gpa: number;
  /** A multiple of the page size. */
  readonly lengthBytes: number;
}

/** What to write where. The bytes are those of what was given (kernel, initrd), not copies. */
export interface BootPiece {
  readonly gpa: number;
  readonly bytes: PieceBytes;
}

/** A guest ready to be loaded. */
export interface BootImage {
  /** Where the boot vCPU starts: 32-bit protected mode, paging off, flat segments. */
  readonly entry: number;
  /** Value of EBX at entry. */
  readonly startInfoGpa: number;
  /** To be written before the start; everything else of guest memory is zero. Sorted, no two overlap. */
  readonly pieces: readonly BootPiece[];
  /** Every range that must be backed by memory: RAM, tables, special pages, the zero BIOS area. Sorted. */
  readonly memslots: readonly GuestRange[];
  /** What the guest is told it may use. */
  readonly ram: readonly GuestRange[];
  /** The memory map of the start info, for XENMEM_memory_map too. */
  readonly memoryMap: readonly MemoryMapEntry[];
  /** Guest frame numbers of the rings named by HVM params; their pages are zero at the start. */
  readonly specialPages: { readonly console: number; readonly xenstore: number };
}

/** What a guest is built from. */
export interface BootRequest {
  readonly kernel: KernelImage<PieceBytes>;
  readonly initrd?: Uint8Array | undefined;
  readonly commandLine: string;
  /** Size of guest memory, up to 3 GiB; cut down to whole pages. */
  readonly memoryBytes: number;
  /** 1 to VCPU_COUNT_MAX. */
  readonly vcpuCount: number;
  /** Decides what the ACPI tables name. Default "xen". */
  readonly personality?: PersonalityName;
}

/** Places a guest in memory. Throws GuestImageError if it does not fit, with the size that would do. */
export function buildBoot(request: BootRequest): BootImage {
  const { kernel, initrd, vcpuCount, personality = "xen" } = request;
  if (!Number.isInteger(vcpuCount) || vcpuCount < 1 || vcpuCount > VCPU_COUNT_MAX) {
    throw new GuestImageError(`${vcpuCount} vCPUs were asked for: give 1 to ${VCPU_COUNT_MAX}`);
  }
  const commandLine = encodeCommandLine(request.commandLine, kernel);
  const top = Math.floor(request.memoryBytes / PAGE_SIZE) * PAGE_SIZE;
  const places = placeAboveKernel(kernel, commandLine.length, initrd?.length ?? 0);
  checkMemory(places.end, initrd?.length ?? 0, top);

  const acpiGpa = top - TOP_RESERVED;
  const memoryMap: MemoryMapEntry[] = [
    { gpa: 0, lengthBytes: LOW_MEMORY_END, type: MEMORY_TYPE_RAM },
    { gpa: HIGH_MEMORY, lengthBytes: acpiGpa - HIGH_MEMORY, type: MEMORY_TYPE_RAM },
    { gpa: acpiGpa, lengthBytes: PAGE_SIZE, type: MEMORY_TYPE_ACPI },
    { gpa: acpiGpa + PAGE_SIZE, lengthBytes: TOP_RESERVED - PAGE_SIZE, type: MEMORY_TYPE_RESERVED },
  ];
  const acpi = buildAcpiTables(acpiGpa, vcpuCount, personality);
  const initrdRange = initrd && initrd.length > 0 ? { gpa: places.initrd, lengthBytes: initrd.length } : undefined;
  const startInfo = buildStartInfo(places.startInfo, { initrd: initrdRange, commandLine, rsdpGpa: acpi.rsdpGpa, memoryMap });

  const pieces: BootPiece[] = kernel.segments.map(({ gpa, bytes }) => ({ gpa, bytes }));
  if (personality === "kvm") pieces.unshift({ gpa: RESET_VECTOR_GPA, bytes: RESET_STUB });
  pieces.push({ gpa: places.startInfo, bytes: startInfo });
  if (initrdRange && initrd) pieces.push({ gpa: initrdRange.gpa, bytes: initrd });
  pieces.push({ gpa: acpiGpa, bytes: acpi.bytes });
  const firstSpecialGfn = (acpiGpa + PAGE_SIZE) >>> PAGE_SHIFT;
  return {
    entry: kernel.entry,
    startInfoGpa: places.startInfo,
    pieces,
    memslots: [
      { gpa: 0, lengthBytes: LOW_MEMORY_END },
      { gpa: BIOS_AREA, lengthBytes: HIGH_MEMORY - BIOS_AREA },
      { gpa: HIGH_MEMORY, lengthBytes: top - HIGH_MEMORY },
    ],
    ram: memoryMap.filter((entry) => entry.type === MEMORY_TYPE_RAM).map(({ gpa, lengthBytes }) => ({ gpa, lengthBytes })),
    memoryMap,
    specialPages: { console: firstSpecialGfn, xenstore: firstSpecialGfn + 1 },
  };
}

function encodeCommandLine(text: string, kernel: KernelImage<PieceBytes>): Uint8Array {
  if (/[\0\r\n]/.test(text)) throw new GuestImageError("the kernel command line must be one line, without zero bytes");
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > kernel.commandLineBytesMax) {
    throw new GuestImageError(
      `the kernel command line has ${bytes.length} bytes, but this kernel takes ${kernel.commandLineBytesMax}: append less`,
    );
  }
  return bytes;
}

function placeAboveKernel(kernel: KernelImage<PieceBytes>, commandLineBytes: number, initrdBytes: number) {
  for (const segment of kernel.segments) {
    if (segment.gpa < HIGH_MEMORY) throw new GuestImageError("the kernel loads below 1 MiB: pass one for PVH, linked at 1 MiB or above");
  }
  const kernelEnd = Math.max(...kernel.segments.map((s) => s.gpa + s.memoryBytes));
  const startInfo = alignToPage(kernelEnd);
  const initrd = alignToPage(startInfo + startInfoLength(commandLineBytes, 4));
  if (initrd > EARLY_MAPPED_END) throw new GuestImageError("the kernel ends above 1 GiB, where its early page tables do not reach: pass a smaller one");
  return { startInfo, initrd, end: alignToPage(initrd + initrdBytes) };
}

function checkMemory(end: number, initrdBytes: number, top: number): void {
  const needed = Math.ceil((end + initrdBytes + KERNEL_WORKING_BYTES + TOP_RESERVED) / MIB);
  const given = Math.floor(top / MIB);
  if (needed > MEMORY_BYTES_MAX / MIB) {
    throw new GuestImageError(`the initrd is too large: kernel and initrd need ${needed} MiB, and a guest has at most ${MEMORY_BYTES_MAX / MIB} MiB`);
  }
  if (given < needed) {
    const what = initrdBytes > 0 ? "this kernel and initrd need" : "this kernel needs";
    throw new GuestImageError(`memory too small: ${what} at least ${needed} MiB, and ${given} MiB were given`);
  }
  if (top > MEMORY_BYTES_MAX) {
    throw new GuestImageError(`memory too large: ${given} MiB were given, and a guest has at most ${MEMORY_BYTES_MAX / MIB} MiB`);
  }
}

function alignToPage(gpa: number): number {
  return Math.ceil(gpa / PAGE_SIZE) * PAGE_SIZE;
}
