/** What a thread does by itself between two of its steps: its own code, and operations that are no steps. */
import type { Machine } from "./machine.js";
import type { Operation } from "./model.js";
import { FLAG_ENDED, FLAG_PARKED, FLAG_STEPS_DONE } from "./region.js";
import { ScenarioError } from "./scenario-error.js";

const LOCAL_OPERATIONS_MAX = 100_000;

/** The thread's own code up to its next step. */
export function goOn(machine: Machine, thread: number, result: number): void {
  const at = machine.base + machine.layout.flags(thread);
  try {
    let operation = machine.live.give(thread, result);
    for (let count = 0; operation !== undefined; count++) {
      if (count > LOCAL_OPERATIONS_MAX) throw new Error("endless loop without a step");
      if (!isDoneAtOnce(machine, thread, operation)) break;
      operation = machine.live.give(thread, 0);
    }
    if (operation === undefined) machine.slab[at] = FLAG_ENDED;
    else arrive(machine, thread, operation);
  } catch (error) {
    if (error instanceof ScenarioError) throw error;
    machine.slab[at] = FLAG_ENDED;
    machine.report("claim", `${machine.threadNames[thread]} threw ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Carries out what is no step of its own; false: it is one, or the thread stands still here. */
function isDoneAtOnce(machine: Machine, thread: number, operation: Operation): boolean {
  machine.onLocal?.(thread, operation);
  switch (operation.kind) {
    case "claim":
      if (!operation.holds) machine.report("claim", `${machine.threadNames[thread]}: ${operation.says}`);
      return true;
    case "no-sleep":
      machine.slab[machine.base + machine.layout.noSleep(thread)]! += operation.begins ? 1 : -1;
      return true;
    case "note":
      checkCell(machine, operation.cell);
      if (!machine.options.watched.hasNotes) machine.options.watched.hasNotes = machine.hasLearned = true;
      machine.slab[machine.base + operation.cell] = operation.value;
      machine.touch(operation.cell * 2 + 1);
      return true;
    case "fence": return !machine.layout.isTso;
    case "retry": return mayRetry(machine, thread, operation.why);
    default: return false;
  }
}

function checkCell(machine: Machine, cell: number): void {
  if (!(cell >= 0 && cell < machine.layout.wordCount)) throw new ScenarioError(`there is no word ${cell}: the scenario has ${machine.layout.wordCount}`);
}

function mayRetry(machine: Machine, thread: number, why: string): boolean {
  const count = ++machine.slab[machine.base + machine.layout.retries(thread)]!;
  if (count <= machine.options.retriesMax) return true;
  if (machine.isProbed(thread) && machine.checks.findsLivelocks) {
    machine.report("livelock", `${machine.threadNames[thread]} retries for ever though nobody else can go on: ${why}`);
  }
  machine.slab[machine.base + machine.layout.flags(thread)]! |= FLAG_PARKED;
  return false;
}

function arrive(machine: Machine, thread: number, operation: Operation): void {
  const { layout, base } = machine;
  if ("cell" in operation) checkCell(machine, operation.cell);
  if ("sleeps" in operation && operation.sleeps && machine.slab[base + layout.noSleep(thread)]! > 0 && machine.checks.findsSleeps) {
    machine.report("sleep-in-no-sleep", `${machine.threadNames[thread]} may sleep in ${machine.describe(operation)}, where it must not`);
  }
  if (++machine.slab[base + layout.steps(thread)]! > machine.options.stepsMax) machine.slab[base + layout.flags(thread)]! |= FLAG_STEPS_DONE;
}
