/**
 * Unpacked kernels, kept from one start to the next: unpacking takes longer than anything else that is done for a guest before it runs.
 *
 *   u32, little endian   JSON                                   one behind the other
 *   | length of JSON     | entry, format, ..., segments' places | bytes of the segments |
 *
 * The key is the SHA-256 of the kernel's file and KERNEL_FORM.
 */
import type { CachedFile, FileCache } from "../../platform/node/index.js";
import type { KernelImage } from "./bzimage.js";
import { readU32, writeU32 } from "./little-endian.js";
import { bytesInMemory, type PieceBytes, type StoredBytes } from "./piece-bytes.js";

/** To be counted up whenever loadKernel makes something else of the same file, or what is kept gets another form. */
const KERNEL_FORM = 1;

/** A kernel of the cache. Its segments can be read until it is closed. */
export interface KeptKernel {
  readonly kernel: KernelImage<StoredBytes>;
  close(): void;
}

/** What stands in the JSON text. */
interface KeptHead extends Omit<KernelImage, "segments" | "version"> {
  readonly version?: string;
  readonly segments: readonly { readonly gpa: number; readonly linkedAddress: string; readonly lengthBytes: number; readonly memoryBytes: number }[];
}

function keyOf(fileHash: string): string {
  return `kernel-${KERNEL_FORM}-${fileHash}`;
}

/** Keeps what loadKernel has made of the file with this SHA-256, if it can. */
export function keepKernel(cache: FileCache, fileHash: string, { segments, ...rest }: KernelImage): void {
  const head = {
    ...rest,
    segments: segments.map(({ gpa, linkedAddress, bytes, memoryBytes }) =>
      ({ gpa, linkedAddress: String(linkedAddress), lengthBytes: bytes.length, memoryBytes })),
  };
  const text = new TextEncoder().encode(JSON.stringify(head));
  const length = new Uint8Array(4);
  writeU32(length, 0, text.length);
  cache.put(keyOf(fileHash), length, text, ...segments.map(({ bytes }) => bytes));
}

/** `kernel` with all its bytes in memory. */
export function kernelInMemory({ segments, ...rest }: KernelImage<PieceBytes>): KernelImage {
  return { ...rest, segments: segments.map(({ bytes, ...place }) => ({ ...place, bytes: bytesInMemory(bytes) })) };
}

/** The kernel that was kept for the file with this SHA-256; undefined = none was. Close it. */
export function openKeptKernel(cache: FileCache, fileHash: string): KeptKernel | undefined {
  const file = cache.open(keyOf(fileHash));
  if (file === undefined) return undefined;
  try {
    return { kernel: readKernel(file), close: () => file.close() };
  } catch {
    // Cut short since it was checked, or not of our making.
    file.close();
    return undefined;
  }
}

function readKernel(file: CachedFile): KernelImage<StoredBytes> {
  const length = new Uint8Array(4);
  file.read(length, 0);
  const text = new Uint8Array(readU32(length, 0));
  file.read(text, 4);
  const { segments, version, ...rest } = JSON.parse(new TextDecoder().decode(text)) as KeptHead;
  let end = 4 + text.length;
  const kept = segments.map(({ gpa, linkedAddress, lengthBytes, memoryBytes }) => {
    const start = end;
    end += lengthBytes;
    const bytes: StoredBytes = { length: lengthBytes, read: (target, position) => file.read(target, start + position) };
    return { gpa, linkedAddress: BigInt(linkedAddress), bytes, memoryBytes };
  });
  return { ...rest, version, segments: kept };
}
