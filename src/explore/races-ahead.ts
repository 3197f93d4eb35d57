/**
 * Data races as a property of states: two threads that are about to access the same word, one of them to store, not both atomic or
 * volatile. For programs whose order comes from values this finds a race if and only if clocks do: take an execution in which two accesses
 * race, and leave out everything that neither of them comes behind. What is left can be carried out, reads the same values, and ends
 * with both threads at their accesses.
 *
 * That holds for the first race. A value that was read in a race orders nothing by clocks, though the thread may not get further
 * without it: of races behind the first, clocks tell more.
 */
import { raceText } from "./data-races.js";
import type { Machine } from "./machine.js";
import type { Operation } from "./model.js";

/** Whether an operation writes its word. */
function isStore({ kind }: Operation): boolean {
  return kind !== "load" && kind !== "plain-load" && kind !== "await";
}

function isPlain(operation: Operation): boolean {
  return (operation.kind === "plain-load" || operation.kind === "plain-store") && operation.volatile !== true;
}

/** Notes a data race that is about to happen in the present state. */
export function raceAhead(machine: Machine): void {
  if (!machine.checks.findsRaces) return;
  const count = machine.layout.threadCount;
  for (let one = 0; one < count; one++) {
    const mine = machine.pending(one);
    if (mine === undefined || !isPlain(mine) || !("cell" in mine) || ((machine.enabled >>> one) & 1) === 0) continue;
    for (let other = 0; other < count; other++) {
      const theirs = machine.pending(other);
      if (other === one || theirs === undefined || !("cell" in theirs) || theirs.cell !== mine.cell || theirs.kind === "note") continue;
      // Whoever stands still looks at the word all the time, so it need not be able to go on.
      if (!isStore(mine) && !isStore(theirs)) continue;
      machine.report("data-race", raceText(machine.threadNames[one]!, machine.threadNames[other]!, machine.wordNames[mine.cell]!));
    }
  }
}
