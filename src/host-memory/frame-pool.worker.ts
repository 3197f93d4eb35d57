/** Thread of frame-pool.test.ts: takes frames, signs them, looks whether somebody else signed them too, gives them back. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicExchange } from "#sync";
import { hvaPageOf } from "../abi/address.js";
import { HostMemory } from "./index.js";
import type { SharedMemory } from "./index.js";

const { memory, rounds, signature } = workerData as { memory: SharedMemory; rounds: number; signature: number };
const host = HostMemory.attach(memory);

/** Returns how often a new frame was not zero or a held frame bore a foreign signature. */
function hammer(): number {
  let failures = 0;
  for (let round = 0; round < rounds; round++) {
    const frames = Array.from({ length: 1 + (round % 7) }, () => host.pool.allocateZeroed(hvaPageOf(signature))!);
    for (const pfn of frames) failures += atomicExchange(host.words, pfn * 1024, signature) === 0 ? 0 : 1;
    for (const pfn of frames) failures += atomicExchange(host.words, pfn * 1024, 0) === signature ? 0 : 1;
    for (const pfn of frames) host.pool.release([pfn]);
  }
  return failures;
}

const failures = hammer();
host.detach();
parentPort!.postMessage(failures);
