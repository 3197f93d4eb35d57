/** Who can go on, and what the others wait for. */
import type { Machine } from "./machine.js";
import type { Operation } from "./model.js";
import { BUFFER_MAX, FLAG_PARKED, FLAG_QUEUED, FLAG_STEPS_DONE } from "./region.js";

/** Whether a thread's next operation can be carried out now. */
export function canGoOn(machine: Machine, thread: number, operation: Operation): boolean {
  const { slab, base, layout } = machine;
  const flags = slab[base + layout.flags(thread)]!;
  if ((flags & FLAG_STEPS_DONE) !== 0 || ((flags & FLAG_PARKED) !== 0 && !machine.isProbed(thread))) return false;
  const delayed = layout.isTso ? slab[base + layout.buffer(thread)]! : 0;
  switch (operation.kind) {
    case "plain-load": case "use": case "use-write": case "retry": return true;
    case "plain-store": return delayed < BUFFER_MAX;
    case "await": return delayed === 0 && operation.until(slab[base + operation.cell]!);
    case "lock": return delayed === 0 && slab[base + operation.cell] === 0;
    case "read-lock":
      return delayed === 0 && slab[base + operation.cell]! >= 0 && !(operation.fair && slab[base + layout.waitingWriters + operation.cell]! > 0);
    case "write-lock":
      return delayed === 0 && (slab[base + operation.cell] === 0 || (operation.fair && (flags & FLAG_QUEUED) === 0));
    default: return delayed === 0;
  }
}

/** What a thread that cannot go on waits for, and for which threads, in words. */
export function waitOf(machine: Machine, thread: number): { readonly says: string; readonly holders: readonly number[] } {
  const operation = machine.pending(thread)!;
  const value = "cell" in operation ? machine.slab[machine.base + operation.cell]! : 0;
  const word = "cell" in operation ? machine.wordNames[operation.cell] : "";
  const nameOf = (holder: number): string => machine.threadNames[holder] ?? "nobody";
  switch (operation.kind) {
    case "lock": return { says: `lock ${word}, which ${nameOf(value - 1)} holds`, holders: [value - 1] };
    case "read-lock": case "write-lock": {
      if (value < 0) return { says: `${operation.kind} ${word}, which ${nameOf(-value - 1)} holds for writing`, holders: [-value - 1] };
      const writers = machine.threadNames.flatMap((_, other) => (isQueued(machine, other, operation.cell) && other !== thread ? [other] : []));
      if (operation.kind === "write-lock" || writers.length === 0) return { says: `${operation.kind} ${word}, which has ${value} reader${value === 1 ? "" : "s"}`, holders: [] };
      return { says: `read-lock ${word}, where ${writers.map(nameOf).join(" and ")} waits to write`, holders: writers };
    }
    case "await": return { says: `a change of ${word}, which is ${value}`, holders: [] };
    default: return { says: machine.describe(operation), holders: [] };
  }
}

function isQueued(machine: Machine, thread: number, cell: number): boolean {
  const operation = machine.pending(thread);
  return machine.hasFlag(thread, FLAG_QUEUED) && operation?.kind === "write-lock" && operation.cell === cell;
}
