import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { ReaderSlot, atomicCompareExchange, atomicLoad, atomicStore, createSectionSteps, lock, sharedWordsOf, synchronizeReaders, tryLock, unlock, waitWhile,
  withLock, withLockInTurn } from "./index.js";
import type { ReaderDomain, SharedWords } from "./index.js";

function startWorker(words: SharedWords, role: "counter" | "in turn" | "reader", rounds = 0): Promise<number> {
  const worker = new Worker(new URL("./sync.worker.js", import.meta.url), { workerData: { buffer: words.buffer, role, rounds } });
  return once(worker, "message").then(([result]) => result as number);
}

function freshWords(): SharedWords {
  return sharedWordsOf(new SharedArrayBuffer(512));
}

function domainOf(words: SharedWords): ReaderDomain {
  return { words, firstIndex: 16, strideWords: 16, slotCount: 4 };
}

test("the steps of a section by WebAssembly leave the words that atomics leave", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = sharedWordsOf(memory.buffer);
  const steps = createSectionSteps(memory);
  assert.ok(steps !== undefined);
  const [one, other] = [domainOf(words), { ...domainOf(words), steps }].map((domain) => ReaderSlot.claim(domain)!);
  const epochs = [16, 32];
  for (const [round, looked] of [7, -7, 0x7fff_ffff].entries()) {
    atomicStore(words, 200, looked);
    for (const slot of [one!, other!]) {
      assert.equal(slot.enterAndLook(200), looked);
      assert.equal(slot.enterAndLook(200), looked);
      slot.leave();
    }
    assert.deepEqual(epochs.map((index) => atomicLoad(words, index)), [2 * round + 1, 2 * round + 1]);
    for (const slot of [one!, other!]) assert.equal(slot.leaveAndLook(200), looked);
    assert.deepEqual(epochs.map((index) => atomicLoad(words, index)), [2 * round + 2, 2 * round + 2]);
  }
});

test("a held lock refuses tryLock and a free one grants it", () => {
  const words = freshWords();
  lock(words, 0);
  assert.equal(tryLock(words, 0), false);
  unlock(words, 0);
  assert.equal(tryLock(words, 0), true);
});

test("unlock of a free lock is reported", () => {
  assert.throws(() => unlock(freshWords(), 0), /expected word 0 to be a held lock/);
});

test("withLock gives the lock back when its body throws", () => {
  const words = freshWords();
  assert.throws(() => withLock(words, 0, () => { throw new Error("body"); }), /body/);
  assert.equal(tryLock(words, 0), true);
});

test("three threads that increment a plain counter under the lock lose nothing", async () => {
  const words = freshWords();
  const results = await Promise.all([1, 2, 3].map(() => startWorker(words, "counter", 30_000)));
  assert.deepEqual(results, [30_000, 30_000, 30_000]);
  assert.equal(atomicLoad(words, 1), 90_000);
  assert.equal(atomicLoad(words, 0), 0);
});

test("compareExchange returns the old value and changes only a match", () => {
  const words = freshWords();
  assert.equal(atomicCompareExchange(words, 3, 1, 7), 0);
  assert.equal(atomicLoad(words, 3), 0);
  assert.equal(atomicCompareExchange(words, 3, 0, 7), 0);
  assert.equal(atomicLoad(words, 3), 7);
});

test("waitWhile returns at once when the word differs and after the time-out when nobody notifies", () => {
  const words = freshWords();
  assert.equal(waitWhile(words, 0, 1), "not-equal");
  assert.equal(waitWhile(words, 0, 0, 5), "timed-out");
});

test("reader slots run out and come back", () => {
  const domain = domainOf(freshWords());
  const slots = [1, 2, 3, 4].map(() => ReaderSlot.claim(domain));
  assert.equal(slots.includes(undefined), false);
  assert.equal(ReaderSlot.claim(domain), undefined);
  slots[2]!.release();
  assert.notEqual(ReaderSlot.claim(domain), undefined);
});

test("a nested section ends with its outermost leave", () => {
  const domain = domainOf(freshWords());
  const slot = ReaderSlot.claim(domain)!;
  slot.enter();
  slot.enter();
  slot.leave();
  assert.equal(slot.isInside, true);
  assert.throws(() => slot.release(), /outside a section/);
  slot.leave();
  assert.equal(slot.isInside, false);
  synchronizeReaders(domain);
});

test("after synchronizeReaders no reader uses what was retracted before it", async () => {
  const words = freshWords();
  const domain = domainOf(words);
  atomicStore(words, 8, 10);
  atomicStore(words, 10, 1);
  const readers = [startWorker(words, "reader"), startWorker(words, "reader")];
  while (atomicLoad(words, 12) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const deadline = Date.now() + 300;
  let changes = 0;
  for (; Date.now() < deadline; changes++) {
    const old = atomicLoad(words, 8);
    atomicStore(words, 21 - old, 1);
    atomicStore(words, 8, 21 - old);
    synchronizeReaders(domain);
    atomicStore(words, old, 0);
  }
  atomicStore(words, 9, 1);
  assert.deepEqual(await Promise.all(readers), [0, 0]);
  assert.ok(changes > 20, `expected more than 20 changes, got ${changes}`);
});

test("a thread that takes a lock over and over lets others have it in between", async () => {
  const words = freshWords();
  const rounds = 50;
  const counted = startWorker(words, "counter", rounds);
  const deadline = Date.now() + 20_000;
  // Held nearly always: without standing back the other thread, which has to wake up first, would rarely find it free.
  while (atomicLoad(words, 1) < rounds && Date.now() < deadline) {
    withLockInTurn(words, 0, () => void waitWhile(words, 60, 0, 1));
  }
  assert.equal(atomicLoad(words, 1), rounds);
  assert.equal(await counted, rounds);
});

test("threads that stand back do not take the wake-ups of those who wait for the lock", async () => {
  const words = freshWords();
  const counts = await Promise.all(["in turn", "in turn", "counter", "counter"].map((role) => startWorker(words, role as "in turn" | "counter", 3000)));
  assert.equal(atomicLoad(words, 1), counts.reduce((sum, count) => sum + count, 0));
});
