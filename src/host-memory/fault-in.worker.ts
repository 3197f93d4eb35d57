/** Thread of fault-in.test.ts: touches every page in its own order, or faults one page in and tells when it has it. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicLoad, atomicStore, notifyWaiters } from "#sync";
import { gfnOf } from "../abi/address.js";
import { HostMemory } from "./index.js";
import type { SharedMemory } from "./index.js";
import { WORD_TEST_AREA } from "./fault-in.words.js";

interface Job {
  readonly memory: SharedMemory;
  readonly pageCount: number;
  /** Odd step through the pages, so that each thread has an order of its own; 0 = fault page 0 in once. */
  readonly step: number;
}

const { memory, pageCount, step } = workerData as Job;
const host = HostMemory.attach(memory);

/** Every thread adds 1 to the first word of every page: a page that two threads gave two frames to would lose one. */
function touchAll(): string[] {
  atomicAdd(host.words, WORD_TEST_AREA, 1);
  while (atomicLoad(host.words, WORD_TEST_AREA) < 2);
  const results = new Set<string>();
  for (let index = 0; index < pageCount; index++) {
    const gfn = gfnOf((index * step) % pageCount);
    results.add(host.faultIn(gfn, true));
    atomicAdd(host.words, (host.nptEntry(gfn) >>> 12) * 1024, 1);
  }
  return [...results];
}

function faultOnce(): string[] {
  atomicStore(host.words, WORD_TEST_AREA + 1, 1);
  notifyWaiters(host.words, WORD_TEST_AREA + 1);
  const result = host.faultIn(gfnOf(0), true);
  atomicStore(host.words, WORD_TEST_AREA + 2, host.nptEntry(gfnOf(0)) >>> 12);
  return [result];
}

const results = step === 0 ? faultOnce() : touchAll();
host.detach();
parentPort!.postMessage(results);
