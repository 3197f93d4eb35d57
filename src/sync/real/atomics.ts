/**
 * Shared words and the operations on them: every one is sequentially consistent (ECMAScript `Atomics`).
 *
 * An index counts elements of the view, not bytes. The 32-bit operations return signed values; `>>> 0` makes them unsigned.
 */

/** A view of shared memory as 32-bit words. */
export type SharedWords = Int32Array;
/** A view of shared memory as 64-bit words. */
export type SharedLongs = BigInt64Array;

/** Makes the 32-bit view of a whole shared buffer. */
export function sharedWordsOf(buffer: ArrayBufferLike): SharedWords {
  return new Int32Array(buffer);
}

/** Makes the 64-bit view of a whole shared buffer. */
export function sharedLongsOf(buffer: ArrayBufferLike): SharedLongs {
  return new BigInt64Array(buffer);
}

/** Reads a word. */
export function atomicLoad(words: SharedWords, index: number): number {
  return Atomics.load(words, index);
}

/** Writes a word. */
export function atomicStore(words: SharedWords, index: number, value: number): void {
  Atomics.store(words, index, value);
}

/** Adds to a word (wraps at 32 bits) and returns its old value. */
export function atomicAdd(words: SharedWords, index: number, value: number): number {
  return Atomics.add(words, index, value);
}

/** Sets bits and returns the old value. */
export function atomicOr(words: SharedWords, index: number, bits: number): number {
  return Atomics.or(words, index, bits);
}

/** Keeps only the bits in `mask` and returns the old value. */
export function atomicAnd(words: SharedWords, index: number, mask: number): number {
  return Atomics.and(words, index, mask);
}

/** Writes a word and returns its old value. */
export function atomicExchange(words: SharedWords, index: number, value: number): number {
  return Atomics.exchange(words, index, value);
}

/** Writes `replacement` if the word holds `expected`; returns the old value. */
export function atomicCompareExchange(words: SharedWords, index: number, expected: number, replacement: number): number {
  return Atomics.compareExchange(words, index, expected, replacement);
}

/** Reads a 64-bit word. */
export function atomicLoadLong(longs: SharedLongs, index: number): bigint {
  return Atomics.load(longs, index);
}

/** Writes a 64-bit word. */
export function atomicStoreLong(longs: SharedLongs, index: number, value: bigint): void {
  Atomics.store(longs, index, value);
}

/** Adds to a 64-bit word (wraps) and returns its old value. */
export function atomicAddLong(longs: SharedLongs, index: number, value: bigint): bigint {
  return Atomics.add(longs, index, value);
}

/** Sets bits of a 64-bit word and returns the old value. */
export function atomicOrLong(longs: SharedLongs, index: number, bits: bigint): bigint {
  return Atomics.or(longs, index, bits);
}

/** Keeps only the bits in `mask` of a 64-bit word and returns the old value. */
export function atomicAndLong(longs: SharedLongs, index: number, mask: bigint): bigint {
  return Atomics.and(longs, index, mask);
}

/** Writes a 64-bit word and returns its old value. */
export function atomicExchangeLong(longs: SharedLongs, index: number, value: bigint): bigint {
  return Atomics.exchange(longs, index, value);
}

/** Writes `replacement` if the 64-bit word holds `expected`; returns the old value. */
export function atomicCompareExchangeLong(longs: SharedLongs, index: number, expected: bigint, replacement: bigint): bigint {
  return Atomics.compareExchange(longs, index, expected, replacement);
}

/**
 * Sleeps while the word holds `expected`, until a notify or the time-out.
 * Owes: a caller re-reads the word; a wake-up promises nothing.
 */
export function waitWhile(words: SharedWords, index: number, expected: number, timeoutMs = Infinity): "ok" | "not-equal" | "timed-out" {
  return Atomics.wait(words, index, expected, timeoutMs);
}

/** Looks at a word up to `looks` times (Infinity: until it is another) while it has `value`; true = it has another one now. Never sleeps. */
export function spinUntilChanged(words: SharedWords, index: number, value: number, looks: number): boolean {
  for (let look = 0; look < looks; look++) {
    if (Atomics.load(words, index) !== value) return true;
  }
  return false;
}

/** Looks before the first sleep of `waitUntilChanged`. */
const SPIN_COUNT = 1000;
const SLEEP_MS = 1;

/**
 * Returns when a word no longer has `value`, though nobody notifies it: for words whose writer must stay cheap, and that change soon. Spins,
 * then sleeps shortly, again and again; with `mustNotSleep` it only spins.
 */
export function waitUntilChanged(words: SharedWords, index: number, value: number, mustNotSleep: boolean): void {
  if (spinUntilChanged(words, index, value, mustNotSleep ? Infinity : SPIN_COUNT)) return;
  while (Atomics.load(words, index) === value) Atomics.wait(words, index, value, SLEEP_MS);
}

/** Wakes up to `count` sleepers of a word (all by default) and returns how many. */
export function notifyWaiters(words: SharedWords, index: number, count = Infinity): number {
  return Atomics.notify(words, index, count);
}
