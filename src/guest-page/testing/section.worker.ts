/** Thread of page-checks.ts: holds a section open for a while, or searches a page in the memslots until told to stop. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { gfnOf } from "../../abi/address.js";
import { HostMemory } from "../../host-memory/index.js";
import type { SharedMemory } from "../../host-memory/index.js";
import { randomPauses } from "../../sync/jitter/random-pauses.raw.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { WORD_SECTION, WORD_SECTION_END } from "./page-checks.js";

const { memory, holdMs, searched } = workerData as { memory: SharedMemory; holdMs?: number; searched?: number };
const host = HostMemory.attach(memory);

function hold(forMs: number): void {
  host.invalidations.enter();
  atomicStore(host.words, WORD_SECTION, 1);
  for (const deadline = performance.now() + forMs; performance.now() < deadline;);
  atomicStore(host.words, WORD_SECTION, 2);
  host.invalidations.leave();
}

function search(gfn: number): void {
  setInterposer(randomPauses(1));
  while (host.findHvaPage(gfnOf(gfn)) < 0 && atomicLoad(host.words, WORD_SECTION_END) === 0);
  const there = host.findHvaPage(gfnOf(gfn));
  let answer = "whole";
  while (answer === "whole" && atomicLoad(host.words, WORD_SECTION_END) === 0) {
    const found = host.findHvaPage(gfnOf(gfn));
    if (found !== there) answer = `found ${found}, it is ${there}`;
  }
  atomicStore(host.words, WORD_SECTION, 2);
  parentPort!.postMessage(answer);
}

if (holdMs !== undefined) hold(holdMs);
else search(searched!);
