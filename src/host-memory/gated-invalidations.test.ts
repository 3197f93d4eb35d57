import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { GatedInvalidations } from "./gated-invalidations.js";
import { HostMemory } from "./index.js";
import { READER_SLOT_COUNT, READER_SLOT_STRIDE_WORDS, WORD_LOCK_STEP_HOLDER, WORD_READER_SLOTS } from "./layout.js";

const SOME_VCPU = 0x200_0000;
const WORD_ELSEWHERE = 0x100;

/** Plays a vCPU that checks for a while, and then opens the gate. It ends with an error when a section stays open: who meets a check may try, but must leave. */
const CHECKS_FOR_A_WHILE = `
  const { parentPort, workerData: { words, holder, first, stride, count } } = require("node:worker_threads");
  parentPort.postMessage("begun");
  Atomics.wait(words, holder, Atomics.load(words, holder), 100);
  for (let slot = 0; slot < count; slot++) {
    const epoch = Atomics.load(words, first + slot * stride);
    if ((epoch & 1) !== 0 && Atomics.wait(words, first + slot * stride, epoch, 1000) === "timed-out" && Atomics.load(words, first + slot * stride) === epoch) throw new Error("a section is open");
  }
  parentPort.postMessage("checked");
  Atomics.store(words, holder, 0);
`;

function createHost(lockStep: number): HostMemory {
  return HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1, lockStep });
}

/** Sections of this thread that are open. */
function openSections({ words }: HostMemory): number {
  let open = 0;
  for (let slot = 0; slot < READER_SLOT_COUNT; slot++) open += atomicLoad(words, WORD_READER_SLOTS + slot * READER_SLOT_STRIDE_WORDS) & 1;
  return open;
}

test("only a host whose VM is checked has the gate, in each thread's handle", () => {
  assert.equal(createHost(0).invalidations instanceof GatedInvalidations, false);
  const host = createHost(1);
  assert.ok(host.invalidations instanceof GatedInvalidations);
  assert.ok(HostMemory.attach(host.memory).invalidations instanceof GatedInvalidations);
});

test("without a check under way a section begins at once, and answers the word it was asked for", () => {
  const host = createHost(1);
  atomicStore(host.words, WORD_ELSEWHERE, 42);
  assert.equal(host.invalidations.enterAndLook(WORD_ELSEWHERE), 42);
  assert.equal(openSections(host), 1);
  host.invalidations.leave();
  host.invalidations.enter();
  assert.equal(openSections(host), 1);
  host.invalidations.leave();
  assert.equal(openSections(host), 0);
});

test("a section waits for a check that is under way, and is not open meanwhile", { timeout: 30_000 }, async (context) => {
  const host = createHost(1);
  atomicStore(host.words, WORD_LOCK_STEP_HOLDER, SOME_VCPU);
  const vcpu = new Worker(CHECKS_FOR_A_WHILE, {
    eval: true,
    workerData: { words: host.words, holder: WORD_LOCK_STEP_HOLDER, first: WORD_READER_SLOTS, stride: READER_SLOT_STRIDE_WORDS, count: READER_SLOT_COUNT },
  });
  context.after(() => vcpu.terminate());
  await once(vcpu, "message");
  const answer = once(vcpu, "message");
  host.invalidations.enter();
  assert.equal(atomicLoad(host.words, WORD_LOCK_STEP_HOLDER), 0);
  assert.equal(openSections(host), 1);
  host.invalidations.leave();
  assert.deepEqual(await answer, ["checked"]);
});

test("a section inside another one does not wait: the check waits for it", () => {
  const host = createHost(1);
  host.invalidations.enter();
  atomicStore(host.words, WORD_LOCK_STEP_HOLDER, SOME_VCPU);
  atomicStore(host.words, WORD_ELSEWHERE, 7);
  assert.equal(host.invalidations.enterAndLook(WORD_ELSEWHERE), 7);
  host.invalidations.leave();
  host.invalidations.leave();
  assert.equal(openSections(host), 0);
});
