/** A thread of the stress of KVM's pages: a vCPU, both its hypervisor and its guest, or a mangler (kvm-stress.ts). */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicAnd, atomicCompareExchange, atomicLoad, atomicStore, waitWhile } from "#sync";
import { gfnOf } from "../../abi/address.js";
import type { Gfn } from "../../abi/address.js";
import {
  KVM_VCPU_FLUSH_TLB, KVM_VCPU_PREEMPTED, kvm_steal_time, MSR_KVM_PV_EOI_EN, MSR_KVM_STEAL_TIME, MSR_KVM_SYSTEM_TIME_NEW, pvclock_vcpu_time_info,
} from "../../abi/kvm/index.js";
import { RUNSTATE_blocked, RUNSTATE_running } from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import { Draws, tally } from "../../guest-page/testing/page-users.js";
import { PretendVcpu, wirePretendVcpu } from "../../guest-page/testing/pretend-vcpu.js";
import { SharedSwapStore } from "../../guest-page/testing/shared-swap-store.js";
import { Victim } from "../../guest-page/testing/victim.js";
import { HostMemory } from "../../host-memory/index.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { randomPauses } from "../../sync/jitter/random-pauses.raw.js";
import { KvmDomain } from "../kvm-domain.js";
import {
  CLOCK_OFFSET, CLOCK_PAGE, EOI_OFFSET, EOI_PAGE, FOREIGN_BASE, FOREIGN_SLOT, KEPT_BASE, KEPT_PAGES, LEFT_TAG, LOSSY_BASE, LOSSY_PAGES, LOSSY_SLOT,
  PAGES_EACH, STEAL_OFFSET, STEAL_PAGE, VCPUS, WORD_STOP, wordEoisGiven, wordEoisTaken, wordFlushesLeft, wordFlushesMade,
} from "./kvm-stress.words.js";
import type { KvmStressJob, KvmStressReport } from "./kvm-stress.words.js";

const VICTIM_FRAMES = 16;
const FLUSH_LOOKS = 20;
const CLOCK_LOOKS_MAX = 1000;
const CLOCK_WORDS = pvclock_vcpu_time_info.size / 4;

const job = workerData as KvmStressJob;
const host = HostMemory.attach(job.memory);
host.setSwapStore(new SharedSwapStore(job.swapFile));
wirePretendVcpu(host, VCPUS);
const { words } = host;

interface StressThread {
  readonly counts: Record<string, number>;
  step(): void;
  end(): void;
}

const keptPage = (vcpu: number, page: number): Gfn => gfnOf(KEPT_BASE + vcpu * PAGES_EACH + page);
const lossyPage = (vcpu: number, page: number): Gfn => gfnOf(LOSSY_BASE + vcpu * PAGES_EACH + page);

/** One vCPU: between two pieces of guest code its thread does what the run loop does of KVM's personality. */
class Vcpu implements StressThread {
  readonly counts: Record<string, number> = {};
  readonly #draws = new Draws(job.seed);
  readonly #processor = new PretendVcpu(host, job.index);
  readonly #domain: KvmDomain;
  readonly #apic = { hasSoleInterrupt: () => true, endInterrupt: () => void atomicAdd(words, wordEoisTaken(job.index), 1) };
  #nowNs = 0x1_0000_0000 * (1 + job.index);
  #runDelayNs = 0;
  /** Where the clock is; the places of it that it is not in hold LEFT_TAG. */
  #clock: Gfn = keptPage(job.index, CLOCK_PAGE);

  constructor() {
    this.#domain = new KvmDomain({
      memory: host.memory, clock: { nowNs: () => (this.#nowNs += 1_000_003) }, runDelayNs: () => (this.#runDelayNs += 1001),
      flushTlb: () => void atomicAdd(words, wordFlushesMade(job.index), 1),
    }, new GuestMemory(host));
    this.#register(MSR_KVM_STEAL_TIME, keptPage(job.index, STEAL_PAGE), STEAL_OFFSET);
    this.#register(MSR_KVM_PV_EOI_EN, keptPage(job.index, EOI_PAGE), EOI_OFFSET);
    this.#register(MSR_KVM_SYSTEM_TIME_NEW, this.#clock, CLOCK_OFFSET);
    this.#leaveClock(keptPage(job.index, CLOCK_PAGE + 1));
  }

  step(): void {
    const other = (job.index + 1) % VCPUS;
    switch (this.#draws.below(10)) {
      case 0: return this.#sleep(other);
      case 1:
      case 2: return this.#moveClock();
      case 3: return this.#useLossy();
      case 4: return this.#domain.resumed(job.index);
      case 5: return this.#lookAtClock(other);
      default: return this.#runGuest(other);
    }
  }

