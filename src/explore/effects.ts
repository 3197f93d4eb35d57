/** What each operation does to the words, frames and store buffers. */
import type { Machine } from "./machine.js";
import type { Operation } from "./model.js";
import { BUFFER_MAX, FLAG_QUEUED, FRAMES_MAX } from "./region.js";
import { ScenarioError } from "./scenario-error.js";

/** Result of a step behind which the thread has not got further: it only queued. */
const NOT_YET = NaN;

/** Carries out a thread's operation and gives its result; NaN: the thread does not go on yet. Precondition: it can go on. */
export function carryOut(machine: Machine, thread: number, operation: Operation): number {
  const { slab, base, layout, races } = machine;
  if (layout.isTso) touchBuffer(machine, thread, operation);
  switch (operation.kind) {
    case "load": case "await":
      machine.touch(operation.cell * 2);
      races?.atomic(thread, operation.cell, true, false);
      return slab[base + operation.cell]!;
    case "store":
      machine.touch(operation.cell * 2 + 1);
      races?.atomic(thread, operation.cell, false, true);
      slab[base + operation.cell] = operation.value;
      return 0;
    case "update": {
      machine.touch(operation.cell * 2 + 1);
      races?.atomic(thread, operation.cell, true, true);
      const before = slab[base + operation.cell]!;
      slab[base + operation.cell] = machine.updateOf(thread);
      return before;
    }
    case "plain-load":
      machine.touch(operation.cell * 2);
      races?.plain(thread, operation.cell, false, operation.volatile === true);
      return layout.isTso ? loadDelayed(machine, thread, operation.cell) : slab[base + operation.cell]!;
    case "plain-store":
      races?.plain(thread, operation.cell, true, operation.volatile === true);
      if (layout.isTso) delay(machine, thread, operation.cell, operation.value, operation.volatile === true);
      else storeNow(machine, operation.cell, operation.value);
      return 0;
    case "lock": case "try-lock": case "unlock": return carryOutLock(machine, thread, operation);
    case "read-lock": case "write-lock": case "read-unlock": case "write-unlock": return carryOutReadWriteLock(machine, thread, operation);
    case "allocate": return allocate(machine, thread);
    case "free": return free(machine, thread, operation.frame);
    case "use": case "use-write": return use(machine, thread, operation.frame, operation.kind);
    default: return 0;
  }
}

function carryOutLock(machine: Machine, thread: number, { kind, cell }: Operation & { kind: "lock" | "try-lock" | "unlock" }): number {
  const { slab, base, races } = machine;
  machine.touch(cell * 2 + 1);
  races?.atomic(thread, cell, true, true);
  const value = slab[base + cell]!;
  if (kind === "unlock") {
    if (value !== 1 + thread) machine.report("claim", `${machine.threadNames[thread]} unlocks ${machine.wordNames[cell]}, which it does not hold`);
    slab[base + cell] = 0;
    return 0;
  }
  if (value !== 0) return 0;
  slab[base + cell] = 1 + thread;
  return 1;
}

function carryOutReadWriteLock(machine: Machine, thread: number, operation: Operation & { cell: number }): number {
  const { slab, base, races, layout } = machine;
  const at = base + operation.cell;
  const waiting = base + layout.waitingWriters + operation.cell;
  const flags = base + layout.flags(thread);
  machine.touch(operation.cell * 2 + 1);
  races?.atomic(thread, operation.cell, true, true);
  switch (operation.kind) {
    case "read-lock":
      slab[at]!++;
      return 0;
    case "read-unlock":
      if (slab[at]! <= 0) machine.report("claim", `${machine.threadNames[thread]} gives back ${machine.wordNames[operation.cell]}, which has no reader`);
      else slab[at]!--;
      return 0;
    case "write-unlock":
      if (slab[at] !== -1 - thread) machine.report("claim", `${machine.threadNames[thread]} gives back ${machine.wordNames[operation.cell]}, which it does not hold`);
      slab[at] = 0;
      return 0;
    default: {
      const isQueued = (slab[flags]! & FLAG_QUEUED) !== 0;
      if (slab[at] !== 0) {
        slab[waiting]!++;
        slab[flags]! |= FLAG_QUEUED;
        return NOT_YET;
      }
      if (isQueued) slab[waiting]!--;
      slab[flags]! &= ~FLAG_QUEUED;
      slab[at] = -1 - thread;
      return 0;
    }
  }
}

/** Footprint marks for the frame allocator, a store buffer, a frame. */
export const cells = {
  allocator: (machine: Machine): number => machine.layout.wordCount,
  /** What an invariant sees: all steps that change it have an order. */
  view: (machine: Machine): number => machine.layout.wordCount + 1,
  buffer: (machine: Machine, thread: number): number => machine.layout.wordCount + 2 + thread,
  frame: (machine: Machine, frame: number): number => machine.layout.wordCount + 2 + machine.layout.threadCount + frame,
  count: (machine: Machine): number => machine.layout.wordCount + 2 + machine.layout.threadCount + FRAMES_MAX + 6,
};

