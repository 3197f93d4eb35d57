/**
 * The alternative that docs/decisions/0007 rejected, for the benchmark only: one mapping of a page for all threads behind a
 * reader-writer lock, as KVM's gfn_to_pfn_cache is since Linux 5.17 (virt/kvm/pfncache.c).
 *
 *     access       read_lock; check: active, valid, generation of the memslots; use; read_unlock. Not valid: read_unlock, refresh, again
 *     refresh      refresh mutex; look the page up; write_lock; publish; write_unlock
 *     invalidate   write_lock; valid = 0; write_unlock                                          (gfn_to_pfn_cache_invalidate_start)
 *
 * Words of a cache, a cache line: lock (readers, or WRITER), valid, generation, byte address of the frame, refresh mutex.
 */
const LOCK = 0;
const VALID = 1;
const GENERATION = 2;
const FRAME = 3;
const MUTEX = 4;
/** Words from cache to cache. */
export const CACHE_WORDS = 16;

const WRITER = 0x4000_0000;
const SPIN_COUNT = 200;

/** One thread's handle on a cache that all threads share. */
export class LockedCache {
  #words;
  #at;
  #host;
  #gfn;

  /**
   * @param {Int32Array} words zeroed words that the threads share
   * @param {number} at first of the cache's words
   * @param {import("../../dist/host-memory/index.js").HostMemory} host
   * @param {import("../../dist/abi/address.js").Gfn} gfn
   */
  constructor(words, at, host, gfn) {
    this.#words = words;
    this.#at = at;
    this.#host = host;
    this.#gfn = gfn;
  }

  /**
   * @template Result
   * @param {(frameBase: number) => Result} use
   * @returns {Result}
   */
  access(use) {
    for (;;) {
      this.#readLock();
      const isCurrent = Atomics.load(this.#words, this.#at + VALID) !== 0
        && Atomics.load(this.#words, this.#at + GENERATION) === this.#host.memslotGeneration;
      if (isCurrent) {
        try {
          return use(Atomics.load(this.#words, this.#at + FRAME) >>> 0);
        } finally {
          this.#readUnlock();
        }
      }
      this.#readUnlock();
      this.#refresh();
    }
  }

  /** By a thread that takes the frame away: nobody uses it on return, until it is looked up again. */
  invalidate() {
    this.#writeLock();
    Atomics.store(this.#words, this.#at + VALID, 0);
    this.#writeUnlock();
  }

  #refresh() {
    const host = this.#host;
    this.#acquire(MUTEX, 1);
    try {
      for (;;) {
        const generation = host.memslotGeneration;
        const page = host.findHvaPage(this.#gfn);
        const index = host.invalidations.sequenceIndex(page);
        const sequence = host.invalidations.sequence(index);
        if (host.faultIn(this.#gfn, true) !== "mapped") throw new Error("expected a page with memory");
        const pfn = host.presentPfn(page);
        this.#writeLock();
        // Under the lock, which an invalidation has to take behind its sequence++.
        const isCurrent = pfn !== undefined && host.invalidations.mayPublish(index, sequence);
        if (isCurrent) {
          Atomics.store(this.#words, this.#at + FRAME, pfn * 4096);
          Atomics.store(this.#words, this.#at + GENERATION, generation);
          Atomics.store(this.#words, this.#at + VALID, 1);
        }
        this.#writeUnlock();
        if (isCurrent) return;
      }
    } finally {
      this.#release(MUTEX);
    }
  }

  #readLock() {
    const { words, lock } = { words: this.#words, lock: this.#at + LOCK };
    while ((Atomics.add(words, lock, 1) & WRITER) !== 0) {
      Atomics.sub(words, lock, 1);
      for (let spin = 0; (Atomics.load(words, lock) & WRITER) !== 0 && spin < SPIN_COUNT; spin++);
      const now = Atomics.load(words, lock);
      if ((now & WRITER) !== 0) Atomics.wait(words, lock, now, 1);
    }
  }

  #readUnlock() {
    Atomics.sub(this.#words, this.#at + LOCK, 1);
  }

  #writeLock() {
    for (let spin = 0; Atomics.compareExchange(this.#words, this.#at + LOCK, 0, WRITER) !== 0; spin++) {
      const now = Atomics.load(this.#words, this.#at + LOCK);
      if (spin > SPIN_COUNT && now !== 0) Atomics.wait(this.#words, this.#at + LOCK, now, 1);
    }
  }

  #writeUnlock() {
    Atomics.sub(this.#words, this.#at + LOCK, WRITER);
    Atomics.notify(this.#words, this.#at + LOCK);
  }

  /**
   * @param {number} word
   * @param {number} value
   */
  #acquire(word, value) {
    while (Atomics.compareExchange(this.#words, this.#at + word, 0, value) !== 0) Atomics.wait(this.#words, this.#at + word, value, 1);
  }

  /** @param {number} word */
  #release(word) {
    Atomics.store(this.#words, this.#at + word, 0);
    Atomics.notify(this.#words, this.#at + word);
  }
}
