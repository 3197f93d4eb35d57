/** The commands as the memory thread works on them: in pieces, with a yield behind each, so that nothing else has to wait for long. */
import { type Gfn, gfnOf } from "../../abi/address.js";
import type { MoveOutcome, SwapOutcome } from "../../host-memory/index.js";
import type { MemoryCommand, MemoryCommandName, MemoryResults } from "./memory-command.js";
import type { FrameRange, MemoryOperations } from "./memory-operations.js";
import { BATCH_PAGES_MAX } from "./storm-pace.js";
import { pageAt } from "./storm-pages.js";

/** A command under way. */
export type MemoryJob = Generator<void, MemoryResults[MemoryCommandName]>;

/** A command that comes to an end. */
export type PieceOfWork = Exclude<MemoryCommand, { readonly name: "storm" }>;

const NOTHING_MOVED: MoveOutcome = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };

/**
 * Begins a command; all but the storm's, which is not a piece of work but a state. `shouldStop` is called, instead of a yield, within
 * operations that cannot be left in the middle, and may do a piece of other work each time.
 */
export function* runCommand(operations: MemoryOperations, command: PieceOfWork, shouldStop: () => boolean): MemoryJob {
  switch (command.name) {
    case "show": return operations.memoryMap();
    case "slots": return operations.memoryMap().slots;
    case "merge": return operations.mergeEqualPages(shouldStop);
    case "offline": return operations.offlineBlock(command.block, shouldStop);
    case "online": return operations.onlineBlock(command.block);
    case "move": return command.gfn === "all" ? yield* moveAll(operations) : operations.moveFrames([gfnOf(command.gfn)]);
    case "swap": return yield* swapShare(operations, command.percent);
  }
}

function* moveAll(operations: MemoryOperations): Generator<void, MoveOutcome> {
  let sum = NOTHING_MOVED;
  for (const { baseGfn, pageCount } of operations.memslots()) {
    for (let first = 0; first < pageCount; first += BATCH_PAGES_MAX) {
      const count = Math.min(BATCH_PAGES_MAX, pageCount - first);
      sum = added(sum, operations.moveFrames(Array.from({ length: count }, (_, place) => gfnOf(baseGfn + first + place))));
      yield;
    }
  }
  return sum;
}

function added(sum: MoveOutcome, more: MoveOutcome): MoveOutcome {
  return {
    moved: sum.moved + more.moved, absent: sum.absent + more.absent, pinned: sum.pinned + more.pinned,
    noSlot: sum.noSlot + more.noSlot, outOfMemory: sum.outOfMemory + more.outOfMemory,
  };
}

/** Swaps out that share of the pages that have a frame, evenly spread over the memory, until they are out or all have been tried. */
function* swapShare(operations: MemoryOperations, percent: number): Generator<void, SwapOutcome> {
  const wanted = Math.round((operations.memoryMap().slots.reduce((sum, slot) => sum + slot.present, 0) * percent) / 100);
  let swapped = 0;
  let skipped = 0;
  let batch: Gfn[] = [];
  for (const gfn of spreadPages(operations.memslots())) {
    if (swapped >= wanted) break;
    if (operations.isPresent(gfn)) batch.push(gfn);
    if (batch.length < Math.min(BATCH_PAGES_MAX, wanted - swapped)) continue;
    const outcome = operations.swapOut(batch);
    batch = [];
    swapped += outcome.swapped;
    skipped += outcome.skipped;
    if (outcome.failure !== undefined) return { swapped, skipped, failure: outcome.failure };
    yield;
  }
  if (batch.length === 0 || swapped >= wanted) return { swapped, skipped };
  const last = operations.swapOut(batch);
  return { ...last, swapped: swapped + last.swapped, skipped: skipped + last.skipped };
}

/** Every page once, neighbours far apart: steps of about the golden ratio, which has no common divisor with the number of pages. */
function* spreadPages(slots: readonly FrameRange[]): Generator<Gfn> {
  const pageCount = slots.reduce((sum, slot) => sum + slot.pageCount, 0);
  let step = Math.max(1, Math.round(pageCount * 0.6180339887));
  while (greatestCommonDivisor(step, pageCount) !== 1) step++;
  for (let index = 0, place = 0; index < pageCount; index++, place = (place + step) % pageCount) yield pageAt(slots, place);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
