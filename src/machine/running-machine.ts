/**
 * The shared memory and the threads of one VM, from a boot image to the last thread's end. Knows nothing of agents, streams or
 * options; tells its owner what the threads post.
 */
import { gfnOf, gfnOfGpa, gpaOf } from "../abi/address.js";
import { PAGE_SIZE, REQUEST_EVENT, REQUEST_PAUSE, REQUEST_STOP, STARTUP_WAITING } from "../abi/layout.js";
import { RUNSTATE_blocked } from "../abi/xen/index.js";
import { LockStepReport, sumLockStep, type Tier, VcpuState } from "../cpu/index.js";
import { clearRequest, isAtGate, makeAllVcpusRequest, type PersonalityName, requestStatistics, VcpuCounters, type VcpuOutcome } from "../exit/index.js";
import { GuestMemory, type PageAccess } from "../guest-page/index.js";
import { HostMemory } from "../host-memory/index.js";
import type { DomainConfiguration } from "../hypercall/index.js";
import { createPipe, monotonicNs, type PipeEnd, startThread, type SwapFile, SwapFileSlots, type Thread } from "../platform/node/index.js";
import { addApicAccessPage, announceApicChanges } from "./apic-access.js";
import { type BootImage, forEachPart } from "./boot/index.js";
import { ByteRing } from "./byte-ring.raw.js";
import { ControlBlock } from "./control-block.raw.js";
import { InvalidOptionError } from "./errors.js";
import { VcpuDebugger } from "./gdb/vcpu-debugger.js";
import type { KeptCode } from "./kept-code.js";
import { MemoryClient, type MemoryMessage, type MemoryRequest, StormBlock, type StormRate } from "./memory/index.js";
import type { DeviceMessage, ThreadStart, TranslatorThreadStart, VcpuMessage, VcpuThreadStart } from "./messages.js";
import { type GuestInterface, initialiseGuest } from "./personality.js";
import type { TaskLayout, VcpuSamples } from "./profile/index.js";
import { addressTranslationStats, type MachineStats, pageStatsFrom, sumExits, tierStats } from "./stats.js";
import { vcpuFlush } from "./vcpu-flush.js";
import { reportVcpu, type VcpuReport } from "./vcpu-report.js";

/** How long a thread may take to end by itself before it is ended. */
const THREAD_GRACE_MS = 2000;

/** What a machine tells its owner. Outcome "failed": a thread of ours threw. */
export interface MachineEvents {
  onOutput(console: number, bytes: Uint8Array): void;
  onInputTaken(console: number): void;
  onDebugOutput(bytes: Uint8Array): void;
  /** The guest waits for memory for this reason; undefined = it goes on. */
  onStall(reason: string | undefined): void;
  /** All threads are gone; nothing is told after this. */
  onEnded(end: MachineEnd): void;
}

/** How a machine ended. */
export type MachineEnd = { readonly outcome: VcpuOutcome } | { readonly failure: unknown };

/** What a machine is made from. */
export interface MachineParts {
  readonly image: BootImage;
  readonly module: WebAssembly.Module;
  /** Where regions are kept; undefined = nowhere. */
  readonly kept?: KeptCode | undefined;
  /** Takes the machine code of the module at the end; undefined = it is not wanted. */
  readonly keepCore?: ((code: Uint8Array) => void) | undefined;
  readonly vcpuCount: number;
  readonly memoryBytes: number;
  /** Most host memory for the guest's pages; undefined = no limit. */
  readonly memoryLimitBytes: number | undefined;
  /** Belongs to the machine from now on. */
  readonly swap: SwapFile | undefined;
  readonly storm: { readonly rate: StormRate; readonly seed: number };
  readonly pageAccess: PageAccess;
  readonly personality: PersonalityName;
  readonly tier: Tier;
  /** As VcpuThreadStart.sampling. */
  readonly sampling: { readonly tasks: TaskLayout | undefined } | undefined;
  /** The vCPUs stand from before their first instruction, until a debugger lets them go. */
  readonly startsStopped: boolean;
  /** Every how manyth entry into translated code is checked, 0 = none. */
  readonly lockStep: number;
  readonly events: MachineEvents;
}

