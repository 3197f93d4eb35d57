/** A thread of the page stress: user, processor, mangler or helper (page-stress.ts). */
import { parentPort, workerData } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { HostMemory } from "../../host-memory/index.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { randomPauses } from "../../sync/jitter/random-pauses.raw.js";
import { PageHelper, PageMangler } from "./page-manglers.js";
import { PageProcessor, PageUser } from "./page-users.js";
import { wirePretendVcpu } from "./pretend-vcpu.js";
import { WORD_STOP } from "./page-stress.words.js";
import type { StressJob, StressReport, StressRole } from "./page-stress.words.js";
import { SharedSwapStore } from "./shared-swap-store.js";

/** One kind of thread: steps until told to stop. */
export interface StressThread {
  readonly counts: Record<string, number>;
  readonly addedShared: number;
  readonly addedOwn: number;
  step(): void;
  end(): void;
}

const job = workerData as StressJob;
const host = HostMemory.attach(job.memory);
host.setSwapStore(new SharedSwapStore(job.swapFile));
wirePretendVcpu(host);

function createThread(role: StressRole): StressThread {
  switch (role) {
    case "user":
      return new PageUser(host, job);
    case "processor":
      return new PageProcessor(host, job);
    case "mangler":
      return new PageMangler(host, job);
    case "helper":
      return new PageHelper(host, job);
  }
}

function run(): StressReport {
  const thread = createThread(job.role);
  const report = (): StressReport => ({ role: job.role, counts: thread.counts, addedShared: thread.addedShared, addedOwn: thread.addedOwn });
  try {
    while (atomicLoad(host.words, WORD_STOP) === 0) thread.step();
    thread.end();
    return report();
  } catch (error) {
    atomicStore(host.words, WORD_STOP, 1);
    return { ...report(), failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

if (job.isPaused) setInterposer(randomPauses(job.seed));
const report = run();
setInterposer(undefined);
host.detach();
parentPort!.postMessage(report);
