/**
 * The seam `#sync`, explored side: the functions of src/sync/real with the same meaning, each access an operation of the model. Locks and
 * sleeping are operations of their own. Words that only count for statistics are no shared accesses here (`isCounter`).
 *
 * A 64-bit word is one cell, that of its lower half, and one access, as it is on the host. Bound: its value is below 2^32, or all ones
 * ("none"); so its upper half, read by itself, is 0.
 */
import { MACHINE_BLOCK_BASE, REQUEST_COUNTERS } from "../abi/channels.js";
import { HYPERCALL_COUNT_COLUMNS, HYPERCALL_COUNT_ROWS, XEN_BLOCK_BASE, XEN_DOMAIN } from "../abi/xen-block.js";
import { LONG_COUNTER_COUNT_MAX, WORD_MMU_LOCK, WORD_POOL_LOCK, WORD_SWAP_LOCK, WORD_USER_COUNTERS } from "../host-memory/layout.js";
import type { Access } from "./instrument/runtime.js";
import { $ } from "./instrument/runtime.js";
import { WAKE_UPS } from "./world.js";
import type { World } from "./world.js";

/** Shared words of one world; the shipped code only hands them on. */
export class ModelWords {
  readonly world: World;
  /** As that of an Int32Array; more than any word's index. */
  readonly length = 2 ** 30;

  constructor(world: World) {
    this.world = world;
  }

  /** The cell of a word. */
  cell(index: number): number {
    return this.world.map.cellOf(index);
  }

  /** The cell that counts the wake-ups of a word's sleepers; a place that no word has. */
  wakeUpCell(index: number): number {
    return this.world.map.cellOf(WAKE_UPS + index);
  }
}

/** What stands for a shared buffer. */
export interface ModelBuffer {
  readonly world: World;
}

const REQUEST_COUNTER_WORDS = Object.values(REQUEST_COUNTERS).map((offset) => (MACHINE_BLOCK_BASE + offset) >>> 2);
const HYPERCALL_COUNTS = (XEN_BLOCK_BASE + XEN_DOMAIN.counts) >>> 2;

/** First words, and the words behind the last ones, of what only counts for statistics. */
const COUNTERS: readonly (readonly [number, number])[] = [
  [WORD_USER_COUNTERS - 2 * LONG_COUNTER_COUNT_MAX, WORD_USER_COUNTERS + 0x200],
  [Math.min(...REQUEST_COUNTER_WORDS), Math.max(...REQUEST_COUNTER_WORDS) + 2],
  [HYPERCALL_COUNTS, HYPERCALL_COUNTS + HYPERCALL_COUNT_ROWS * HYPERCALL_COUNT_COLUMNS],
];

/** Whether a word only counts for statistics. */
function isCounter(index: number): boolean {
  return COUNTERS.some(([from, to]) => index >= from && index < to);
}

/** Stand-ins for the views that the real seam makes. */
export function sharedWordsOf(buffer: ModelBuffer): ModelWords {
  return new ModelWords(buffer.world);
}

/** As above. */
export function sharedLongsOf(buffer: ModelBuffer): ModelWords {
  return new ModelWords(buffer.world);
}

/** As in src/sync/real. */
export function* atomicLoad(words: ModelWords, index: number): Access<number> {
  return isCounter(index) ? 0 : yield { kind: "load", cell: words.cell(index) };
}

/** As in src/sync/real. */
export function* atomicStore(words: ModelWords, index: number, value: number): Access<void> {
  yield { kind: "store", cell: words.cell(index), value: value | 0 };
}

function* update(words: ModelWords, index: number, by: (value: number) => number): Access<number> {
  return isCounter(index) ? 0 : yield { kind: "update", cell: words.cell(index), by };
}

/** As in src/sync/real. */
export function atomicAdd(words: ModelWords, index: number, value: number): Access<number> {
  return update(words, index, (old) => (old + value) | 0);
}

/** As in src/sync/real. */
export function atomicOr(words: ModelWords, index: number, bits: number): Access<number> {
  return update(words, index, (old) => old | bits);
}

/** As in src/sync/real. */
export function atomicAnd(words: ModelWords, index: number, mask: number): Access<number> {
  return update(words, index, (old) => old & mask);
}

/** As in src/sync/real. */
export function atomicExchange(words: ModelWords, index: number, value: number): Access<number> {
  return update(words, index, () => value | 0);
}

/** As in src/sync/real. */
export function atomicCompareExchange(words: ModelWords, index: number, expected: number, replacement: number): Access<number> {
  return update(words, index, (old) => (old === expected ? replacement | 0 : old));
}

const NONE_LONG = (1n << 64n) - 1n;
const NONE = -1;

/** What the cell of a 64-bit word holds for a value. */
function cellValueOf(value: bigint): number {
  const unsigned = BigInt.asUintN(64, value);
  if (unsigned === NONE_LONG) return NONE;
  if (unsigned >= 1n << 32n) throw new Error(`expected a 64-bit value below 2^32, which is all that is modelled, got ${unsigned}`);
  return Number(unsigned);
}

