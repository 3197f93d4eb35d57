/**
 * A stress of the pages that KVM's personality uses: vCPUs publish clocks and stolen time, sleep, are left TLB flushes and give EOIs in memory, while
 * a mangler takes their pages away in every way. Every flush that was left is made, every EOI that was given is taken; a clock that a reader
 * accepts is of one piece; nothing is written where an area was before its register changed, nor to a frame that was freed.
 */
import { Worker } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { auditPages } from "../../guest-page/testing/page-audit.js";
import { createSwapFile, SharedSwapStore } from "../../guest-page/testing/shared-swap-store.js";
import { HostMemory } from "../../host-memory/index.js";
import {
  KEPT_BASE, KEPT_PAGES, KEPT_SLOT, LOSSY_BASE, LOSSY_PAGES, LOSSY_SLOT, VCPUS, WORD_STOP, wordEoisGiven, wordEoisTaken, wordFlushesLeft, wordFlushesMade,
} from "./kvm-stress.words.js";
import type { KvmStressJob, KvmStressReport } from "./kvm-stress.words.js";

const SWAP_SLOTS = 64;
/** Fewer frames than there are pages: faults push pages out. */
const FRAME_LIMIT = 20;

/** How a stress is run. */
export interface KvmStressOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Whether accesses are delayed at random: in copies with paused atomics only. */
  readonly isPaused?: boolean;
}

/** What came of it: what each thread did, and what the guest did and got of each vCPU. */
export interface KvmStressOutcome {
  readonly reports: readonly KvmStressReport[];
  readonly flushes: number;
  readonly eois: number;
}

/** Runs the stress; throws when anything is wrong. */
export async function stressKvmPages({ seconds, seed, isPaused = false }: KvmStressOptions): Promise<KvmStressOutcome> {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: VCPUS });
  const swapFile = createSwapFile(SWAP_SLOTS);
  host.setSwapStore(new SharedSwapStore(swapFile));
  host.setFrameLimit(FRAME_LIMIT);
  host.addMemslot({ id: KEPT_SLOT, baseGfn: KEPT_BASE, pageCount: KEPT_PAGES });
  host.addMemslot({ id: LOSSY_SLOT, baseGfn: LOSSY_BASE, pageCount: LOSSY_PAGES });
  const roles = [...Array.from({ length: VCPUS }, () => "vcpu" as const), "mangler" as const];
  const reports = roles.map((role, index) => {
    const job: KvmStressJob = { memory: host.memory, role, index, seed: seed * roles.length + index, swapFile, isPaused };
    const worker = new Worker(new URL("./kvm-stress.worker.js", import.meta.url), { workerData: job });
    return new Promise<KvmStressReport>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject).once("exit", () => reject(new Error("a thread ended without a report")));
    });
  });
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline && atomicLoad(host.words, WORD_STOP) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  atomicStore(host.words, WORD_STOP, 1);
  return checkEnd(host, await Promise.all(reports), seed);
}

/** Precondition: all threads have ended. */
function checkEnd(host: HostMemory, reports: readonly KvmStressReport[], seed: number): KvmStressOutcome {
  const failed = reports.find(({ failure }) => failure !== undefined);
  if (failed !== undefined) throw new Error(`KVM's pages, seed ${seed}, ${failed.role}: ${failed.failure}`);
  let flushes = 0;
  let eois = 0;
  for (let vcpu = 0; vcpu < VCPUS; vcpu++) {
    flushes += expectSame(host, `flushes left to vCPU ${vcpu} and made`, wordFlushesLeft(vcpu), wordFlushesMade(vcpu));
    eois += expectSame(host, `EOIs given by vCPU ${vcpu} and taken`, wordEoisGiven(vcpu), wordEoisTaken(vcpu));
  }
  host.setFrameLimit(undefined);
  auditPages(host);
  for (const { id } of host.memslots()) host.removeMemslot(id);
  const { framesInUse } = host.statistics();
  if (framesInUse !== 0) throw new Error(`KVM's pages, seed ${seed}: ${framesInUse} frames in use at the end`);
  return { reports, flushes, eois };
}

function expectSame(host: HostMemory, what: string, one: number, other: number): number {
  const [left, right] = [atomicLoad(host.words, one), atomicLoad(host.words, other)];
  if (left !== right) throw new Error(`KVM's pages: ${what}: ${left} and ${right}`);
  return left;
}

/** By name, for catcher.ts: in a copy with paused atomics. */
export const CHECKS = {
  "KVM's pages under users and a mangler": async (timeMs: number): Promise<void> => {
    for (const deadline = Date.now() + timeMs; Date.now() < deadline;) await stressKvmPages({ seconds: 1, seed: Date.now() % 1000, isPaused: true });
  },
} as const;
