/**
 * The page stress, after KVM's gpc_test: threads use their pages in every way while others take them away in every way. Each page holds 0,
 * what was mapped over it, or what its owner wrote; freed frames go to somebody who looks for late writes; counters in pages that only
 * move have every addition; in the end all frames, references and slots of the swap file are accounted for.
 *
 *     node dist/guest-page/testing/page-stress.js [--seconds N] [--seed N]        a longer run than that of the tests
 */
import { Worker } from "node:worker_threads";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { HostMemory } from "../../host-memory/index.js";
import { GuestMemory } from "../index.js";
import { auditPages } from "./page-audit.js";
import { checkWord } from "./page-users.js";
import { CHECKED_OFFSETS, KEPT_BASE, KEPT_PAGES, KEPT_SLOT, LOSSY_BASE, LOSSY_PAGES, LOSSY_SLOT, WORD_STOP } from "./page-stress.words.js";
import type { StressJob, StressReport, StressRole } from "./page-stress.words.js";
import { createSwapFile, SharedSwapStore } from "./shared-swap-store.js";

const ROLES: readonly StressRole[] = ["user", "user", "user", "processor", "mangler", "helper"];
const SWAP_SLOTS = 64;
/** Fewer frames than there are pages: faults push pages out. */
const FRAME_LIMIT = 64;

/** How a stress is run. */
export interface StressOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Whether accesses are delayed at random: in copies with paused atomics only. */
  readonly isPaused?: boolean;
  /** Slots of the swap file; few make threads wait for memory. */
  readonly swapSlots?: number;
  /** End the VM (HostMemory.stop) at the end, while threads may be waiting for memory. */
  readonly stopsHost?: boolean;
}

interface StressRun {
  readonly host: HostMemory;
  readonly reports: readonly StressReport[];
}

/** Runs all threads for a while. Rejects when a thread dies. */
async function runThreads({ seconds, seed, isPaused = false, swapSlots = SWAP_SLOTS, stopsHost = false }: StressOptions): Promise<StressRun> {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  const swapFile = createSwapFile(swapSlots);
  host.setSwapStore(new SharedSwapStore(swapFile));
  host.setFrameLimit(FRAME_LIMIT);
  host.addMemslot({ id: LOSSY_SLOT, baseGfn: LOSSY_BASE, pageCount: LOSSY_PAGES });
  host.addMemslot({ id: KEPT_SLOT, baseGfn: KEPT_BASE, pageCount: KEPT_PAGES });
  const workers = ROLES.map((role, index) => {
    const job: StressJob = { memory: host.memory, role, index, seed: seed * ROLES.length + index, swapFile, isPaused };
    return new Worker(new URL("./page-stress.worker.js", import.meta.url), { workerData: job });
  });
  const reports = workers.map((worker) => new Promise<StressReport>((resolve, reject) => {
    worker.once("message", resolve).once("error", reject).once("exit", () => reject(new Error("a thread ended without a report")));
  }));
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline && atomicLoad(host.words, WORD_STOP) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  atomicStore(host.words, WORD_STOP, 1);
  if (stopsHost) host.stop();
  return { host, reports: await Promise.all(reports) };
}

/** Counters that must match, words that may be where they are, and everything given back. Precondition: all threads have ended. */
function checkEnd({ host, reports }: StressRun): void {
  host.setFrameLimit(undefined);
  auditPages(host);
  const guest = new GuestMemory(host);
  const shared = guest.readU32(gpaOfGfn(KEPT_BASE))!;
  const addedShared = reports.reduce((sum, { addedShared: added }) => sum + added, 0);
  expect(shared === addedShared, `${addedShared} additions to the shared word, it is ${shared}`);
  reports.forEach(({ addedOwn }, index) => {
    const own = guest.readU32(gpaOfGfn(gfnOf(KEPT_BASE + 1 + index), 8))!;
    expect(own === addedOwn, `${addedOwn} additions of thread ${index} to its word, it is ${own}`);
  });
  for (let page = 0; page < LOSSY_PAGES; page++) {
    const gfn = gfnOf(LOSSY_BASE + page);
    for (const offset of CHECKED_OFFSETS) checkWord(gfn, guest.readU32(gpaOfGfn(gfn, offset))!);
  }
  checkGivenBack(host);
}

function checkGivenBack(host: HostMemory): void {
  for (const { id } of host.memslots()) host.removeMemslot(id);
  const { framesInUse, guestPagesPresent } = host.statistics();
  const { swapSlotsUsed, blocks } = host.memoryMap();
  expect(framesInUse === 0 && guestPagesPresent === 0 && swapSlotsUsed === 0, `${framesInUse} frames, ${guestPagesPresent} pages and ${swapSlotsUsed} slots in use at the end`);
  expect(blocks.every(({ pinned, state }) => pinned === 0 && state === "online"), "no page is pinned and no block offline at the end");
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`page stress: ${what}`);
}

/** Runs the stress; throws when anything is wrong. Returns what each thread did. */
export async function stressPages(options: StressOptions): Promise<readonly StressReport[]> {
  const run = await runThreads(options);
  const failed = run.reports.find(({ failure }) => failure !== undefined);
  if (failed !== undefined) throw new Error(`page stress, seed ${options.seed}, ${failed.role}: ${failed.failure}`);
  if (options.stopsHost !== true) checkEnd(run);
  else checkGivenBack(run.host);
  return run.reports;
}

/** One line a thread. */
export function describeReports(reports: readonly StressReport[]): string[] {
  return reports.map(({ role, counts, addedShared, addedOwn }, index) => {
    const all = { ...counts, ...(addedOwn > 0 ? { "added to own": addedOwn, "added to shared": addedShared } : {}) };
    return `${role} ${index}: ${Object.entries(all).map(([name, count]) => `${name} ${count}`).join(", ")}`;
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, seed: { type: "string", default: "1" } } });
  const reports = await stressPages({ seconds: Number(values.seconds), seed: Number(values.seed) });
  console.log(describeReports(reports).join("\n"));
}

if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) await main();
