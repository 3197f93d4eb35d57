/** What is looked at where a path ends: deadlocks, leaks, the scenario's own condition. */
import type { Machine } from "./machine.js";
import { FLAG_ENDED, FLAG_PARKED, FLAG_STEPS_DONE } from "./region.js";
import { waitOf } from "./standing.js";

/** How a path ended. cut: a thread has used up its retries or steps; what comes behind is not known. */
export type PathEnd = "ended" | "cut" | "deadlock";

/**
 * Looks at a path behind which no process can go on; findings are in `machine.found`. May make further steps of a thread that has used
 * up its retries.
 */
export function lookAtEnd(machine: Machine): PathEnd {
  machine.found.length = 0;
  const threads = machine.threadNames.map((_, thread) => thread);
  const parked = threads.filter((thread) => machine.hasFlag(thread, FLAG_PARKED));
  if (parked.length > 0) {
    probeAll(machine, parked);
    return "cut";
  }
  if (threads.some((thread) => machine.hasFlag(thread, FLAG_STEPS_DONE))) return "cut";
  const standing = threads.filter((thread) => !machine.hasFlag(thread, FLAG_ENDED));
  if (standing.some((thread) => !machine.isDaemon[thread])) {
    if (machine.checks.findsDeadlocks) machine.report("deadlock", deadlockText(machine, standing));
    return "deadlock";
  }
  const { atEnd, framesAtEnd, framesAtStart = 0 } = machine.live.scenario;
  const says = atEnd?.(machine);
  if (says !== undefined) machine.report("end", says);
  const inUse = machine.countFrames();
  const expected = framesAtEnd ?? framesAtStart;
  if (inUse > expected && machine.checks.findsLeaks) machine.report("leak", `${inUse} frames are in use at the end, ${expected} at most were expected`);
  return "ended";
}

/** Whether one of them retries for ever by itself. Each begins where the path ended. */
function probeAll(machine: Machine, parked: readonly number[]): void {
  const { depth } = machine;
  for (const thread of parked) {
    machine.probe(thread);
    if (machine.found.length > 0) return;
    machine.backTo(depth);
  }
}

/** The cycle of threads that wait for each other if there is one, else all that stand. */
function deadlockText(machine: Machine, standing: readonly number[]): string {
  const cycle = findCycle(machine, standing);
  const named = cycle ?? standing.filter((thread) => !machine.isDaemon[thread]);
  const waits = named.map((thread) => `${machine.threadNames[thread]} waits for ${waitOf(machine, thread).says}`);
  return `${cycle === undefined ? "nobody can go on" : "they wait for each other"}: ${waits.join("; ")}`;
}

function findCycle(machine: Machine, standing: readonly number[]): readonly number[] | undefined {
  for (const first of standing) {
    const path: number[] = [];
    const visit = (thread: number): readonly number[] | undefined => {
      if (path.includes(thread)) return path.slice(path.indexOf(thread));
      if (!standing.includes(thread)) return undefined;
      path.push(thread);
      for (const holder of waitOf(machine, thread).holders) {
        const cycle = visit(holder);
        if (cycle !== undefined) return cycle;
      }
      path.pop();
      return undefined;
    };
    const cycle = visit(first);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