/** A signed value, as atomics of a BigInt64Array give. */
function longOf(cellValue: number): bigint {
  return cellValue === NONE ? -1n : BigInt(cellValue >>> 0);
}

function* updateLong(longs: ModelWords, index: number, by: (value: bigint) => bigint): Access<bigint> {
  if (isCounter(2 * index)) return 0n;
  return longOf(yield { kind: "update", cell: longs.cell(2 * index), by: (value) => cellValueOf(by(longOf(value))) });
}

/** As in src/sync/real. */
export function* atomicLoadLong(longs: ModelWords, index: number): Access<bigint> {
  return isCounter(2 * index) ? 0n : longOf(yield { kind: "load", cell: longs.cell(2 * index) });
}

/** As in src/sync/real. */
export function* atomicStoreLong(longs: ModelWords, index: number, value: bigint): Access<void> {
  yield { kind: "store", cell: longs.cell(2 * index), value: cellValueOf(value) };
}

/** As in src/sync/real. */
export function atomicAddLong(longs: ModelWords, index: number, value: bigint): Access<bigint> {
  return updateLong(longs, index, (old) => old + value);
}

/** As in src/sync/real. */
export function atomicOrLong(longs: ModelWords, index: number, bits: bigint): Access<bigint> {
  return updateLong(longs, index, (old) => old | bits);
}

/** As in src/sync/real. */
export function atomicAndLong(longs: ModelWords, index: number, mask: bigint): Access<bigint> {
  return updateLong(longs, index, (old) => old & mask);
}

/** As in src/sync/real. */
export function* waitWhile(words: ModelWords, index: number, expected: number, timeoutMs = Infinity): Access<string> {
  // A time-out is taken as short: whoever uses one looks again anyway.
  if (timeoutMs !== Infinity) return "timed-out";
  const wakeUps = words.wakeUpCell(index);
  const seen = yield { kind: "load", cell: wakeUps };
  if ((yield { kind: "load", cell: words.cell(index) }) !== expected) return "not-equal";
  // A notify since the first look counts: the real wait compares and falls asleep in one.
  yield { kind: "await", cell: wakeUps, until: (value) => value !== seen, sleeps: true };
  return "ok";
}

/** As in src/sync/real. */
export function* waitUntilChanged(words: ModelWords, index: number, value: number, mustNotSleep: boolean): Access<void> {
  yield { kind: "await", cell: words.cell(index), until: (now) => now !== value, sleeps: !mustNotSleep };
}

/** Spinning for ever is waiting; spinning a while is one look, since nothing depends on how long it is. */
export function* spinUntilChanged(words: ModelWords, index: number, value: number, looks: number): Access<boolean> {
  if (looks !== Infinity) return (yield { kind: "load", cell: words.cell(index) }) !== value;
  yield { kind: "await", cell: words.cell(index), until: (now) => now !== value, sleeps: false };
  return true;
}

/** As in src/sync/real. */
export function* notifyWaiters(words: ModelWords, index: number): Access<number> {
  yield { kind: "update", cell: words.wakeUpCell(index), by: (wakeUps) => wakeUps + 1 };
  return 0;
}

/**
 * Locks that are held shortly by everybody, so that who must not sleep may wait for them. In return nothing that sleeps may be done
 * under them: they begin a part without sleep.
 */
const SHORT_LOCKS = new Set([WORD_MMU_LOCK, WORD_POOL_LOCK, WORD_SWAP_LOCK]);

/** As in src/sync/real. */
export function* lock(words: ModelWords, index: number): Access<void> {
  const isShort = SHORT_LOCKS.has(index);
  yield { kind: "lock", cell: words.cell(index), sleeps: !isShort };
  if (isShort) yield { kind: "no-sleep", begins: true };
}

/** As in src/sync/real. */
export function* tryLock(words: ModelWords, index: number): Access<boolean> {
  return (yield { kind: "try-lock", cell: words.cell(index) }) === 1;
}

/** As in src/sync/real. */
export function* unlock(words: ModelWords, index: number): Access<void> {
  if (SHORT_LOCKS.has(index)) yield { kind: "no-sleep", begins: false };
  yield { kind: "unlock", cell: words.cell(index) };
}

/** As in src/sync/real. */
export function* withLock<T>(words: ModelWords, index: number, body: () => Access<T> | T): Access<T> {
  yield* lock(words, index);
  const result = yield* $(body());
  yield* unlock(words, index);
  return result as T;
}

/** Who comes next is the scheduler's choice here. */
export function withLockInTurn<T>(words: ModelWords, index: number, body: () => Access<T> | T): Access<T> {
  return withLock(words, index, body);
}

/** As in src/sync/real. */
export function* withLockIfFree<T>(words: ModelWords, index: number, body: () => Access<T> | T): Access<T | "would-block"> {
  if (!(yield* tryLock(words, index))) return "would-block";
  const result = yield* $(body());
  yield* unlock(words, index);
  return result as T;
}
