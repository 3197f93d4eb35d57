/** The background reclaimer: swaps pages out before the guest has to wait for frames, and notices when it cannot. */
import type { MemoryOperations } from "./memory-operations.js";

const BATCH_PAGES = 64;
/** Pause after a try that freed nothing; then the swap file may have room again, or pages are no longer in use. */
const RETRY_NS = 1e8;

/** The memory thread's part of reclaim. */
export class Reclaimer {
  readonly #operations: MemoryOperations;
  readonly #nowNs: () => number;
  readonly #onStall: (reason: string | undefined) => void;
  #retryNs = 0;
  #told: string | undefined;

  /** `onStall` hears why the guest waits for memory, and undefined when it goes on. */
  constructor(operations: MemoryOperations, nowNs: () => number, onStall: (reason: string | undefined) => void) {
    this.#operations = operations;
    this.#nowNs = nowNs;
    this.#onStall = onStall;
  }

  /** Swaps out one batch if there is need. Returns the nanoseconds until there may be more to do. */
  step(): number {
    const now = this.#nowNs();
    if (now < this.#retryNs) return this.#retryNs - now;
    const wanted = this.#operations.needsReclaim();
    const freed = wanted === 0 ? 0 : this.#operations.reclaim(Math.min(wanted, BATCH_PAGES)).swapped;
    const isStuck = wanted > 0 && freed === 0;
    // A guest that waits was stuck before, so nobody has to look while all is well.
    if (isStuck || this.#told !== undefined) this.#lookForStall();
    if (isStuck || this.#told !== undefined) {
      this.#retryNs = this.#nowNs() + RETRY_NS;
      return RETRY_NS;
    }
    return wanted === 0 ? Infinity : 0;
  }

  #lookForStall(): void {
    const { stall } = this.#operations.memoryMap();
    if (stall === this.#told) return;
    this.#told = stall;
    this.#onStall(stall);
  }
}
