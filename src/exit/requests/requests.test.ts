import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicAdd, atomicLoad, atomicStore } from "#sync";
import { FRAMES_BASE, REQUEST_EVENT, REQUEST_INIT, REQUEST_PAUSE, REQUEST_STOP, REQUEST_TLB_FLUSH, VCPU } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/index.js";
import { createTestMemory } from "../test-memory.raw.js";
import { isAtGate } from "./gate.js";
import { enterGuestMode, guestModeEpoch, leaveGuestMode } from "./guest-mode.js";
import type { Job } from "./requests.worker.js";
import {
  WORD_SLEEPING_WAITERS, WORD_SPURIOUS_WAKES, WORD_STALE_RUNS, WORD_STALE_USES, WORD_STOP, wordFlushes, wordLooks, wordRaised, wordSteps,
  wordTaken,
} from "./requests.words.js";
import { clearRequest, flushVcpuTlbs, makeAllVcpusRequest, makeVcpusRequest, requestStatistics, waitUntilOutside } from "./vcpu-requests.js";

const VCPUS = 2;
/** Nothing here takes seconds; who has not ended by then never will. */
const DEADLINE_MS = 20_000;
const ENOUGH_MS = 2500;

/** A machine of pretended guests, whose threads end with the test. */
class Machine {
  readonly memory = createTestMemory(FRAMES_BASE);
  readonly vcpus = Array.from({ length: VCPUS }, (_, index) => new VcpuState(this.memory, index));
  readonly words = this.vcpus[0]!.words;
  readonly #workers: Worker[] = [];

  constructor(context: TestContext) {
    context.after(() => Promise.all(this.#workers.map((worker) => worker.terminate())));
  }

  /** Starts a thread; resolves with its answer. Rejects when it throws, ends without one, or is late. */
  start(job: Omit<Job, "memory" | "vcpuCount">): Promise<unknown> {
    const worker = new Worker(new URL("./requests.worker.js", import.meta.url), { workerData: { memory: this.memory, vcpuCount: VCPUS, ...job } });
    this.#workers.push(worker);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the ${job.role} has not ended`)), DEADLINE_MS);
      worker.once("message", resolve).once("error", reject).once("exit", () => {
        clearTimeout(timer);
        reject(new Error(`the ${job.role} ended without an answer`));
      });
    });
  }

  startVcpus(parts: Partial<Job> = {}): Promise<unknown>[] {
    return this.vcpus.map(({ index }) => this.start({ role: "vcpu", index, ...parts }));
  }

  load(word: number): number {
    return atomicLoad(this.words, word);
  }

  /** Polls until `isTrue`; fails when it is late. */
  async until(isTrue: () => boolean, says: string): Promise<void> {
    for (const deadline = Date.now() + DEADLINE_MS; !isTrue(); await sleep(1)) assert.ok(Date.now() < deadline, `${says}: not yet`);
  }

  async untilRunning(): Promise<void> {
    await this.until(() => this.vcpus.every(({ index }) => this.load(wordSteps(index)) > 0), "guest code runs");
  }

