/** Plays another vCPU that is in guest mode, and leaves it a while after the log of code has come to `position`. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicLoad, waitWhile, type SharedWords } from "#sync";

/** What the thread is started with. */
export interface LeavingJob {
  /** The host's memory. */
  readonly words: SharedWords;
  /** Indices of words: the log's position, the epoch of the vCPU that is played. */
  readonly log: number;
  readonly epoch: number;
  readonly position: number;
}

const LINGERS_MS = 30;

const { words, log, epoch, position } = workerData as LeavingJob;
parentPort!.postMessage("begun");
while (atomicLoad(words, log) < position) waitWhile(words, log, atomicLoad(words, log), 1);
waitWhile(words, log, position, LINGERS_MS);
atomicAdd(words, epoch, 1);
