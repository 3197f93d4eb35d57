/** Every schedule there is, one after the other: no reduction. For counting, and to compare the reductions with. */
import type { Exploration } from "../exploration.js";
import { isPreemption, previousThread } from "../preemptions.js";

/** Tries all processes at each depth of the present path, from where the machine stands. */
export function searchEvery(exploration: Exploration): void {
  const { machine, limits } = exploration;
  const root = machine.depth;
  const untried: number[] = [];
  const preemptions: number[] = [0];
  untried[root] = machine.enabled;
  preemptions[root] = 0;
  for (let depth = root; depth >= root;) {
    if (exploration.mustEnd) return;
    if (machine.depth !== depth) machine.backTo(depth);
    if (machine.enabled === 0) exploration.endPath();
    const left = untried[depth]!;
    if (left === 0) {
      depth--;
      continue;
    }
    const process = 31 - Math.clz32(left & -left);
    untried[depth] = left & (left - 1);
    const used = preemptions[depth]! + (isPreemption(machine, previousThread(machine), process) ? 1 : 0);
    if (used > limits.preemptionsMax) continue;
    machine.step(process);
    machine.askInvariant();
    exploration.noteFindings();
    depth = machine.depth;
    untried[depth] = machine.enabled;
    preemptions[depth] = used;
  }
}
