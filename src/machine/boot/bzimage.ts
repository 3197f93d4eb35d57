/**
 * A bzImage: real-mode set-up code, a decompressor, and in it the packed ELF kernel. Follows Documentation/arch/x86/boot.rst
 * of Linux (boot protocol 2.08 and later, which say where the payload is).
 *
 *   0            0x1F1           (setup_sects + 1) * 512              + payload_offset          + syssize * 16    end
 *   | boot sector | setup header  | decompressor                       | payload | size (4)     ... CRC-32 (4)    | signature |
 *
 * The payload is unpacked here, on the host, and the decompressor of the image never runs.
 */

import { GuestImageError } from "../../abi/guest-image-error.js";
import { crc32 } from "../../platform/node/index.js";
import { findPayloadFormat } from "./decompress/index.js";
import { isElf, parseElfKernel, type KernelSegment } from "./elf.js";
import { readU16, readU32 } from "./little-endian.js";
import type { PieceBytes } from "./piece-bytes.js";

const SETUP_HEADER = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const KERNEL_VERSION = 0x20e;
const XLOADFLAGS = 0x236;
const COMMAND_LINE_SIZE = 0x238;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SETUP_HEADER_END = 0x250;
/** "HdrS", little endian. */
const HDRS = 0x5372_6448;
/** The first protocol version with payload_offset and payload_length. */
const VERSION_WITH_PAYLOAD = 0x0208;
const XLF_KERNEL_64 = 1;
/** No kernel unpacks to more; a larger number is damage, and must not make us reserve memory for it. */
const UNPACKED_LENGTH_MAX = 512 << 20;
/** What COMMAND_LINE_SIZE of x86 leaves for text; used where the file does not say. */
const COMMAND_LINE_BYTES_MAX = 2047;

/** A kernel that can be placed into a guest. */
export interface KernelImage<Bytes extends PieceBytes = Uint8Array> {
  /** Guest-physical address where the boot vCPU starts, in 32-bit protected mode. */
  readonly entry: number;
  /** What to load, sorted by address, without overlap. */
  readonly segments: readonly KernelSegment<Bytes>[];
  /** For people: "ELF", or "bzImage, LZ4" and so on. */
  readonly format: string;
  /** The version text in a bzImage's header, such as "6.1.0-56-cloud-amd64 (...)". */
  readonly version: string | undefined;
  /** Longest command line it takes, in bytes without the closing zero. */
  readonly commandLineBytesMax: number;
}

/**
 * Reads a kernel file, a bzImage or an ELF vmlinux, and unpacks it. The result holds views of the unpacked kernel; `file` itself
 * may be let go, unless it is an ELF file.
 *
 * Throws GuestImageError, with one line that says what to do, for whatever cannot be booted.
 */
export async function loadKernel(file: Uint8Array): Promise<KernelImage> {
  if (file.length === 0) throw new GuestImageError("the kernel file is empty: pass a bzImage or an ELF vmlinux");
  if (isElf(file)) {
    return { ...parseElfKernel(file), format: "ELF", version: undefined, commandLineBytesMax: COMMAND_LINE_BYTES_MAX };
  }
  checkSetupHeader(file);
  const imageEnd = checkImage(file);
  const { kernel, formatName } = await unpackPayload(file, imageEnd);
  return {
    ...parseElfKernel(kernel),
    format: `bzImage, ${formatName}`,
    version: readVersion(file),
    commandLineBytesMax: readU32(file, COMMAND_LINE_SIZE) || COMMAND_LINE_BYTES_MAX,
  };
}

/** Whether a file that begins with `head` looks like a bzImage. */
export function isBzImage(head: Uint8Array): boolean {
  return head.length >= SETUP_HEADER_END && readU16(head, BOOT_FLAG) === 0xaa55 && readU32(head, HEADER_MAGIC) === HDRS;
}

