/** The background reclaimer: swaps pages out before the guest has to wait for frames, and notices when it cannot. */
import type { MemoryOperations } from "./memory-operations.js";

const BATCH_PAGES = 64;
/** Pause after a try that freed nothing; then the swap file may have room again, or pages are no longer in use. */
const RETRY_NS = 1e8;
/**
 * Looks in a row, RETRY_NS apart, before a stall is told, and before its end is. A guest short of memory waits for a moment now and
 * then and goes on, which is nobody's business.
 */
const LOOKS_BEFORE_STALL = 2;
const LOOKS_BEFORE_END = 10;

type ReclaimOperations = Pick<MemoryOperations, "needsReclaim" | "reclaim" | "stall">;

/** The memory thread's part of reclaim. */
export class Reclaimer {
  readonly #operations: ReclaimOperations;
  readonly #nowNs: () => number;
  readonly #onStall: (reason: string | undefined) => void;
  #retryNs = 0;
  #isTold = false;
  /** Looks in a row that found the guest other than was told. */
  #changedLooks = 0;

  /** `onStall` hears why the guest waits for memory, and undefined when it goes on. */
  constructor(operations: ReclaimOperations, nowNs: () => number, onStall: (reason: string | undefined) => void) {
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
    this.#lookForStall();
    const isStuck = wanted > 0 && freed === 0;
    if (isStuck || this.#isTold || this.#changedLooks > 0) {
      this.#retryNs = this.#nowNs() + RETRY_NS;
      return RETRY_NS;
    }
    return wanted === 0 ? Infinity : 0;
  }

  #lookForStall(): void {
    const reason = this.#operations.stall;
    const isStalled = reason !== undefined;
    this.#changedLooks = isStalled === this.#isTold ? 0 : this.#changedLooks + 1;
    if (this.#changedLooks < (isStalled ? LOOKS_BEFORE_STALL : LOOKS_BEFORE_END)) return;
    this.#isTold = isStalled;
    this.#changedLooks = 0;
    this.#onStall(reason);
  }
}
