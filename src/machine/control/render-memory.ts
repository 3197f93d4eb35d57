/** The pictures of the memory, as text. */
import type {
  BlockMap, MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, SlotMap, SwapOutcome,
} from "../../host-memory/index.js";
import { pairLines, tableLines } from "./text-table.js";

const CELL_COUNT = 32;
/** What a cell of a block's bar stands for, in the order of the bar. */
const CELLS = [["present", "#"], ["shared", "="], ["pinned", "!"], ["free", "."]] as const;
const OFFLINE_CELL = "-";
const PAGES_PER_MIB = 256;

/** `memory show`. */
export function renderMemory(map: MemoryMap): string[] {
  const blocks = map.blocks.map((block) => [block.index, block.state, bar(block), block.present, block.shared, block.pinned, block.free]);
  return [
    ...tableLines(["block", "state", "map".padEnd(CELL_COUNT), "present", "shared", "pinned", "free"], blocks),
    `a block is 16 MiB; ${CELLS.map(([name, cell]) => `${cell} ${name}`).join(", ")}, ${OFFLINE_CELL} offline`,
    "",
    ...renderSlots(map.slots),
    "",
    ...totals(map),
  ];
}

/** `memory slots`. */
export function renderSlots(slots: readonly SlotMap[]): string[] {
  return tableLines(["slot", "first gfn", "pages", "present", "shared", "swapped", "absent"],
    slots.map((slot) => [slot.id, `0x${slot.baseGfn.toString(16)}`, slot.pageCount, slot.present, slot.shared, slot.swapped, slot.absent]));
}

function totals({ blocks, slots, frameLimit, swapSlotsTotal, swapSlotsUsed, stall }: MemoryMap): string[] {
  const online = blocks.filter(({ state }) => state === "online");
  const sum = <Name extends string>(parts: readonly Readonly<Record<Name, number>>[], name: Name): number =>
    parts.reduce((total, part) => total + part[name], 0);
  const frames = sum(online, "framesTotal");
  const free = sum(online, "free");
  return pairLines([
    ["guest", `${mib(sum(slots, "pageCount"))}: ${sum(slots, "present")} pages present, ${sum(slots, "shared")} shared, `
      + `${sum(slots, "swapped")} swapped, ${sum(slots, "absent")} absent`],
    ["host", `${mib(frames)} in ${online.length} blocks online: ${frames - free} frames in use, ${free} free`],
    ["limit", frameLimit === undefined ? "none" : `${frameLimit} frames (${mib(frameLimit)})`],
    ["swap", swapSlotsTotal === 0 ? "none" : `${swapSlotsUsed} of ${swapSlotsTotal} slots in use`],
    ...(stall === undefined ? [] : [["stall", `the guest waits: ${stall}`] as const]),
  ]);
}

function mib(pages: number): string {
  return `${Number((pages / PAGES_PER_MIB).toFixed(1))} MiB`;
}

/** The block's frames in 32 cells: every kind that is there has at least one, the rest is shared out by size. */
function bar(block: BlockMap): string {
  if (block.state === "offline") return OFFLINE_CELL.repeat(CELL_COUNT);
  const kinds = CELLS.filter(([name]) => block[name] > 0);
  const counts = kinds.map(([name]) => Math.max(1, Math.floor((block[name] / block.framesTotal) * CELL_COUNT)));
  // What rounding left over, or took too much, is the largest kind's.
  const largest = kinds.reduce((best, [name], place) => (block[name] > block[kinds[best]![0]] ? place : best), 0);
  if (kinds.length > 0) counts[largest]! += CELL_COUNT - counts.reduce((sum, count) => sum + count, 0);
  return kinds.map(([, cell], place) => cell.repeat(counts[place]!)).join("");
}

/** `memory move`. */
export function renderMove(outcome: MoveOutcome): string[] {
  const { absent, pinned, noSlot, outOfMemory } = outcome;
  const stayed = [
    [absent, "without a frame"], [pinned, "pinned"], [noSlot, "in no memslot"], [outOfMemory, "for which there was no free frame"],
  ] as const;
  const rest = stayed.filter(([count]) => count > 0).map(([count, says]) => `${count} ${says}`);
  return [`moved ${pages(outcome.moved)}${rest.length === 0 ? "" : `; not moved: ${rest.join(", ")}`}`];
}

/** Why nothing was moved although it was asked for; undefined = something was. */
export function moveRefusal({ moved, absent, pinned, noSlot, outOfMemory }: MoveOutcome): string | undefined {
  if (moved > 0) return undefined;
  if (outOfMemory > 0) return "nothing moved: the host has no free frame";
  if (pinned > 0) return "nothing moved: somebody holds a reference to the page";
  if (absent > 0) return "nothing moved: the page has no frame (never touched, discarded or swapped out)";
  return noSlot > 0 ? "nothing moved: there is no memory at that guest frame number" : undefined;
}

/** `memory swap`. */
export function renderSwap({ swapped, skipped }: SwapOutcome): string[] {
  return [`swapped out ${pages(swapped)}${skipped === 0 ? "" : `; ${skipped} could not be`}`];
}

/** Why not all was swapped out. */
export function swapRefusal({ swapped, failure }: SwapOutcome): string | undefined {
  return failure === undefined ? undefined : `stopped after ${pages(swapped)}: ${failure}`;
}

/** `memory merge`. */
export function renderMerge({ scanned, merged, framesFreed }: MergeOutcome): string[] {
  return [`looked at ${pages(scanned)}: ${merged} share a frame now, ${framesFreed} frames freed`];
}

/** `memory offline`. */
export function renderOffline(outcome: OfflineOutcome): string[] {
  return outcome.result === "offline" ? [`offline; ${outcome.framesMoved} frames moved`] : [];
}

/** `memory online`. */
export function renderOnline(outcome: OnlineOutcome): string[] {
  return outcome.result === "online" ? ["online"] : [];
}

/** Why a block stayed as it was, in one line. */
export function blockRefusal(outcome: OfflineOutcome | OnlineOutcome): string | undefined {
  return outcome.result === "refused" ? `refused: ${outcome.detail}` : undefined;
}

function pages(count: number): string {
  return count === 1 ? "1 page" : `${count} pages`;
}