function allocate(machine: Machine, thread: number): number {
  const { slab, base, layout, races } = machine;
  const freeCount = base + layout.freeCount;
  const frame = slab[freeCount]! > 0 ? slab[base + layout.freeFrames + --slab[freeCount]!]! : ++slab[base + layout.framesHighest]!;
  if (frame > FRAMES_MAX) throw new ScenarioError(`more than ${FRAMES_MAX} frames are in use: the scenario is too large, or leaks`);
  slab[base + layout.framesAllocated]! |= 1 << frame;
  races?.allocator(thread);
  machine.touch(cells.allocator(machine) * 2 + 1);
  machine.touch(cells.frame(machine, frame) * 2 + 1);
  return frame;
}

function isInUse(machine: Machine, frame: number): boolean {
  if (!Number.isInteger(frame) || frame < 0 || frame > FRAMES_MAX) throw new ScenarioError(`${frame} is no frame's number`);
  return ((machine.slab[machine.base + machine.layout.framesAllocated]! >>> frame) & 1) !== 0;
}

function free(machine: Machine, thread: number, frame: number): number {
  const { slab, base, layout, races } = machine;
  machine.touch(cells.allocator(machine) * 2 + 1);
  if (!isInUse(machine, frame)) {
    machine.touch(cells.frame(machine, frame) * 2);
    if (machine.checks.findsDoubleFrees) machine.report("double-free", `${machine.threadNames[thread]} frees frame ${frame}, which is free`);
    return 0;
  }
  machine.touch(cells.frame(machine, frame) * 2 + 1);
  races?.allocator(thread);
  slab[base + layout.framesAllocated]! &= ~(1 << frame);
  slab[base + layout.freeFrames + slab[base + layout.freeCount]!++] = frame;
  return 0;
}

function use(machine: Machine, thread: number, frame: number, kind: "use" | "use-write"): number {
  machine.touch(cells.frame(machine, frame) * 2);
  if (!isInUse(machine, frame) && machine.checks.findsFreedFrames) {
    machine.report("use-after-free", `${machine.threadNames[thread]} ${kind === "use" ? "uses" : "writes to"} frame ${frame}, which is free`);
  }
  return 0;
}

// Store buffers.

/** Operations that wait until the thread's stores have reached memory come behind the last of them. */
function touchBuffer(machine: Machine, thread: number, { kind }: Operation): void {
  if (kind !== "plain-store" && kind !== "plain-load" && kind !== "use" && kind !== "use-write") machine.touch(cells.buffer(machine, thread) * 2);
}

function delay(machine: Machine, thread: number, cell: number, value: number, isVolatile: boolean): void {
  const { slab, base, layout } = machine;
  const buffer = base + layout.buffer(thread);
  const count = slab[buffer]!;
  slab[buffer] = count + 1;
  slab[buffer + 1 + 2 * count] = cell;
  slab[buffer + 2 + 2 * count] = value;
  // The step that is being made is the one before the present depth.
  slab[base + layout.bufferEvent(thread) + count] = isVolatile ? machine.depth : -machine.depth;
  slab[base + layout.roomMadeBy(thread)] = 0;
}

function loadDelayed(machine: Machine, thread: number, cell: number): number {
  const { slab, base, layout } = machine;
  const buffer = base + layout.buffer(thread);
  for (let at = slab[buffer]! - 1; at >= 0; at--) {
    if (slab[buffer + 1 + 2 * at] === cell) return slab[buffer + 2 + 2 * at]!;
  }
  return slab[base + cell]!;
}

/** The oldest delayed store of a thread reaches memory. */
export function drainOldest(machine: Machine, thread: number): void {
  const { slab, base, layout, races } = machine;
  const buffer = base + layout.buffer(thread);
  const events = base + layout.bufferEvent(thread);
  const cell = slab[buffer + 1]!;
  const count = slab[buffer]!;
  races?.drain(thread, cell, slab[events]!);
  storeNow(machine, cell, slab[buffer + 2]!);
  machine.touch(cells.buffer(machine, thread) * 2 + 1);
  machine.drainedEvent = Math.abs(slab[events]!) - 1;
  if (count === BUFFER_MAX) slab[base + layout.roomMadeBy(thread)] = machine.depth;
  slab.copyWithin(buffer + 1, buffer + 3, buffer + 1 + 2 * count);
  slab.copyWithin(events, events + 1, events + count);
  slab[buffer] = count - 1;
  // What stands behind the last store must not make equal states differ.
  slab.fill(0, buffer + 1 + 2 * (count - 1), buffer + 1 + 2 * count);
}

function storeNow(machine: Machine, cell: number, value: number): void {
  machine.touch(cell * 2 + 1);
  machine.slab[machine.base + cell] = value;
}