/** A machine whose guest begins to run as soon as its threads are there. */
export class RunningMachine {
  /** Operations on the guest's memory. */
  readonly memory: MemoryClient;
  /** A debugger's hold on the vCPUs. */
  readonly debugger: VcpuDebugger;
  readonly #host: HostMemory;
  readonly #guest: GuestInterface;
  readonly #control: ControlBlock;
  readonly #vcpus: readonly VcpuState[];
  readonly #counters: readonly VcpuCounters[];
  readonly #events: MachineEvents;
  readonly #parts: Omit<MachineParts, "image">;
  readonly #storm: StormBlock;
  readonly #originNs = monotonicNs();
  readonly #vcpuThreads: Thread[] = [];
  readonly #deviceThread: Thread;
  /** Not there before it is needed. */
  #memoryThread: Thread | undefined;
  #translatorThread: Thread | undefined;
  readonly #samples: (VcpuSamples | undefined)[] = [];
  #stall: string | undefined;
  #end: MachineEnd | undefined;
  #pausedWaiters: (() => void)[] = [];

  constructor(parts: MachineParts) {
    const { image, ...rest } = parts;
    const { vcpuCount } = rest;
    // The image is in guest memory soon, and need not be here as well.
    this.#parts = rest;
    this.#events = parts.events;
    this.#host = HostMemory.create({ guestMemoryBytes: backedBytes(image), vcpuCount, lockStep: parts.lockStep });
    const { memory } = this.#host;
    this.#control = new ControlBlock(memory);
    this.#control.setOnlineVcpus(1);
    this.#vcpus = Array.from({ length: vcpuCount }, (_, index) => new VcpuState(memory, index));
    this.#counters = this.#vcpus.map((vcpu) => new VcpuCounters(memory, vcpu.index));
    this.#host.setVcpuFlush(vcpuFlush(this.#vcpus));
    announceApicChanges(this.#host, this.#vcpus);
    this.#host.setClock(monotonicNs);
    this.#limitMemory(parts);
    this.#storm = new StormBlock(memory);
    this.#storm.initialise(parts.storm.rate, parts.storm.seed);
    const guest = new GuestMemory(this.#host, { pageAccess: parts.pageAccess });
    loadImage(this.#host, guest, image);
    addApicAccessPage(this.#host);
    this.#guest = initialiseGuest(parts.personality, {
      host: this.#host, guest, vcpuCount,
      clock: { nowNs: () => this.nowNs() },
      kick: (index) => this.#vcpus[index]!.postRequest(REQUEST_EVENT),
      ringDevice: () => this.#control.ringDoorbell(),
    }, domainConfiguration(image, Date.now() - this.nowNs() / 1e6));
    this.#vcpus[0]!.resetForPvh(image.entry, image.startInfoGpa);
    for (const vcpu of this.#vcpus.slice(1)) vcpu.startup = STARTUP_WAITING;
    this.debugger = new VcpuDebugger({ memory, vcpus: this.#vcpus, send: (index, request) => this.#vcpuThreads[index]!.post(request) });
    if (parts.startsStopped) this.debugger.requestStop();
    this.#deviceThread = this.#startDevices();
    this.memory = new MemoryClient((request) => this.#sendToMemory(request));
    // Frames run out, and pages move by themselves, with these only; all else is asked of us.
    if (parts.memoryLimitBytes !== undefined || parts.storm.rate !== 0) this.#memoryThread = this.#startMemory();
    else this.#startVcpus();
  }

  /** Nanoseconds since the start. */
  nowNs(): number {
    return monotonicNs() - this.#originNs;
  }

  /** The host's end of the input ring of console `index` (0..INPUT_RING_COUNT-1). */
  inputRing(index: number): ByteRing {
    return new ByteRing(this.#host.memory, index);
  }

  ringDoorbell(): void {
    this.#control.ringDoorbell();
  }

  /** `lengthBytes` of console `index`'s output are dealt with. */
  acknowledge(index: number, lengthBytes: number): void {
    if (lengthBytes === 0) return;
    this.#control.acknowledge(index, lengthBytes);
    this.#control.ringDoorbell();
  }

  /** Asks the guest's kernel to power off. */
  requestShutdown(): void {
    this.#control.requestShutdown();
  }

  /** Stops the guest where it is. The end comes as onEnded. */
  stop(): void {
    this.#finish({ outcome: { kind: "stopped" } });
  }

  /** Resolves when every vCPU stands still outside guest mode, or was let go again, or the machine has ended. */
  async pause(): Promise<void> {
    if (this.#end !== undefined) return;
    makeAllVcpusRequest(this.#vcpus, REQUEST_PAUSE);
    if (this.#isPaused()) return;
    await new Promise<void>((resolve) => this.#pausedWaiters.push(resolve));
  }

  resume(): void {
    clearRequest(this.#vcpus, REQUEST_PAUSE);
    this.#releasePausedWaiters();
  }

  /** Looks at every vCPU. */
  vcpus(): readonly VcpuReport[] {
    return this.#vcpus.map((vcpu, index) =>
      reportVcpu(vcpu, this.#guest.runstate(index) === RUNSTATE_blocked, this.#counters[index]!.get("haltedNs")));
  }

  stats(): Omit<MachineStats, "bootMs"> {
    // Before the pages: a move of the storm is counted there first, so no look shows more moves than frames that moved.
    const storm = this.#storm.stats();
    const memory = this.#host.statistics();
    return {
      uptimeMs: this.nowNs() / 1e6,
      ...tierStats(this.#vcpus),
      addressTranslation: addressTranslationStats(this.#vcpus),
      lockStep: this.#parts.lockStep === 0 ? undefined : sumLockStep(this.#vcpus.map((vcpu) => new LockStepReport(vcpu).figures)),
      memory: {
        guestBytes: this.#parts.memoryBytes,
        pagesTouched: memory.guestPagesPresent,
        framesInUse: memory.framesInUse,
        framesTotal: memory.framesTotal,
        limitBytes: this.#parts.memoryLimitBytes,
        stall: this.#stall,
      },
      pages: pageStatsFrom({ ...this.#requestCounts(), ...this.#host.pageStatistics() }),
      storm,
      exits: sumExits(this.#counters.map((counters) => counters.exits())),
      hypercalls: this.#guest.hypercallCounts(),
      vcpus: this.#vcpus.map((vcpu, index) => ({
        instructions: vcpu.instructionsRetired,
        haltedMs: this.#counters[index]!.get("haltedNs") / 1e6,
        timersFired: this.#counters[index]!.get("timersFired"),
        refusedMsrs: this.#counters[index]!.get("refusedMsrs"),
        unclaimedPorts: this.#counters[index]!.get("unclaimedPorts"),
        unclaimedMmio: this.#counters[index]!.get("unclaimedMmio"),
      })),
    };
  }

  /** What has been sampled, by vCPU; complete when the machine has ended, but for threads that failed. */
  samples(): readonly (VcpuSamples | undefined)[] {
    return this.#vcpus.map((_, index) => this.#samples[index]);
  }

  #requestCounts(): Record<string, number> {
    const { made, waits, waitNs } = requestStatistics(this.#vcpus[0]!);
    return { requests: made, vcpusWaitedFor: waits, requestWaitNs: waitNs };
  }

  #threadStart(): ThreadStart {
    const { swap, pageAccess } = this.#parts;
    return {
      memory: this.#host.memory, originNs: this.#originNs, vcpuCount: this.#vcpus.length, swap: swap?.share, pageAccess,
      personality: this.#parts.personality,
    };
  }

  #limitMemory({ memoryLimitBytes, swap }: MachineParts): void {
    if (swap !== undefined) this.#host.setSwapStore(new SwapFileSlots(swap.share));
    if (memoryLimitBytes !== undefined) this.#host.setFrameLimit(Math.floor(memoryLimitBytes / PAGE_SIZE));
  }

  #startMemory(): Thread {
    const thread = startThread<MemoryMessage>(new URL("./memory-worker.js", import.meta.url), this.#threadStart(), {
      onMessage: (message) => this.#takeMemoryMessage(message),
      onError: (failure) => this.#finish({ failure }),
    });
    void thread.ended.then(() => this.#finish({ failure: new Error("the memory thread ended without a word") }));
    return thread;
  }

  #sendToMemory(request: MemoryRequest): void {
    // The end is about to fail the request.
    if (this.#end !== undefined) return;
    this.#memoryThread ??= this.#startMemory();
    this.#memoryThread.post(request);
    this.#host.wakeMemoryThread();
  }

  /** A storm is there before the guest's first instruction: the vCPUs wait for the memory thread if it starts with them. */
  #takeMemoryMessage(message: MemoryMessage): void {
    if (message.type === "done") this.memory.take(message.id, message.result);
    else if (message.type === "ready") {
      if (this.#vcpuThreads.length === 0) this.#startVcpus();
    }
    else {
      this.#stall = message.reason;
      this.#events.onStall(message.reason);
    }
  }

  #startDevices(): Thread {
    return startThread<DeviceMessage>(new URL("./device-worker.js", import.meta.url), this.#threadStart(), {
      onMessage: (message) => {
        if (message.type === "output") this.#events.onOutput(message.console, message.bytes);
        else this.#events.onInputTaken(message.console);
      },
      onError: (failure) => this.#finish({ failure }),
    });
  }

  /** Starts the translator's thread, if there is to be one. Returns the vCPUs' ends of the pipes to it. */
  #startTranslator(): readonly PipeEnd[] {
    if (this.#parts.tier === "interpreter") return [];
    const pipes = this.#vcpus.map(() => createPipe());
    const data: TranslatorThreadStart = { memory: this.#host.memory, vcpus: pipes.map(([, end]) => end), kept: this.#parts.kept, tier: this.#parts.tier };
    this.#translatorThread = startThread(new URL("./translator-worker.js", import.meta.url), data, {
      // It has said its last word.
      onMessage: () => void this.#translatorThread?.terminate(),
      onError: (failure) => this.#finish({ failure }),
    }, data.vcpus);
    return pipes.map(([end]) => end);
  }

  #startVcpus(): void {
    if (this.#end !== undefined) return;
    const translations = this.#startTranslator();
    for (const { index } of this.#vcpus) {
      const pipe = translations[index];
      const { module, keepCore, tier, sampling } = this.#parts;
      const data: VcpuThreadStart = { ...this.#threadStart(), module, wantsCode: keepCore !== undefined && index === 0, vcpuIndex: index, tier, translations: pipe, sampling };
      const thread = startThread<VcpuMessage>(new URL("./vcpu-worker.js", import.meta.url), data, {
        onMessage: (message) => this.#takeVcpuMessage(message),
        onError: (failure) => this.#finish({ failure }),
      }, pipe === undefined ? [] : [pipe]);
      this.#vcpuThreads.push(thread);
      void thread.ended.then(() => this.#finish({ failure: new Error(`the thread of vCPU ${index} ended without a word`) }));
    }
  }

  #takeVcpuMessage(message: VcpuMessage): void {
    if (message.type === "debug") this.#events.onDebugOutput(message.bytes);
    else if (message.type === "code") this.#parts.keepCore?.(message.code);
    else if (message.type === "samples") this.#samples[message.vcpuIndex] = message.samples;
    else if (message.type === "ended") this.#finish({ outcome: message.outcome });
    else if (message.type === "debug-answer") this.debugger.take(message.id, message.result);
    else {
      this.debugger.look();
      if (this.#isPaused()) this.#releasePausedWaiters();
    }
  }

  /** A message "paused" only says that it is time to look: it may be of a pause that is over. */
  #isPaused(): boolean {
    return this.#vcpus.every((vcpu) => (vcpu.requests & REQUEST_PAUSE) !== 0 && isAtGate(vcpu));
  }

  #releasePausedWaiters(): void {
    for (const resolve of this.#pausedWaiters.splice(0)) resolve();
  }

  /** The first end counts; then the threads go, the device thread last, so that it can deliver what the guest wrote. */
  #finish(end: MachineEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#host.stop();
    for (const vcpu of this.#vcpus) vcpu.postRequest(REQUEST_STOP);
    void this.#endThreads();
  }

  /** Lets the translator keep what it has made. */
  async #endTranslator(): Promise<void> {
    if (this.#translatorThread === undefined) return;
    this.#translatorThread.post("end");
    await endThread(this.#translatorThread);
  }

  async #endThreads(): Promise<void> {
    await Promise.all(this.#vcpuThreads.map(endThread));
    await this.#endTranslator();
    this.#control.stopDevices();
    await Promise.all([this.#memoryThread, this.#deviceThread].map((thread) => thread && endThread(thread)));
    this.#parts.swap?.close();
    this.#releasePausedWaiters();
    this.#events.onEnded(this.#end!);
  }
}

/** Waits until `thread` has ended, by force after a while. */
async function endThread(thread: Thread): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const isLate = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(true), THREAD_GRACE_MS)));
  if (await Promise.race([thread.ended.then(() => false), isLate])) await thread.terminate();
  clearTimeout(timer);
}

function backedBytes(image: BootImage): number {
  return image.memslots.reduce((sum, slot) => sum + slot.lengthBytes, 0);
}

function domainConfiguration({ ram, specialPages }: BootImage, startMs: number): DomainConfiguration {
  const pageCounts = ram.map((range) => range.lengthBytes / PAGE_SIZE);
  return {
    consoleGfn: gfnOf(specialPages.console),
    xenstoreGfn: gfnOf(specialPages.xenstore),
    memoryPages: pageCounts.reduce((sum, count) => sum + count, 0),
    highestGfn: gfnOf(Math.max(...ram.map((range) => (range.gpa + range.lengthBytes) / PAGE_SIZE)) - 1),
    wallClockMs: startMs,
    guestHandle: globalThis.crypto.getRandomValues(new Uint8Array(16)),
  };
}

function loadImage(host: HostMemory, guest: GuestMemory, image: BootImage): void {
  for (const [id, slot] of image.memslots.entries()) {
    host.addMemslot({ id, baseGfn: gfnOf(slot.gpa / PAGE_SIZE), pageCount: slot.lengthBytes / PAGE_SIZE });
  }
  for (const { gpa, bytes } of image.pieces) forEachPart(bytes, (part, position) => loadPart(host, guest, gpa + position, part));
  // What the host writes before the guest runs has to fit, too.
  const wanted = host.needsReclaim();
  const failure = wanted === 0 ? undefined : host.reclaim(wanted).failure;
  if (failure !== undefined) throw noRoom(failure);
}

/** Writes a part of a piece, page by page. Zeros are there already: a ninth of the pages of Debian's kernel, which need no frame yet. */
function loadPart(host: HostMemory, guest: GuestMemory, gpa: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const end = Math.min(bytes.length, done + PAGE_SIZE - ((gpa + done) % PAGE_SIZE));
    if (!isZero(bytes, done, end)) loadInPage(host, guest, gpa + done, bytes.subarray(done, end));
    done = end;
  }
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  while (from < to && bytes[from] === 0) from++;
  return from === to;
}

/** Writes a part of one page. The host's memory may be short: the page is asked for first, because a write waits until there is room. */
function loadInPage(host: HostMemory, guest: GuestMemory, gpa: number, bytes: Uint8Array): void {
  const result = host.faultIn(gfnOfGpa(gpaOf(gpa)), true);
  if (result === "stalled") throw noRoom(host.stall ?? "the swap file is full");
  if (result !== "mapped" || !guest.write(gpaOf(gpa), bytes)) throw new Error(`expected memory for the boot piece at 0x${gpa.toString(16)}`);
}

function noRoom(why: string): InvalidOptionError {
  return new InvalidOptionError(`the memory limit and the swap file have no room for what is booted: ${why}`);
}
