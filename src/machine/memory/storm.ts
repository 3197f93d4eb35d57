/** The storm: moves guest pages at a set rate, to show that nobody depends on where they are. */
import type { MemoryOperations } from "./memory-operations.js";
import type { StormBlock } from "./storm-block.raw.js";
import { StormPace, type StormRate } from "./storm-pace.js";
import { StormPages } from "./storm-pages.js";

/** Most batches of one step, so that other work gets its turn. */
const BATCHES_PER_STEP = 8;
/** Pause after a step that could move nothing: every chosen page was pinned, or there was no free frame. */
const IDLE_NS = 5e6;

/** The memory thread's part of the storm. */
export class Storm {
  readonly #operations: MemoryOperations;
  readonly #block: StormBlock;
  readonly #nowNs: () => number;
  readonly #pages: StormPages;
  #pace: StormPace;
  #beganNs: number;
  #idleUntilNs = 0;

  /** Runs from the first step on; `block` holds rate and seed. */
  constructor(operations: MemoryOperations, block: StormBlock, nowNs: () => number) {
    this.#operations = operations;
    this.#block = block;
    this.#nowNs = nowNs;
    this.#pages = new StormPages(operations, block.seed);
    this.#beganNs = nowNs();
    this.#pace = new StormPace(block.rate, this.#beganNs);
  }

  setRate(rate: StormRate): void {
    this.#beganNs = this.#nowNs();
    this.#pace = new StormPace(rate, this.#beganNs);
    this.#idleUntilNs = 0;
    this.#block.begin(rate);
  }

  /** Makes the moves that are due. Returns the nanoseconds until more are. */
  step(): number {
    if (this.#pace.rate === 0) return Infinity;
    const now = this.#nowNs();
    if (now < this.#idleUntilNs) return this.#idleUntilNs - now;
    let moved = 0;
    let due = this.#pace.due(now);
    const wasDue = due > 0;
    for (let batch = 0; batch < BATCHES_PER_STEP && due > 0; batch++) {
      moved += this.#moveBatch(due);
      due = this.#pace.due(this.#nowNs());
    }
    const end = this.#nowNs();
    this.#block.noteTime(end - this.#beganNs);
    if (wasDue && moved === 0) this.#idleUntilNs = end + IDLE_NS;
    return wasDue && moved === 0 ? IDLE_NS : this.#pace.waitNs(end);
  }

  #moveBatch(count: number): number {
    const gfns = this.#pages.take(count);
    if (gfns.length === 0) return 0;
    const { moved, pinned } = this.#operations.moveFrames(gfns);
    this.#pace.note(moved);
    this.#block.noteMoves(moved, pinned);
    return moved;
  }
}
