/**
 * One direction of a ring page that carries bytes, as in public/io/console.h and public/io/xs_wire.h.
 *
 *     producer                               consumer
 *     read consumer index                    read producer index
 *     fill the free part                     copy the filled part out
 *     store producer index                   store consumer index
 *
 * Indices run freely in 32 bits; what they differ by is the fill level. The other side is the guest: its index is a
 * claim, and a difference above the size means that the ring is broken.
 */
import type { PageView } from "../guest-page/index.js";

/** Offsets in the ring page. */
export interface ByteRingLayout {
  readonly data: number;
  /** A power of two. */
  readonly sizeBytes: number;
  readonly consumer: number;
  readonly producer: number;
}

/** Result of a transfer on a ring whose indices make no sense. */
export const RING_BROKEN = "broken";

function fillLevel(view: PageView, ring: ByteRingLayout): number {
  return (view.loadU32(ring.producer) - view.loadU32(ring.consumer)) >>> 0;
}

/** Takes at most `bytesMax` bytes; an empty array = there are none. */
export function takeFromRing(view: PageView, ring: ByteRingLayout, bytesMax: number): Uint8Array | typeof RING_BROKEN {
  const level = fillLevel(view, ring);
  if (level > ring.sizeBytes) return RING_BROKEN;
  const bytes = new Uint8Array(Math.min(level, bytesMax));
  if (bytes.length === 0) return bytes;
  const consumed = view.loadU32(ring.consumer);
  const start = consumed % ring.sizeBytes;
  const firstBytes = Math.min(bytes.length, ring.sizeBytes - start);
  view.copyTo(ring.data + start, firstBytes, bytes);
  if (firstBytes < bytes.length) view.copyTo(ring.data, bytes.length - firstBytes, bytes, firstBytes);
  view.storeU32(ring.consumer, consumed + bytes.length);
  return bytes;
}

/** Puts as many of `bytes` as fit and returns how many those were. */
export function putIntoRing(view: PageView, ring: ByteRingLayout, bytes: Uint8Array): number | typeof RING_BROKEN {
  const level = fillLevel(view, ring);
  if (level > ring.sizeBytes) return RING_BROKEN;
  const count = Math.min(bytes.length, ring.sizeBytes - level);
  if (count === 0) return 0;
  const produced = view.loadU32(ring.producer);
  const start = produced % ring.sizeBytes;
  const firstBytes = Math.min(count, ring.sizeBytes - start);
  view.copyIn(ring.data + start, bytes.subarray(0, firstBytes));
  if (firstBytes < count) view.copyIn(ring.data, bytes.subarray(firstBytes, count));
  view.storeU32(ring.producer, produced + count);
  return count;
}

/** Empties a broken ring from the consumer's side. */
export function skipRing(view: PageView, ring: ByteRingLayout): void {
  view.storeU32(ring.consumer, view.loadU32(ring.producer));
}
