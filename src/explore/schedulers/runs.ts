/** Runs a scheduler's schedules, each from the start to its end. */
import type { Exploration } from "../exploration.js";
import type { Scheduler } from "./scheduler.js";

/** Makes all of a scheduler's runs. */
export function searchRuns(exploration: Exploration, scheduler: Scheduler): void {
  const { machine } = exploration;
  while (!exploration.mustEnd && scheduler.begin()) {
    machine.backTo(0);
    runOnce(exploration, scheduler);
  }
}

function runOnce(exploration: Exploration, scheduler: Scheduler): void {
  const { machine } = exploration;
  while (machine.enabled !== 0) {
    const process = scheduler.choose(machine.enabled, machine);
    if (process === undefined) return;
    machine.step(process);
    machine.askInvariant();
    exploration.noteFindings();
    if (exploration.mustEnd) return;
  }
  exploration.endPath();
}
