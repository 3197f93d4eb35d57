/** Counters and vCPUs, as text. */
import type { LockStepFigures } from "../../cpu/index.js";
import type { StormStats } from "../memory/index.js";
import type { MachineStats } from "../stats.js";
import type { VcpuReport } from "../vcpu-report.js";
import { type Cell, pairLines, tableLines, wordsOf } from "./text-table.js";

const PAGES_PER_MIB = 256;
const BYTES_PER_MIB = 2 ** 20;

/** `vcpu show`. */
export function renderVcpus(vcpus: readonly VcpuReport[]): string[] {
  return tableLines(["vcpu", "mode", "instructions", "halted ms", "requests"], vcpus.map((vcpu) =>
    [vcpu.index, vcpu.mode, vcpu.instructions, Math.round(vcpu.haltedMs), vcpu.requests.join(" ") || "none"]));
}

/** `stats`. */
export function renderStats(stats: MachineStats): string[] {
  const { pages, exits, hypercalls } = stats;
  return [
    ...pairLines(guestPairs(stats)),
    "", ...pairLines(addressPairs(stats.addressTranslation)),
    "", ...pairLines(Object.entries(pages.counts).map(countPair)),
    "", ...userLines(pages.users),
    "", ...renderStorm(stats.storm),
    "", ...countLines("exits", exits),
    "", ...countLines("hypercalls", hypercalls),
  ];
}

/** `storm`. */
export function renderStorm({ rate, moves, movesPerSecond, pinned, seed }: StormStats): string[] {
  return pairLines([
    ["storm", rate === 0 ? "off" : rate === "max" ? "as fast as it can" : `${rate} moves a second`],
    ["storm moves", `${moves}, ${movesPerSecond.toFixed(0)} a second`],
    ["found pinned", pinned],
    ["storm seed", seed],
  ]);
}

function guestPairs({ uptimeMs, bootMs, instructions, translation, lockStep, memory }: MachineStats): (readonly [string, Cell])[] {
  const { pagesTouched, guestBytes, framesInUse, framesTotal, limitBytes, stall } = memory;
  return [
    ["up", `${(uptimeMs / 1000).toFixed(1)} s`],
    ["init ready after", bootMs === undefined ? "not yet" : `${(bootMs / 1000).toFixed(2)} s`],
    ...Object.entries(instructions).map(([tier, count]) => [`instructions (${tier})`, count] as const),
    ["translated", `${translation.regions} regions, ${Math.round(translation.bytes / 1024)} KiB, in ${translation.milliseconds.toFixed(0)} ms`],
    ...(lockStep === undefined ? [] : lockStepPairs(lockStep)),
    ["memory touched", `${(pagesTouched / PAGES_PER_MIB).toFixed(1)} MiB of ${guestBytes / BYTES_PER_MIB} MiB`],
    ["frames in use", `${framesInUse} of ${framesTotal}`],
    ...(limitBytes === undefined ? [] : [["memory limit", `${limitBytes / BYTES_PER_MIB} MiB`] as const]),
    ...(stall === undefined ? [] : [["stall", `the guest waits: ${stall}`] as const]),
  ];
}

function addressPairs(stats: MachineStats["addressTranslation"]): (readonly [string, Cell])[] {
  const { walks, walksPerMillionInstructions, walkReads, walkWrites, walkFetches, withheldWrites, nestedLookups, nestedMisses } = stats;
  const { flushesAll, flushesNonGlobal, flushesPage, flushesFrames } = stats;
  return [
    ["TLB misses", `${walks}, ${walksPerMillionInstructions.toFixed(1)} a million instructions`],
    ["by reads, writes, fetches", `${walkReads}, ${walkWrites} (${withheldWrites} of them for the right to write), ${walkFetches}`],
    ["nested look-ups", `${nestedLookups}, ${nestedMisses} without a frame`],
    ["TLB flushes", `${flushesNonGlobal} by CR3, ${flushesPage} of a page, ${flushesFrames} of frames, ${flushesAll} of all`],
  ];
}

function lockStepPairs({ checked, instructions, skipped, differences }: LockStepFigures): (readonly [string, Cell])[] {
  const skips = Object.entries(skipped).map(([reason, count]) => `${count} for ${reason}`);
  return [
    ["lock step", `${checked} stretches agreed, of ${instructions} instructions; ${differences === 0 ? "no difference" : "a difference"}`],
    ...(skips.length === 0 ? [] : [["not checked", skips.join(", ")] as const]),
  ];
}

function countPair([name, value]: readonly [string, number]): readonly [string, Cell] {
  return name.endsWith("Ms") ? [`${wordsOf(name.slice(0, -2))} time`, `${value.toFixed(1)} ms`] : [wordsOf(name), value];
}

/** Users of guest pages that have used any. */
function userLines(users: MachineStats["pages"]["users"]): string[] {
  const used = Object.entries(users).filter(([, counts]) => Object.values(counts).some((count) => count > 0));
  const columns = Object.keys(used[0]?.[1] ?? {});
  if (used.length === 0) return ["no user of guest pages yet"];
  return tableLines(["user of pages", ...columns.map(wordsOf)], used.map(([name, counts]) => [name, ...columns.map((column) => counts[column] ?? 0)]));
}

/** The counters above 0, the largest first. */
function countLines(heading: string, counts: Readonly<Record<string, number>>): string[] {
  const rows = Object.entries(counts).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  return tableLines([heading, "count"], rows);
}
