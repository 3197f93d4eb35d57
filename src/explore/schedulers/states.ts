/**
 * Every state there is, each once. A state is the words, frames and store buffers, and for each thread what it has seen: what it does
 * next is a function of the results it has got, so a digest of them stands for all of its local state. Two paths that lead to the same
 * state have the same future, and the second one ends there.
 *
 * Sound up to two states with the same 64-bit digest: for n states the probability is below n^2 / 2^65, one in three million for ten
 * million of them. It needs no knowledge about which steps commute, and no order of steps that an invariant can tell apart.
 */
import type { Exploration } from "../exploration.js";
import type { Machine } from "../machine.js";
import { raceAhead } from "../races-ahead.js";
import { isPreemption, previousThread } from "../preemptions.js";
import { StateSet } from "../state-set.js";

/** Searches from where the machine stands. `visited` may be shared by searches over the same scenario with the same bounds. */
export function searchStates(exploration: Exploration, visited: StateSet = new StateSet()): void {
  const { machine, limits, tally } = exploration;
  const isBounded = limits.preemptionsMax !== Infinity;
  const root = machine.depth;
  const untried: number[] = [];
  const preemptions: number[] = [];
  untried[root] = machine.enabled;
  preemptions[root] = 0;
  visited.add(machine, -1, 0);
  raceAhead(machine);
  exploration.noteFindings();
  tally.states++;
  for (let depth = root; depth >= root;) {
    if (exploration.mustEnd) return;
    const left = untried[depth]!;
    if (left === 0) {
      depth--;
      if (depth >= root) machine.backTo(depth);
      continue;
    }
    const process = 31 - Math.clz32(left & -left);
    untried[depth] = left & (left - 1);
    const previous = isBounded ? previousThread(machine) : -1;
    const used = preemptions[depth]! + (isPreemption(machine, previous, process) ? 1 : 0);
    if (used > limits.preemptionsMax) continue;
    machine.perform(process);
    const current = process < machine.layout.threadCount ? process : previous;
    if (!visited.add(machine, isBounded ? current : -1, used)) {
      exploration.noteFindings();
      machine.backTo(depth);
      continue;
    }
    depth = enter(exploration, machine);
    untried[depth] = machine.enabled;
    preemptions[depth] = used;
  }
}

/** Finishes a step to a state that is new; its depth. */
function enter(exploration: Exploration, machine: Machine): number {
  machine.advance();
  machine.askInvariant();
  raceAhead(machine);
  exploration.noteFindings();
  exploration.tally.states++;
  if (machine.enabled === 0) exploration.endPath();
  return machine.depth;
}