  /** What was left to this vCPU while it slept is made when it wakes. */
  end(): void {
    this.#domain.setRunstate(job.index, RUNSTATE_running);
    this.#domain.leaveGuest(job.index, this.#apic);
    this.#domain.close();
  }

  #register(msr: number, gfn: Gfn, offset: number): void {
    if (!this.#domain.writeMsr(job.index, msr, BigInt(gfn * 4096 + offset) | 1n)) throw new Error(`MSR 0x${msr.toString(16)} is refused`);
  }

  #sleep(other: number): void {
    this.#domain.setRunstate(job.index, RUNSTATE_blocked);
    // Some sleeps are over while the other one leaves its flush, most are long enough for it to be there.
    if (this.#draws.below(4) !== 0) waitWhile(words, WORD_STOP, 0, 1);
    for (let look = this.#draws.below(200); look > 0; look--) atomicLoad(words, wordFlushesLeft(other));
    this.#domain.setRunstate(job.index, RUNSTATE_running);
    tally(this.counts, "sleep");
  }

  /** Guest code with an interrupt in service, which it ends in memory or not. */
  #runGuest(other: number): void {
    this.#domain.enterGuest(job.index, this.#apic, -1);
    if (this.#draws.below(2) === 0) this.#giveEoi();
    this.#leaveFlush(other);
    this.#domain.leaveGuest(job.index, this.#apic);
  }

  #giveEoi(): void {
    const isGiven = this.#processor.run(keptPage(job.index, EOI_PAGE), (frame) => (atomicAnd(words, frame + (EOI_OFFSET >> 2), ~1) & 1) !== 0);
    if (isGiven !== true) return tally(this.counts, "no EOI was offered");
    atomicAdd(words, wordEoisGiven(job.index), 1);
    tally(this.counts, "EOI");
  }

  /** As the guest's kernel does instead of an IPI: only a vCPU that does not run is left a flush. */
  #leaveFlush(other: number): void {
    for (let look = 0; look < FLUSH_LOOKS; look++) {
      const isLeft = this.#processor.run(keptPage(other, STEAL_PAGE), (frame) =>
        atomicCompareExchange(words, frame + ((STEAL_OFFSET + kvm_steal_time.preempted) >> 2), KVM_VCPU_PREEMPTED, KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB) === KVM_VCPU_PREEMPTED);
      if (isLeft !== true) continue;
      atomicAdd(words, wordFlushesLeft(other), 1);
      return tally(this.counts, "flush left");
    }
    tally(this.counts, "the other runs");
  }

  /** The clock goes to another page; nothing may be written where it was. */
  #moveClock(): void {
    const from = this.#clock;
    const place = this.#draws.below(2);
    this.#clock = keptPage(job.index, CLOCK_PAGE + place);
    if (this.#clock === from) return;
    this.#processor.run(this.#clock, (frame) => {
      for (let at = 0; at < CLOCK_WORDS; at++) {
        const found = atomicLoad(words, frame + (CLOCK_OFFSET >> 2) + at);
        if (found !== LEFT_TAG) throw new Error(`where the clock of vCPU ${job.index} is no more, it was written: word ${at} is 0x${found.toString(16)}`);
        atomicStore(words, frame + (CLOCK_OFFSET >> 2) + at, 0);
      }
    });
    this.#register(MSR_KVM_SYSTEM_TIME_NEW, this.#clock, CLOCK_OFFSET);
    this.#leaveClock(from);
    tally(this.counts, "clock moved");
  }

  #leaveClock(gfn: Gfn): void {
    this.#processor.run(gfn, (frame) => {
      for (let at = 0; at < CLOCK_WORDS; at++) atomicStore(words, frame + (CLOCK_OFFSET >> 2) + at, LEFT_TAG);
    });
  }

  /** Areas in memory that comes and goes: nothing is known of what they hold, but that nobody else's frame is written. */
  #useLossy(): void {
    const page = lossyPage(job.index, this.#draws.below(PAGES_EACH));
    this.#register(MSR_KVM_SYSTEM_TIME_NEW, page, CLOCK_OFFSET);
    this.#register(MSR_KVM_PV_EOI_EN, page, EOI_OFFSET);
    for (let turn = this.#draws.below(20); turn > 0; turn--) {
      this.#domain.resumed(job.index);
      this.#domain.enterGuest(job.index, { hasSoleInterrupt: () => true, endInterrupt: () => tally(this.counts, "EOI taken in memory that goes") }, -1);
      this.#domain.leaveGuest(job.index, { hasSoleInterrupt: () => true, endInterrupt: () => tally(this.counts, "EOI taken in memory that goes") });
    }
    this.#register(MSR_KVM_PV_EOI_EN, keptPage(job.index, EOI_PAGE), EOI_OFFSET);
    this.#register(MSR_KVM_SYSTEM_TIME_NEW, this.#clock, CLOCK_OFFSET);
    tally(this.counts, "lossy areas");
  }

  /** As the guest reads the clock of any vCPU: what it accepts must be of one piece. */
  #lookAtClock(other: number): void {
    const gfn = keptPage(other, CLOCK_PAGE);
    for (let look = 0; look < CLOCK_LOOKS_MAX; look++) {
      const read = this.#processor.run(gfn, (frame) => Array.from({ length: CLOCK_WORDS + 1 }, (_, at) => atomicLoad(words, frame + (CLOCK_OFFSET >> 2) + (at % CLOCK_WORDS))));
      const [version = 1, , timestampLow, timestampHigh, timeLow, timeHigh] = read ?? [];
      if (read?.includes(LEFT_TAG) === true) return tally(this.counts, "the other's clock is elsewhere");
      if ((version & 1) !== 0 || read?.[CLOCK_WORDS] !== version) continue;
      if (timestampLow !== timeLow || timestampHigh !== timeHigh) throw new Error(`a torn clock: version ${version}, ${read}`);
      return tally(this.counts, "clock read");
    }
    tally(this.counts, "clock always in change");
  }
}

