/** What a scheduler that makes one run after another is asked. Random, PCT and replay are one each. */
import type { Machine } from "../machine.js";

/** Decides who goes on. */
export interface Scheduler {
  /** Begins a run; false: there are no more. */
  begin(): boolean;
  /** One of the processes that can go on (bits in `enabled`, never 0); undefined: the run ends here. */
  choose(enabled: number, machine: Machine): number | undefined;
}

/** The processes in a set of bits. */
export function processesOf(bits: number): number[] {
  const processes: number[] = [];
  for (let left = bits; left !== 0; left &= left - 1) processes.push(31 - Math.clz32(left & -left));
  return processes;
}
