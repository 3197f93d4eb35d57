/** Counters of one vCPU's run loop, kept in shared memory so that the main thread can read them while it runs. */
import { MACHINE_BLOCK_BASE, VCPU_COUNTER, VCPU_COUNTERS_BASE, VCPU_COUNTERS_SIZE, VCPU_COUNTER_EXITS } from "../abi/channels.js";
import { EXIT_NAMES } from "../abi/layout.js";

/** Name of a counter that is not an exit reason. */
export type VcpuCounterName = keyof typeof VCPU_COUNTER;

/** Written by the vCPU's thread only; read by any. */
export class VcpuCounters {
  readonly #cells: Float64Array;

  constructor(memory: WebAssembly.Memory, vcpuIndex: number) {
    const base = MACHINE_BLOCK_BASE + VCPU_COUNTERS_BASE + vcpuIndex * VCPU_COUNTERS_SIZE;
    this.#cells = new Float64Array(memory.buffer, base, VCPU_COUNTERS_SIZE / 8);
  }

  /** Counts one exit of reason EXIT_*. */
  countExit(reason: number): void {
    this.#cells[(VCPU_COUNTER_EXITS >> 3) + reason]!++;
  }

  add(name: VcpuCounterName, amount = 1): void {
    this.#cells[VCPU_COUNTER[name] >> 3]! += amount;
  }

  get(name: VcpuCounterName): number {
    return this.#cells[VCPU_COUNTER[name] >> 3]!;
  }

  /** Exits so far by the names of EXIT_NAMES. */
  exits(): Record<string, number> {
    return Object.fromEntries(EXIT_NAMES.map((name, reason) => [name, this.#cells[(VCPU_COUNTER_EXITS >> 3) + reason]!]));
  }
}