function checkSetupHeader(file: Uint8Array): void {
  const hasBootFlag = file.length > BOOT_FLAG + 1 && readU16(file, BOOT_FLAG) === 0xaa55;
  if (hasBootFlag && file.length < SETUP_HEADER_END) throw truncated();
  if (!hasBootFlag || readU32(file, HEADER_MAGIC) !== HDRS) {
    throw new GuestImageError("this is not a kernel: pass a bzImage (often named vmlinuz) or an ELF vmlinux");
  }
  const version = readU16(file, VERSION);
  if (version < VERSION_WITH_PAYLOAD) {
    throw new GuestImageError(
      `the kernel speaks boot protocol ${version >> 8}.${String(version & 255).padStart(2, "0")}, which is too old: pass one of Linux 4.11 or later`,
    );
  }
  if (version >= 0x020c && (readU16(file, XLOADFLAGS) & XLF_KERNEL_64) === 0) {
    throw new GuestImageError("the kernel is a 32-bit one: pass a 64-bit x86 kernel");
  }
}

/** Checks length and checksum of the whole image, and returns its end in the file. */
function checkImage(file: Uint8Array): number {
  const end = setupBytes(file) + readU32(file, SYSSIZE) * 16;
  if (end > file.length) throw truncated();
  // Kernels from 6.16 on have zeros in place of the checksum.
  const stored = readU32(file, end - 4);
  if (stored !== 0 && checksumUnsigned(file, end - 4) !== stored) throw corrupt("its checksum differs");
  return end;
}

/**
 * CRC-32 of file[0 .. end) as the kernel's build made it, before a signer filled in two fields of the PE header (checksum
 * and place of the certificates; PE Format, "Optional Header"), which were zero then. Like the build, without the final inversion.
 */
function checksumUnsigned(file: Uint8Array, end: number): number {
  const peHeader = readU32(file, 0x3c);
  const optionalHeader = peHeader + 24;
  const isPe = file[0] === 0x4d && file[1] === 0x5a && peHeader < SETUP_HEADER && readU32(file, peHeader) === 0x4550;
  if (!isPe) return ~crc32(file.subarray(0, end)) >>> 0;
  // A copy; slice would give a view where the file is a Buffer.
  const head = new Uint8Array(file.subarray(0, Math.min(end, optionalHeader + 256)));
  head.fill(0, optionalHeader + 64, optionalHeader + 68);
  head.fill(0, optionalHeader + 144, optionalHeader + 152);
  return ~crc32(file.subarray(head.length, end), crc32(head)) >>> 0;
}

async function unpackPayload(file: Uint8Array, imageEnd: number): Promise<{ kernel: Uint8Array; formatName: string }> {
  const start = setupBytes(file) + readU32(file, PAYLOAD_OFFSET);
  const end = start + readU32(file, PAYLOAD_LENGTH);
  if (end > imageEnd || end - start < 8) throw corrupt("its payload lies outside the image");
  const payload = file.subarray(start, end);
  const format = findPayloadFormat(payload);
  if (!format) throw corrupt("its payload has no known compression");
  if (!format.unpack) {
    throw new GuestImageError(
      `the kernel is packed with ${format.name}, which is not supported: pass the unpacked vmlinux (the kernel's scripts/extract-vmlinux makes it)`,
    );
  }
  const unpackedLength = readU32(payload, payload.length - 4);
  if (unpackedLength > UNPACKED_LENGTH_MAX) throw corrupt("its payload claims an impossible length");
  const kernel = new Uint8Array(unpackedLength);
  try {
    await format.unpack(payload.subarray(0, payload.length - format.sizeTrailerBytes), kernel);
  } catch (cause) {
    throw corrupt(`its ${format.name} payload does not unpack`, cause);
  }
  return { kernel, formatName: format.name };
}

function setupBytes(file: Uint8Array): number {
  // boot.rst: "for backwards compatibility, if the setup_sects field contains 0, the real value is 4".
  return ((file[SETUP_HEADER] || 4) + 1) * 512;
}

function readVersion(file: Uint8Array): string | undefined {
  const offset = readU16(file, KERNEL_VERSION);
  if (offset === 0) return undefined;
  const text = file.subarray(offset + 0x200, offset + 0x200 + 256);
  const end = text.indexOf(0);
  return new TextDecoder("latin1").decode(end < 0 ? text : text.subarray(0, end));
}

function truncated(): GuestImageError {
  return new GuestImageError("the kernel is truncated: the file is shorter than its header says; get it again");
}

function corrupt(what: string, cause?: unknown): GuestImageError {
  return new GuestImageError(`the kernel is corrupt: ${what}; get the file again`, cause === undefined ? {} : { cause });
}
