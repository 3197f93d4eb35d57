/**
 * Threads of requests.test.ts. "vcpu" is the real run loop around a pretended core; "requester" makes requests and checks what it was
 * promised; "raiser" raises events at vCPU 0 and waits until each is taken.
 */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicLoad, atomicStore, waitWhile } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, EXIT_REQUEST, REQUEST_EVENT, REQUEST_TLB_FLUSH, VCPU } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/index.js";
import { runVcpu } from "../run-loop.js";
import { createTestVcpu, type TestVcpu } from "../test-vcpu.js";
import {
  WORD_GENERATION, WORD_RETIRED, WORD_RETIRED_RUNS, WORD_SLEEPING_WAITERS, WORD_SPURIOUS_WAKES, WORD_STALE_RUNS, WORD_STALE_USES, WORD_STOP, wordFlushes,
  wordLooks, wordRaised, wordSteps, wordTaken,
} from "./requests.words.js";
import { flushVcpuTlbs, makeAllVcpusRequest, waitUntilOutside } from "./vcpu-requests.js";

/** What a thread does. */
export interface Job {
  readonly memory: WebAssembly.Memory;
  readonly role: "vcpu" | "requester" | "raiser";
  readonly vcpuCount: number;
  /** vCPU: its index, the steps of guest code behind which it looks for requests, whether its guest halts. */
  readonly index?: number;
  readonly stepsBlind?: number;
  readonly halts?: boolean;
  /** Requester: which promise it makes use of, and how many rounds at most. */
  readonly form?: "flush" | "flush-spinning" | "no-wait" | "outside";
  readonly rounds?: number;
}

const FLAG_IF = 0x200n;
const job = workerData as Job;
const words = new VcpuState(job.memory, 0).words;

/** Guest code: uses a translation that only a flush renews, and takes its events. */
class PretendedGuest {
  #translation = 0;
  #halts = 0;
  #isHalted = false;
  readonly vcpu: TestVcpu;

  constructor(readonly index: number, readonly stepsBlind: number, readonly halts: boolean) {
    this.vcpu = createTestVcpu({
      memory: job.memory, index,
      core: { run: () => this.#run(), flushFrames: () => this.#flush() },
      hypercalls: { callbackVector: () => 0xf3, upcallPending: () => this.#isEventPending() },
      machine: { nowNs: () => atomicAdd(words, wordLooks(index), 1) & 0 },
    });
    this.vcpu.state.writeU64(VCPU.rflags, 2n | FLAG_IF);
  }

  #isEventPending(): boolean {
    return atomicLoad(words, wordRaised(this.index)) !== atomicLoad(words, wordTaken(this.index));
  }

  #flush(): void {
    this.#translation = atomicLoad(words, WORD_GENERATION);
    atomicAdd(words, wordFlushes(this.index), 1);
  }

  #run(): number {
    if (this.#isHalted && !this.#isEventPending()) atomicAdd(words, WORD_SPURIOUS_WAKES, 1);
    this.#isHalted = false;
    const begunAt = atomicLoad(words, WORD_GENERATION);
    for (let step = 1; step <= 200_000; step++) {
      // Both are judged by the run itself, while it is in guest mode: what it finds retired was retired during a use of it.
      if (atomicLoad(words, WORD_RETIRED) > this.#translation) atomicAdd(words, WORD_STALE_USES, 1);
      if (atomicLoad(words, WORD_RETIRED_RUNS) > begunAt) atomicAdd(words, WORD_STALE_RUNS, 1);
      if (atomicLoad(words, this.vcpu.state.wordIndex(VCPU.guestEpochWaiters)) !== 0) atomicAdd(words, WORD_SLEEPING_WAITERS, 1);
      atomicAdd(words, wordSteps(this.index), 1);
      if (this.#isEventPending()) atomicStore(words, wordTaken(this.index), atomicLoad(words, wordRaised(this.index)));
      if (step % this.stepsBlind !== 0) continue;
      if (this.vcpu.state.requests !== 0) return EXIT_REQUEST;
      if (this.halts) return this.#halt();
    }
    return EXIT_BUDGET;
  }

  /** A flush comes just before HLT now and then: its bit is set when the sleep begins. */
  #halt(): number {
    this.#isHalted = true;
    if (++this.#halts % 3 === 0) this.vcpu.state.postRequest(REQUEST_TLB_FLUSH);
    return EXIT_HLT;
  }
}

/** Rounds of: change something, ask, and from then on take it for granted that nobody uses the old state. */
function makeRequests(vcpus: readonly VcpuState[]): number {
  let waits = 0;
  let round = 0;
  for (; round < job.rounds! && atomicLoad(words, WORD_STOP) === 0; round++) {
    const generation = atomicAdd(words, WORD_GENERATION, 1) + 1;
    if (job.form === "outside") {
      waits += waitUntilOutside(vcpus) ? 1 : 0;
      atomicStore(words, WORD_RETIRED_RUNS, generation);
      continue;
    }
    if (job.form === "no-wait") makeAllVcpusRequest(vcpus, REQUEST_TLB_FLUSH);
    else flushVcpuTlbs(vcpus, { mustNotSleep: job.form === "flush-spinning" });
    atomicStore(words, WORD_RETIRED, generation);
  }
  return round;
}

/** Each event must be taken, whether the vCPU was running, on its way to sleep, or asleep. */
function raiseEvents(vcpu: VcpuState): number {
  let round = 0;
  for (; round < job.rounds! && atomicLoad(words, WORD_STOP) === 0; round++) {
    const event = atomicAdd(words, wordRaised(0), 1) + 1;
    makeAllVcpusRequest([vcpu], REQUEST_EVENT);
    for (let spin = 0; atomicLoad(words, wordTaken(0)) !== event; spin++) {
      // Nobody notifies this word: let the other thread have the processor.
      if (spin % 1000 === 999) waitWhile(words, wordTaken(0), event - 1, 1);
      if (atomicLoad(words, WORD_STOP) !== 0) return round;
    }
  }
  return round;
}

function work(): unknown {
  if (job.role === "vcpu") return runVcpu(new PretendedGuest(job.index!, job.stepsBlind ?? 1, job.halts ?? false).vcpu).kind;
  const vcpus = Array.from({ length: job.vcpuCount }, (_, index) => new VcpuState(job.memory, index));
  return job.role === "requester" ? makeRequests(vcpus) : raiseEvents(vcpus[0]!);
}

parentPort!.postMessage(work());
