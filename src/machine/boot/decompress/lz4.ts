/**
 * The LZ4 legacy frame (magic 02 21 4C 18), which `lz4 -l` and the kernel's build write: a row of
 * u32 block length, LZ4 block; each block gives up to 8 MiB and knows nothing of the others. Follows lz4_Block_format.md and
 * lz4_Frame_format.md of the LZ4 project. There is no checksum: only damage to the structure is noticed here.
 */

import { readU32 } from "../little-endian.js";

const BLOCK_OUTPUT_MAX = 8 << 20;
const LENGTH_MORE = 15;
const MATCH_MIN = 4;

/** Unpacks a legacy frame into `output`. Throws an Error when the frame is damaged or does not give output.length bytes. */
export function decompressLz4Legacy(frame: Uint8Array, output: Uint8Array): void {
  let from = 4;
  let to = 0;
  while (from < frame.length) {
    if (from + 4 > frame.length) throw new Error("LZ4 block length cut short");
    const blockLength = readU32(frame, from);
    from += 4;
    if (blockLength === 0 || blockLength > frame.length - from) throw new Error("LZ4 block length out of range");
    to = decompressLz4Block(frame.subarray(from, from + blockLength), output, to, Math.min(to + BLOCK_OUTPUT_MAX, output.length));
    from += blockLength;
  }
  if (to !== output.length) throw new Error(`LZ4 frame gives ${to} bytes, ${output.length} expected`);
}

/**
 * Unpacks one LZ4 block into output[start .. end), and returns the index behind the last byte written. Matches may
 * reach back to `start` only. Throws an Error when the block is damaged.
 */
export function decompressLz4Block(block: Uint8Array, output: Uint8Array, start: number, end: number): number {
  const blockEnd = block.length;
  let from = 0;
  let to = start;
  for (;;) {
    if (from >= blockEnd) throw new Error("LZ4 block ends without its last literals");
    const token = block[from++]!;
    let literals = token >>> 4;
    if (literals === LENGTH_MORE) {
      let more: number;
      do {
        if (from >= blockEnd) throw new Error("LZ4 literal length cut short");
        more = block[from++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > blockEnd - from || literals > end - to) throw new Error("LZ4 literals out of range");
    // Measured: below some 64 bytes a loop beats the call of set + subarray.
    if (literals < 64) {
      for (const stop = from + literals; from < stop; ) output[to++] = block[from++]!;
    } else {
      output.set(block.subarray(from, from + literals), to);
      from += literals;
      to += literals;
    }
    if (from === blockEnd) return to;

    if (blockEnd - from < 2) throw new Error("LZ4 match offset cut short");
    const distance = block[from]! | (block[from + 1]! << 8);
    from += 2;
    let length = token & 15;
    if (length === LENGTH_MORE) {
      let more: number;
      do {
        if (from >= blockEnd) throw new Error("LZ4 match length cut short");
        more = block[from++]!;
        length += more;
      } while (more === 255);
    }
    length += MATCH_MIN;
    if (distance === 0 || distance > to - start || length > end - to) throw new Error("LZ4 match out of range");
    if (length < 64 || distance < length) {
      for (let source = to - distance, stop = to + length; to < stop; ) output[to++] = output[source++]!;
    } else {
      output.copyWithin(to, to - distance, to - distance + length);
      to += length;
    }
  }
}
