/** Switches from a thread that could have gone on. Delayed stores that reach memory are nobody's turn, and so are none. */
import type { Machine } from "./machine.js";

/** The thread that made the last step of the present path, -1: none has made one. */
export function previousThread(machine: Machine): number {
  for (let depth = machine.depth - 1; depth >= 0; depth--) {
    const process = machine.choiceAt(depth);
    if (process < machine.layout.threadCount) return process;
  }
  return -1;
}

/** Whether letting `process` go on now, behind a step of thread `previous`, is a preemption. */
export function isPreemption(machine: Machine, previous: number, process: number): boolean {
  return previous >= 0 && process !== previous && process < machine.layout.threadCount && ((machine.enabled >>> previous) & 1) !== 0;
}
