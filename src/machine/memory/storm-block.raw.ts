/** The shared words in which the memory thread tells what its storm has done (abi/channels.ts, STORM). */
import { MACHINE_BLOCK_BASE, STORM, STORM_RATE_MAX, VCPU_COUNTERS_BASE } from "../../abi/channels.js";
import type { StormRate } from "./storm-pace.js";

/** What the storm has done so far. */
export interface StormStats {
  /** Moves a second that are asked for; 0 = the storm is off. */
  readonly rate: StormRate;
  /** Pages moved by the storm since the start. */
  readonly moves: number;
  /** Moves a second since the rate was set; of the last storm when it is off. */
  readonly movesPerSecond: number;
  /** Chosen pages that stayed because somebody held a reference. */
  readonly pinned: number;
  /** u32: the choice of pages follows from it. */
  readonly seed: number;
}

/** One thread's view of the words. Only the memory thread writes, after the start. */
export class StormBlock {
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Int32Array(memory.buffer, MACHINE_BLOCK_BASE, VCPU_COUNTERS_BASE / 4);
    this.#longs = new BigInt64Array(memory.buffer, MACHINE_BLOCK_BASE, VCPU_COUNTERS_BASE / 8);
  }

  /** Before the start. `seed` is a u32. */
  initialise(rate: StormRate, seed: number): void {
    Atomics.store(this.#words, STORM.seed >> 2, seed | 0);
    this.begin(rate);
  }

  get rate(): StormRate {
    const rate = Atomics.load(this.#words, STORM.rate >> 2);
    return rate === STORM_RATE_MAX ? "max" : rate;
  }

  get seed(): number {
    return Atomics.load(this.#words, STORM.seed >> 2) >>> 0;
  }

  /** A storm of another rate begins; one that ends leaves its figures. */
  begin(rate: StormRate): void {
    Atomics.store(this.#words, STORM.rate >> 2, rate === "max" ? STORM_RATE_MAX : rate);
    if (rate === 0) return;
    for (const field of [STORM.runMoves, STORM.runNs]) Atomics.store(this.#longs, field >> 3, 0n);
  }

  noteMoves(moved: number, pinned: number): void {
    for (const [field, count] of [[STORM.moves, moved], [STORM.runMoves, moved], [STORM.pinned, pinned]] as const) {
      Atomics.add(this.#longs, field >> 3, BigInt(count));
    }
  }

  /** The run has lasted so long. */
  noteTime(runNs: number): void {
    Atomics.store(this.#longs, STORM.runNs >> 3, BigInt(Math.round(runNs)));
  }

  stats(): StormStats {
    const [moves, runMoves, runNs, pinned] = [STORM.moves, STORM.runMoves, STORM.runNs, STORM.pinned]
      .map((field) => Number(Atomics.load(this.#longs, field >> 3))) as [number, number, number, number];
    return { rate: this.rate, moves, movesPerSecond: runNs === 0 ? 0 : runMoves / (runNs / 1e9), pinned, seed: this.seed };
  }
}