/** Moves, swaps, merges; takes away what may be; gets the freed frames at once and looks for late writes to them. */
class Mangler implements StressThread {
  readonly counts: Record<string, number> = {};
  readonly #draws = new Draws(job.seed);
  readonly #victim = new Victim(host, job.index);
  readonly #kept = Array.from({ length: KEPT_PAGES }, (_, page) => gfnOf(KEPT_BASE + page));
  readonly #all = [...this.#kept, ...Array.from({ length: LOSSY_PAGES }, (_, page) => gfnOf(LOSSY_BASE + page))];
  readonly #changes: readonly (readonly [name: string, change: () => void])[] = [
    ["move", () => void host.moveFrames(this.#some())],
    ["move", () => void host.moveFrames(this.#some())],
    ["swap out", () => void host.swapOut(this.#some())],
    ["merge", () => void host.mergeEqualPages()],
    ["discard", () => void host.discardPages(gfnOf(LOSSY_BASE + this.#draws.below(LOSSY_PAGES)), 1)],
    ["discard without sleep", () => void host.discardPages(LOSSY_BASE, LOSSY_PAGES, { mustNotSleep: true })],
    ["remap", () => void host.remapPages(gfnOf(LOSSY_BASE + this.#draws.below(LOSSY_PAGES)), [new Uint8Array(4096)])],
    ["replace memslot", () => this.#replaceSlot()],
    ["offline", () => this.#offline()],
  ];

  step(): void {
    const [name, change] = this.#changes[this.#draws.below(this.#changes.length)]!;
    change();
    tally(this.counts, name);
    for (let frame = this.#draws.below(8); frame > 0; frame--) this.#victim.takeOne(VICTIM_FRAMES);
    this.#victim.check();
    // The mutation lock is not fair: leave it to the faults for a while.
    waitWhile(words, WORD_STOP, 0, 1);
  }

  end(): void {
    this.#victim.releaseAll();
    this.counts["frames given to the victim"] = this.#victim.taken;
  }

  #some(): Gfn[] {
    return Array.from({ length: 1 + this.#draws.below(12) }, () => this.#all[this.#draws.below(this.#all.length)]!);
  }

  #replaceSlot(): void {
    host.removeMemslot(LOSSY_SLOT);
    host.addMemslot({ id: FOREIGN_SLOT, baseGfn: FOREIGN_BASE, pageCount: LOSSY_PAGES });
    host.removeMemslot(FOREIGN_SLOT);
    host.addMemslot({ id: LOSSY_SLOT, baseGfn: LOSSY_BASE, pageCount: LOSSY_PAGES });
  }

  #offline(): void {
    const { blocks } = host.statistics();
    const { index } = blocks[this.#draws.below(blocks.length)]!;
    if (host.offlineBlock(index).result !== "refused") host.onlineBlock(index);
  }
}

function run(): KvmStressReport {
  const thread = job.role === "vcpu" ? new Vcpu() : new Mangler();
  try {
    while (atomicLoad(words, WORD_STOP) === 0) thread.step();
    thread.end();
    return { role: job.role, counts: thread.counts };
  } catch (error) {
    atomicStore(words, WORD_STOP, 1);
    return { role: job.role, counts: thread.counts, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

if (job.isPaused) setInterposer(randomPauses(job.seed));
const report = run();
setInterposer(undefined);
host.detach();
parentPort!.postMessage(report);
