/** Random numbers for RDRAND, from the host's generator, fetched a page at a time. */

const POOL_BYTES = 4096;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** A random number of `sizeBytes` (2, 4 or 8) bytes. */
export function randomNumber(sizeBytes: number): bigint {
  if (used + sizeBytes > POOL_BYTES) {
    globalThis.crypto.getRandomValues(pool);
    used = 0;
  }
  let value = 0n;
  for (let i = 0; i < sizeBytes; i++) value = (value << 8n) | BigInt(pool[used + i]!);
  // What was handed out must not be handed out again, nor be found by a later reader of the pool.
  pool.fill(0, used, used + sizeBytes);
  used += sizeBytes;
  return value;
}
