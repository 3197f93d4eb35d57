/**
 * CRC-32 (polynomial 0xEDB88320, as in zlib, XZ and the bzImage trailer): zlib's own where Node.js has it (20.15, 22.2 and later),
 * which takes 4 ms for the 14 MB of a kernel; else eight bytes a step, which takes 70 ms.
 */

import * as zlib from "node:zlib";

const { crc32: native } = zlib as { readonly crc32?: (bytes: Uint8Array, previous: number) => number };
let tables: readonly Int32Array[] | undefined;

function makeTables(): Int32Array[] {
  const made = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let n = 0; n < 256; n++) {
    let remainder = n;
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
    made[0]![n] = remainder;
  }
  for (let n = 0; n < 256; n++) {
    let remainder = made[0]![n]!;
    for (let k = 1; k < 8; k++) {
      remainder = made[0]![remainder & 255]! ^ (remainder >>> 8);
      made[k]![n] = remainder;
    }
  }
  return made;
}

/**
 * Returns the CRC-32 of `bytes` as an unsigned number. To go on from an earlier part, give that part's result as
 * `previous`.
 */
export function crc32(bytes: Uint8Array, previous = 0): number {
  return native === undefined ? crc32ByTable(bytes, previous) : native(bytes, previous);
}

/** The same without zlib. */
export function crc32ByTable(bytes: Uint8Array, previous = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array,
  ];
  const length = bytes.length;
  let crc = ~previous;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    crc =
      t7[(crc ^ bytes[i]!) & 255]! ^
      t6[((crc >>> 8) ^ bytes[i + 1]!) & 255]! ^
      t5[((crc >>> 16) ^ bytes[i + 2]!) & 255]! ^
      t4[(crc >>> 24) ^ bytes[i + 3]!]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!;
  }
  for (; i < length; i++) crc = t0[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
