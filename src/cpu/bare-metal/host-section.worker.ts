/**
 * Plays a thread of the hypervisor that stores to a guest page in read sections, as src/host-memory/gated-invalidations.ts opens them: counts in the word
 * at `address` until it is stopped.
 */
import { parentPort, workerData } from "node:worker_threads";
import { atomicLoad, atomicStore, sharedWordsOf, type SharedWords } from "#sync";
import { LOCK_STEP_HOLDER_ADDRESS, READER_SLOTS_BASE } from "../../abi/layout.js";

/** What the thread is started with. */
export interface HostSectionJob {
  readonly memory: WebAssembly.Memory;
  readonly address: number;
  /** 1 when the thread is to end; how often it has counted. */
  readonly stop: SharedWords;
}

const { memory, address, stop } = workerData as HostSectionJob;
const words = sharedWordsOf(memory.buffer);
const epoch = READER_SLOTS_BASE >> 2, holder = LOCK_STEP_HOLDER_ADDRESS >> 2;
/** Long enough for a section to be open when a check begins. */
const STORES = 20;

parentPort!.postMessage("begun");
let count = 0;
for (let turn = 1; atomicLoad(stop, 0) === 0; turn += 2) {
  atomicStore(words, epoch, turn);
  if (atomicLoad(words, holder) === 0) {
    for (let n = 0; n < STORES; n++) words[address >> 2]!++;
    count += STORES;
  }
  atomicStore(words, epoch, turn + 1);
}
atomicStore(stop, 1, count);
