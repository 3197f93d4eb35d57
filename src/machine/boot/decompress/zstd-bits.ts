/** The backward bit streams of Zstandard (RFC 8878 §4.1): written forwards, read from the last bit to the first. */

/**
 * The bits of `bytes` from absolute bit number `bit` on, of which 25 are good. Bytes before the stream are garbage that may be looked
 * at, but never counts.
 */
export function bitsAt(bytes: Uint8Array, bit: number): number {
  const at = bit >> 3;
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> (bit & 7);
}

/** Returns the absolute number of the bit behind the last one of the stream that ends at byte `end` (a 1 bit marks it). */
export function lastBit(bytes: Uint8Array, start: number, end: number): number {
  if (end <= start || bytes[end - 1] === 0) throw new Error("zstd bit stream without its end mark");
  return (end - 1) * 8 + highBit(bytes[end - 1]!);
}

/** Number of the highest bit that is set in `value` (not 0). */
export function highBit(value: number): number {
  return 31 - Math.clz32(value);
}
