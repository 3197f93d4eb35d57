/**
 * A search in parts: states near the start, and below each of them all that can be reached from it. Parts overlap; a set of states that they
 * share keeps them from doing anything twice.
 *
 * A part that was not finished is done again from its beginning, with a new set. That loses nothing: whatever another part
 * left out because this one had been there before can be reached from where this one begins.
 */
import type { FoundPath, SearchLimits, Tally } from "../exploration.js";
import { Exploration } from "../exploration.js";
import { type MachineOptions, nothingWatched } from "../machine-options.js";
import { raceAhead } from "../races-ahead.js";
import { processesOf } from "../schedulers/scheduler.js";
import { searchStates, type Visited } from "../schedulers/states.js";
import { StateSet } from "../state-set.js";

/** What exploring a part, or splitting, has shown. */
export interface PartResult {
  readonly tally: Tally;
  readonly findings: readonly FoundPath[];
  /** False: its time was over before its end. */
  readonly isComplete: boolean;
}

/** The parts: the way to each, as processes. The same scenario and bounds give the same parts. */
export interface Split extends PartResult {
  readonly parts: readonly (readonly number[])[];
}

/** Words that threads write by themselves may turn up late in one of the parts: all of them take it that there are some. */
function withNotes(options: MachineOptions): MachineOptions {
  return { ...options, hasClocks: false, watched: { ...nothingWatched(options.create().words.length), hasNotes: true } };
}

/** Walks breadth first until there are at least so many states to go on from, or none. */
export function splitSearch(options: MachineOptions, partsMin: number): Split {
  const exploration = new Exploration(withNotes(options), { stopsAtFirst: true, isOver: () => false, preemptionsMax: Infinity });
  const { machine, tally } = exploration;
  const visited = new StateSet();
  let level: (readonly number[])[] = [[]];
  raceAhead(machine);
  exploration.noteFindings();
  while (level.length > 0 && level.length < partsMin && !exploration.isDone) {
    const next: (readonly number[])[] = [];
    for (const path of level) {
      if (exploration.mustEnd) break;
      walk(exploration, path);
      tally.states++;
      if (machine.enabled === 0) exploration.endPath();
      for (const process of processesOf(machine.enabled)) {
        machine.step(process);
        machine.askInvariant();
        raceAhead(machine);
        exploration.noteFindings();
        if (visited.add(machine, -1, 0)) next.push([...path, process]);
        machine.backTo(path.length);
      }
    }
    level = next;
  }
  tally.steps = machine.stepCount;
  return { parts: exploration.isDone ? [] : level, tally, findings: [...exploration.findings.values()], isComplete: true };
}

/** Explores all that can be reached from the end of `path`, apart from what is in `visited`. */
export function explorePart(options: MachineOptions, path: readonly number[], visited: Visited, isOver: SearchLimits["isOver"]): PartResult {
  const exploration = new Exploration(withNotes(options), { stopsAtFirst: true, isOver, preemptionsMax: Infinity });
  walk(exploration, path);
  searchStates(exploration, visited);
  return { tally: exploration.tally, findings: [...exploration.findings.values()], isComplete: !exploration.isIncomplete };
}

/** Goes to the end of a path; what its steps show was noted when it was found. */
function walk({ machine }: Exploration, path: readonly number[]): void {
  let common = 0;
  while (common < machine.depth && common < path.length && machine.choiceAt(common) === path[common]) common++;
  machine.backTo(common);
  for (const process of path.slice(common)) machine.step(process);
  machine.found.length = 0;
}

/** Adds what one search has done to the sum of others. */
export function addTally(sum: Tally, { schedules, cut, pruned, states, steps, depthMax }: Tally): Tally {
  return {
    schedules: sum.schedules + schedules, cut: sum.cut + cut, pruned: sum.pruned + pruned, states: sum.states + states, steps: sum.steps + steps,
    depthMax: Math.max(sum.depthMax, depthMax),
  };
}
