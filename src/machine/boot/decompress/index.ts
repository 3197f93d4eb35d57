/**
 * The compressions a bzImage payload may have, told apart by their first bytes: one table, in the order in which it is
 * searched. Each is loaded when a kernel needs it: most starts find theirs unpacked.
 */

/** One way to pack a kernel. */
export interface PayloadFormat {
  readonly name: string;
  readonly magic: readonly number[];
  /**
   * Bytes behind the compressed data that hold its unpacked length. The build appends four; gzip has the same
   * four as its own trailer.
   */
  readonly sizeTrailerBytes: 0 | 4;
  /** Unpacks into `output`, exactly its length, or throws. Absent: known by name only. */
  readonly unpack?: (packed: Uint8Array, output: Uint8Array) => Promise<void>;
}

/** Every format the kernel's build can choose (init/Kconfig, KERNEL_GZIP and its neighbours). */
export const payloadFormats: readonly PayloadFormat[] = [
  { name: "LZ4", magic: [0x02, 0x21, 0x4c, 0x18], sizeTrailerBytes: 4, unpack: async (packed, output) => (await import("./lz4.js")).decompressLz4Legacy(packed, output) },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], sizeTrailerBytes: 4, unpack: async (packed, output) => (await import("./zstd.js")).decompressZstd(packed, output) },
  { name: "XZ", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], sizeTrailerBytes: 4, unpack: async (packed, output) => await (await import("./xz.js")).decompressXz(packed, output) },
  { name: "gzip", magic: [0x1f, 0x8b], sizeTrailerBytes: 0, unpack: async (packed, output) => await (await import("./gzip.js")).decompressGzip(packed, output) },
  { name: "uncompressed", magic: [0x7f, 0x45, 0x4c, 0x46], sizeTrailerBytes: 4, unpack: copyStored },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], sizeTrailerBytes: 4 },
  { name: "LZMA", magic: [0x5d, 0x00, 0x00], sizeTrailerBytes: 4 },
  { name: "LZO", magic: [0x89, 0x4c, 0x5a, 0x4f], sizeTrailerBytes: 4 },
];

async function copyStored(packed: Uint8Array, output: Uint8Array): Promise<void> {
  if (packed.length !== output.length) throw new Error(`stored kernel has ${packed.length} bytes, ${output.length} expected`);
  output.set(packed);
}

/** Returns the format whose magic `payload` begins with, if any. */
export function findPayloadFormat(payload: Uint8Array): PayloadFormat | undefined {
  return payloadFormats.find((format) => format.magic.every((byte, i) => payload[i] === byte));
}
