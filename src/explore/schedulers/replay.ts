/** One run, given step by step. */
import type { Scheduler } from "./scheduler.js";

/** The schedule does not fit the scenario: it is another's, or the scenario has changed. The message is one line. */
export class ReplayError extends Error {
  override readonly name = "ReplayError";
  readonly code = "ERR_REPLAY";
}

/** A scheduler that follows the processes given. Throws ReplayError where one of them cannot go on. */
export function replayScheduler(choices: readonly number[]): Scheduler {
  let step = 0;
  let begun = 0;
  return {
    begin: () => begun++ === 0,
    choose(enabled, machine) {
      const process = choices[step];
      if (process === undefined) return undefined;
      step++;
      if (((enabled >>> process) & 1) !== 0) return process;
      const name = machine.processName(process);
      throw new ReplayError(`step ${step} of the schedule is ${name}'s, which cannot go on there: the scenario is not the one it was made for`);
    },
  };
}