  /** Ends the vCPUs and checks that they were asked to. */
  async stop(ends: readonly Promise<unknown>[]): Promise<void> {
    makeAllVcpusRequest(this.vcpus, REQUEST_STOP);
    assert.deepEqual(await Promise.all(ends), ends.map(() => "stopped"));
    assert.equal(this.load(WORD_SPURIOUS_WAKES), 0);
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Lets a requester make its rounds against running vCPUs; answers the rounds it made. */
async function request(machine: Machine, job: Partial<Job>): Promise<number> {
  const ends = machine.startVcpus({ stepsBlind: job.stepsBlind ?? 20 });
  await machine.untilRunning();
  const answer = machine.start({ role: "requester", rounds: 100_000, ...job });
  const timer = setTimeout(() => atomicStore(machine.words, WORD_STOP, 1), ENOUGH_MS);
  const rounds = await answer as number;
  clearTimeout(timer);
  await machine.stop(ends);
  return rounds;
}

for (const form of ["flush", "flush-spinning"] as const) {
  test(`after a ${form} no vCPU uses a translation from before it`, { timeout: 60_000 }, async (context) => {
    const machine = new Machine(context);
    const rounds = await request(machine, { form });
    assert.equal(machine.load(WORD_STALE_USES), 0);
    const { made, waits, waitNs } = requestStatistics(machine.vcpus[0]!);
    assert.ok(rounds > 10 && made >= rounds && waits > 10 && waitNs > 0, `expected some of everything, got ${rounds} rounds, ${waits} waits`);
    for (const { index } of machine.vcpus) assert.ok(machine.load(wordFlushes(index)) > 5);
    if (form === "flush-spinning") assert.equal(machine.load(WORD_SLEEPING_WAITERS), 0);
  });
}

test("broken twin: a flush that does not wait leaves translations in use, so the counts above can fail", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  await request(machine, { form: "no-wait" });
  assert.ok(machine.load(WORD_STALE_USES) > 0);
});

test("who waits for a long run of guest code sleeps and is woken when it ends", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const rounds = await request(machine, { form: "flush", stepsBlind: 100_000, rounds: 200 });
  assert.ok(rounds > 5, `expected some rounds, got ${rounds}`);
  assert.equal(machine.load(WORD_STALE_USES), 0);
  assert.ok(machine.load(WORD_SLEEPING_WAITERS) > 0, "expected the guest to see a sleeping waiter");
  for (const vcpu of machine.vcpus) assert.equal(machine.load(vcpu.wordIndex(VCPU.guestEpochWaiters)), 0);
});

test("after waitUntilOutside every run of guest code has begun after the call", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const rounds = await request(machine, { form: "outside" });
  assert.ok(rounds > 10, `expected more rounds, got ${rounds}`);
  assert.equal(machine.load(WORD_STALE_RUNS), 0);
  for (const { index } of machine.vcpus) assert.equal(machine.load(wordFlushes(index)), 0);
});

test("no event is lost while a vCPU runs, halts and flushes", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const ends = machine.startVcpus({ halts: true, stepsBlind: 3 });
  const flusher = machine.start({ role: "requester", form: "flush", rounds: Infinity });
  const raiser = machine.start({ role: "raiser", rounds: 100_000 });
  const timer = setTimeout(() => atomicStore(machine.words, WORD_STOP, 1), DEADLINE_MS / 2);
  const rounds = await raiser as number;
  clearTimeout(timer);
  atomicStore(machine.words, WORD_STOP, 1);
  assert.ok(await flusher as number > 10);
  await machine.stop(ends);
  assert.equal(machine.load(WORD_STALE_USES), 0);
  assert.ok(rounds > 1000, `expected more than 1000 events to be taken, got ${rounds}`);
  context.diagnostic(`${rounds} events`);
});

/** Waits until a halted vCPU no longer looks around: it sleeps. */
async function untilAsleep(machine: Machine, vcpu: number): Promise<number> {
  for (let before = -1; ; await sleep(30)) {
    const looks = machine.load(wordLooks(vcpu));
    if (looks === before) return looks;
    before = looks;
  }
}

test("a flush neither wakes a halted vCPU nor waits for it, and comes before its next instruction", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const ends = machine.startVcpus({ halts: true });
  await machine.untilRunning();
  // Of every three HLTs one is entered with the bit of a flush set; the vCPU must sleep all the same.
  for (let halt = 1; halt <= 6; halt++) {
    const looks = await untilAsleep(machine, 0);
    const steps = machine.load(wordSteps(0));
    const flushes = machine.load(wordFlushes(0));
    for (let n = 0; n < 1000; n++) flushVcpuTlbs(machine.vcpus);
    await sleep(20);
    assert.ok(machine.load(wordLooks(0)) <= looks + 1, "expected the vCPU to sleep on");
    assert.deepEqual([machine.load(wordSteps(0)), machine.load(wordFlushes(0))], [steps, flushes]);
    atomicAdd(machine.words, wordRaised(0), 1);
    makeVcpusRequest(machine.vcpus, 1, REQUEST_EVENT);
    await machine.until(() => machine.load(wordTaken(0)) === halt, "the event is taken");
    assert.equal(machine.load(wordFlushes(0)) > flushes, true);
  }
  await machine.stop(ends);
});

