/** When the next batch of moves is due, and how many. Arithmetic only: the caller has the clock. */

/** Most pages of one batch: one invalidation and one flush of the TLBs for all of them. */
export const BATCH_PAGES_MAX = 64;
/** At rates that allow it, a batch comes every 4 ms: low rates move page by page, high ones in full batches. */
const BATCHES_PER_SECOND = 250;
const NS_PER_S = 1e9;
/** A storm that fell behind catches up, but not with more than so much at a time. */
const DEBT_MAX_NS = NS_PER_S;

/** Moves a second; "max" = as many as there can be; 0 = none. */
export type StormRate = number | "max";

/** Keeps account of what is owed since the rate was set. */
export class StormPace {
  readonly rate: StormRate;
  readonly #batchPages: number;
  #beganNs: number;
  #moved = 0;

  /** `rate` is a whole number of moves a second, 0 or more. */
  constructor(rate: StormRate, nowNs: number) {
    this.rate = rate;
    this.#beganNs = nowNs;
    this.#batchPages = rate === "max" ? BATCH_PAGES_MAX : Math.min(BATCH_PAGES_MAX, Math.max(1, Math.floor(rate / BATCHES_PER_SECOND)));
  }

  /** Moves to be made now: a full batch (more when it has fallen behind), or 0 as long as less is owed. */
  due(nowNs: number): number {
    if (this.rate === "max") return BATCH_PAGES_MAX;
    if (this.rate === 0) return 0;
    this.#forgetOldDebt(nowNs);
    const owed = this.#owed(nowNs);
    return owed < this.#batchPages ? 0 : Math.min(owed, BATCH_PAGES_MAX);
  }

  /** Nanoseconds until something is due; 0 = now, Infinity = never. */
  waitNs(nowNs: number): number {
    if (this.rate === "max") return 0;
    if (this.rate === 0) return Infinity;
    const dueNs = this.#beganNs + ((this.#moved + this.#batchPages) * NS_PER_S) / this.rate;
    return Math.max(0, dueNs - nowNs);
  }

  /** Takes in that so many pages were really moved. */
  note(moved: number): void {
    this.#moved += moved;
  }

  #owed(nowNs: number): number {
    return Math.floor(((nowNs - this.#beganNs) * (this.rate as number)) / NS_PER_S) - this.#moved;
  }

  #forgetOldDebt(nowNs: number): void {
    const behindNs = nowNs - this.#beganNs - (this.#moved * NS_PER_S) / (this.rate as number);
    if (behindNs > DEBT_MAX_NS) this.#beganNs += behindNs - DEBT_MAX_NS;
  }
}
