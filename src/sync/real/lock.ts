/**
 * A lock in one shared word: spins for a short while, then sleeps. Not recursive, not fair.
 *
 * States of the word (Drepper, "Futexes are tricky", the third mutex): 0 free, 1 held, 2 held and somebody may sleep.
 * A zeroed word is a free lock.
 */
import type { SharedWords } from "./atomics.js";

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;
/** Tries before sleeping; a critical section here is below a few microseconds, a sleep and wake-up costs tens. */
const SPIN_COUNT = 200;

/** Takes the lock if it is free; false = somebody holds it. Never sleeps. */
export function tryLock(words: SharedWords, index: number): boolean {
  return Atomics.compareExchange(words, index, FREE, HELD) === FREE;
}

/** Takes the lock; may sleep. Precondition: this thread does not hold it. */
export function lock(words: SharedWords, index: number): void {
  for (let spin = 0; spin < SPIN_COUNT; spin++) {
    if (Atomics.load(words, index) === FREE && tryLock(words, index)) return;
  }
  while (Atomics.exchange(words, index, CONTENDED) !== FREE) Atomics.wait(words, index, CONTENDED);
}

/** Gives the lock back. Precondition: this thread holds it. */
export function unlock(words: SharedWords, index: number): void {
  const state = Atomics.exchange(words, index, FREE);
  if (state === FREE) throw new Error(`unlock: expected word ${index} to be a held lock, it is free`);
  if (state === CONTENDED) Atomics.notify(words, index, 1);
}

/** Runs `body` with the lock held and gives the lock back however it ends. */
export function withLock<T>(words: SharedWords, index: number, body: () => T): T {
  lock(words, index);
  try {
    return body();
  } finally {
    unlock(words, index);
  }
}

/** How long a thread stands back from a lock it has just given up: about what a sleeper needs to wake up. */
const STAND_BACK_MS = 0.1;
/** A word that nobody changes or notifies. Not the lock's: a notify that is meant for one who waits for the lock would wake who stands back. */
const NOWHERE = new Int32Array(new SharedArrayBuffer(4));

/**
 * As withLock, for locks that are held long and by some threads over and over: who had others wait stands back a moment, so that one of
 * them has the lock. Without that a thread that takes the lock again at once keeps out all that have to wake up first.
 */
export function withLockInTurn<T>(words: SharedWords, index: number, body: () => T): T {
  lock(words, index);
  try {
    return body();
  } finally {
    const isAwaited = Atomics.load(words, index) === CONTENDED;
    unlock(words, index);
    if (isAwaited) Atomics.wait(NOWHERE, 0, 0, STAND_BACK_MS);
  }
}

/** Runs `body` with the lock held if the lock is free now; "would-block" = it is not, and nothing was done. Never waits for the lock. */
export function withLockIfFree<T>(words: SharedWords, index: number, body: () => T): T | "would-block" {
  if (!tryLock(words, index)) return "would-block";
  try {
    return body();
  } finally {
    unlock(words, index);
  }
}
