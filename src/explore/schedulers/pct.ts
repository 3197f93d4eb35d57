/**
 * Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010): processes have priorities by chance, the highest
 * that can go on does, and at `depth` - 1 steps chosen by chance the one that would go on falls behind all others. A fault that
 * needs d ordering constraints is found by one run with a probability of at least 1 / (n * k^(d-1)), n processes, k steps.
 */
import { Randomness } from "../randomness.js";
import { processesOf, type Scheduler } from "./scheduler.js";

/** Settings of the scheduler. */
export interface PctSettings {
  readonly seed: number;
  readonly runs: number;
  /** Ordering constraints that a fault needs; 1 or more. */
  readonly depth: number;
  readonly processCount: number;
}

/** A scheduler for so many runs. The number of steps of a run is learned from the longest before. */
export function pctScheduler({ seed, runs, depth, processCount }: PctSettings): Scheduler {
  const random = new Randomness(seed);
  let begun = 0;
  let longest = 1;
  let step = 0;
  let priorities: number[] = [];
  let changes = new Map<number, number>();
  return {
    begin() {
      longest = Math.max(longest, step);
      step = 0;
      // Priorities from `depth` up; those below are for the changes.
      priorities = Array.from({ length: processCount }, (_, process) => depth + process);
      for (let at = processCount - 1; at > 0; at--) {
        const other = random.below(at + 1);
        [priorities[at], priorities[other]] = [priorities[other]!, priorities[at]!];
      }
      changes = new Map(Array.from({ length: depth - 1 }, (_, index) => [random.below(longest), index]));
      return begun++ < runs;
    },
    choose(enabled) {
      const highest = (): number => processesOf(enabled).reduce((best, process) => (priorities[process]! > priorities[best]! ? process : best));
      const change = changes.get(step++);
      if (change !== undefined) priorities[highest()] = change;
      return highest();
    },
  };
}
