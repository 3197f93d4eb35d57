/** Thread of sync.test.ts: increments a plain word under the lock, or reads a pair of words inside sections. */
import { parentPort, workerData } from "node:worker_threads";
import { ReaderSlot, atomicLoad, atomicStore, sharedWordsOf, withLock, withLockInTurn } from "./index.js";
import type { ReaderDomain } from "./index.js";

const { buffer, role, rounds } = workerData as { buffer: SharedArrayBuffer; role: "counter" | "in turn" | "reader"; rounds: number };
const words = sharedWordsOf(buffer);

function countUnderLock(): number {
  for (let round = 0; round < rounds; round++) {
    const take = role === "in turn" ? withLockInTurn : withLock;
    take(words, 0, () => atomicStore(words, 1, atomicLoad(words, 1) + 1));
  }
  return rounds;
}

/** Word 8 names a place, 10 or 11; a place that no reader can know any more holds 0. Returns how often one was seen. */
function readUntilTold(): number {
  const domain: ReaderDomain = { words, firstIndex: 16, strideWords: 16, slotCount: 4 };
  const slot = ReaderSlot.claim(domain);
  if (slot === undefined) throw new Error("no reader slot");
  let failures = 0;
  atomicStore(words, 12, 1);
  while (atomicLoad(words, 9) === 0) {
    slot.enter();
    const place = atomicLoad(words, 8);
    for (let spin = 0; spin < 20; spin++) failures += atomicLoad(words, place) === 0 ? 1 : 0;
    slot.leave();
  }
  slot.release();
  return failures;
}

parentPort!.postMessage(role === "reader" ? readUntilTold() : countUnderLock());
