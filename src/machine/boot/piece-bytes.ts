/** What guest memory is filled with before the start: bytes in memory, or bytes of a file that never are there all at once. */

/** Bytes that are read in parts. */
export interface StoredBytes {
  readonly length: number;
  /** Fills `target` with the bytes from `position` on. Throws an Error when that fails. */
  read(target: Uint8Array, position: number): void;
}

/** Bytes for a piece of guest memory. */
export type PieceBytes = Uint8Array | StoredBytes;

/** Stored bytes are read through one buffer of this size: an array for all of them would cost more than the reading. */
const PART_BYTES = 1 << 18;

/** Calls `use` with the bytes, part by part in their order, and where each part begins. A part is good until `use` returns. */
export function forEachPart(bytes: PieceBytes, use: (part: Uint8Array, position: number) => void): void {
  if (bytes instanceof Uint8Array) {
    use(bytes, 0);
    return;
  }
  const buffer = new Uint8Array(Math.min(PART_BYTES, bytes.length));
  for (let position = 0; position < bytes.length; position += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, bytes.length - position));
    bytes.read(part, position);
    use(part, position);
  }
}

/** All the bytes as one array. */
export function bytesInMemory(bytes: PieceBytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  const all = new Uint8Array(bytes.length);
  bytes.read(all, 0);
  return all;
}
