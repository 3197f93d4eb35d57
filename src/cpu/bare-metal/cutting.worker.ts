/**
 * Plays a host that takes pages away under a running processor, and gives them back with the same frame: the NPT entries at `entries` are empty
 * now and then. What the processor has looked up stays right meanwhile, as a host waits for it before it uses a frame otherwise.
 */
import { parentPort, workerData } from "node:worker_threads";
import { atomicLoad, atomicStore, type SharedWords } from "#sync";

/** What the thread is started with. */
export interface CuttingJob {
  /** The host's memory. */
  readonly words: SharedWords;
  /** Indices of words. */
  readonly entries: readonly number[];
  /** Flags that entries lack when they come back, as after a look of the reclaimer's. */
  readonly forgotten: number;
  /** Its only word is 1 when the thread is to end. */
  readonly stop: SharedWords;
}

const { words, entries, forgotten, stop } = workerData as CuttingJob;
const kept = entries.map((entry) => atomicLoad(words, entry) & ~forgotten);
parentPort!.postMessage("begun");
for (let round = 0; atomicLoad(stop, 0) === 0; round++) {
  const entry = entries[round % entries.length]!;
  atomicStore(words, entry, 0);
  for (let pause = round % 7; pause > 0; pause--) atomicLoad(stop, 0);
  atomicStore(words, entry, kept[round % entries.length]!);
  // What is noted at the first look only is raced with only if the next cut is near.
  for (let pause = (forgotten === 0 ? 40 : 0) + (round % 50); pause > 0; pause--) atomicLoad(stop, 0);
}