test("the gate holds every vCPU out, running or halted, and lets all of them go", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const ends = [machine.start({ role: "vcpu", index: 0 }), machine.start({ role: "vcpu", index: 1, halts: true })];
  await machine.untilRunning();
  for (let round = 0; round < 100; round++) {
    makeAllVcpusRequest(machine.vcpus, REQUEST_PAUSE);
    if (round % 3 === 0) {
      clearRequest(machine.vcpus, REQUEST_PAUSE);
      makeAllVcpusRequest(machine.vcpus, REQUEST_PAUSE);
    }
    await machine.until(() => machine.vcpus.every(isAtGate), "both stand at the gate");
    const before = machine.vcpus.map(({ index }) => machine.load(wordSteps(index)));
    atomicAdd(machine.words, wordRaised(1), 1);
    makeAllVcpusRequest(machine.vcpus, REQUEST_EVENT);
    if (round % 10 === 0) await sleep(5);
    assert.deepEqual(machine.vcpus.map(({ index }) => machine.load(wordSteps(index))), before);
    assert.ok(machine.vcpus.every(isAtGate));
    assert.equal(flushVcpuTlbs(machine.vcpus), undefined);
    clearRequest(machine.vcpus, REQUEST_PAUSE);
    await machine.until(() => machine.load(wordSteps(0)) !== before[0] && machine.load(wordTaken(1)) === round + 1, "both go on");
  }
  makeAllVcpusRequest(machine.vcpus, REQUEST_PAUSE);
  await machine.until(() => machine.vcpus.every(isAtGate), "both stand at the gate");
  await machine.stop(ends);
});

test("a vCPU whose HLT is paused is still halted afterwards", { timeout: 60_000 }, async (context) => {
  const machine = new Machine(context);
  const ends = machine.startVcpus({ halts: true });
  await machine.untilRunning();
  await untilAsleep(machine, 0);
  const steps = machine.load(wordSteps(0));
  for (let round = 0; round < 20; round++) {
    makeAllVcpusRequest(machine.vcpus, REQUEST_PAUSE);
    await machine.until(() => machine.vcpus.every(isAtGate), "both stand at the gate");
    clearRequest(machine.vcpus, REQUEST_PAUSE);
    await untilAsleep(machine, 0);
  }
  assert.equal(machine.load(wordSteps(0)), steps);
  await machine.stop(ends);
});

test("a request that ends a sleep cannot be made without waking", (context) => {
  const { vcpus } = new Machine(context);
  assert.throws(() => makeAllVcpusRequest(vcpus, REQUEST_INIT | REQUEST_TLB_FLUSH, { wake: false }), /expected a request that wakes/);
  assert.equal(vcpus[0]!.requests, 0);
});

test("a vCPU outside guest mode is not waited for, and sees the bit before it enters", (context) => {
  const { vcpus } = new Machine(context);
  assert.equal(makeAllVcpusRequest(vcpus, REQUEST_TLB_FLUSH, { wait: true }), false);
  assert.equal(enterGuestMode(vcpus[0]!), false);
  assert.equal(guestModeEpoch(vcpus[0]!), undefined);
  assert.equal(vcpus[0]!.takeRequests(REQUEST_TLB_FLUSH), REQUEST_TLB_FLUSH);
  assert.equal(enterGuestMode(vcpus[0]!), true);
  const epoch = guestModeEpoch(vcpus[0]!);
  leaveGuestMode(vcpus[0]!);
  assert.equal(enterGuestMode(vcpus[0]!), true);
  assert.notEqual(guestModeEpoch(vcpus[0]!), epoch);
});

test("a mask names the vCPUs that are asked, and outside ones get no kick", (context) => {
  const { vcpus } = new Machine(context);
  makeVcpusRequest(vcpus, 2, REQUEST_EVENT);
  assert.deepEqual(vcpus.map(({ requests }) => requests), [0, REQUEST_EVENT]);
  assert.equal(waitUntilOutside(vcpus), false);
  assert.deepEqual(vcpus.map(({ requests }) => requests), [0, REQUEST_EVENT]);
});
