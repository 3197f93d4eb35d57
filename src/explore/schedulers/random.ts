/** Runs by chance: at each step every process that can go on is as likely. */
import { Randomness } from "../randomness.js";
import { processesOf, type Scheduler } from "./scheduler.js";

/** A scheduler for so many runs, all of which follow from the seed. */
export function randomScheduler(seed: number, runs: number): Scheduler {
  const random = new Randomness(seed);
  let begun = 0;
  return {
    begin: () => begun++ < runs,
    choose(enabled) {
      const processes = processesOf(enabled);
      return processes[random.below(processes.length)]!;
    },
  };
}
