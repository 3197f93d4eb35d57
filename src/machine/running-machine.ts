/**
 * The shared memory and the threads of one VM, from a boot image to the last thread's end. Knows nothing of agents, streams or
 * options; tells its owner what the threads post.
 */
import { gfnOf, gpaOf } from "../abi/address.js";
import { PAGE_SIZE, REQUEST_EVENT, REQUEST_PAUSE, REQUEST_STOP, STARTUP_WAITING } from "../abi/layout.js";
import { VcpuState } from "../cpu/index.js";
import { type PersonalityName, VcpuCounters, type VcpuOutcome } from "../exit/index.js";
import { GuestMemory } from "../guest-page/index.js";
import { HostMemory } from "../host-memory/index.js";
import type { DomainConfiguration } from "../hypercall/index.js";
import { monotonicNs, startThread, type Thread } from "../platform/node/index.js";
import type { BootImage } from "./boot/index.js";
import { ByteRing } from "./byte-ring.raw.js";
import { ControlBlock } from "./control-block.raw.js";
import type { DeviceMessage, ThreadStart, VcpuMessage, VcpuThreadStart } from "./messages.js";
import { type GuestInterface, initialiseGuest } from "./personality.js";
import { type MachineStats, sumExits } from "./stats.js";
import { flushVcpuTlbs } from "./vcpu-requests.js";

/** How long a thread may take to end by itself before it is ended. */
const THREAD_GRACE_MS = 2000;

/** What a machine tells its owner. Outcome "failed": a thread of ours threw. */
export interface MachineEvents {
  onOutput(console: number, bytes: Uint8Array): void;
  onInputTaken(console: number): void;
  onDebugOutput(bytes: Uint8Array): void;
  /** All threads are gone; nothing is told after this. */
  onEnded(end: MachineEnd): void;
}

/** How a machine ended. */
export type MachineEnd = { readonly outcome: VcpuOutcome } | { readonly failure: unknown };

/** What a machine is made from. */
export interface MachineParts {
  readonly image: BootImage;
  readonly module: WebAssembly.Module;
  readonly vcpuCount: number;
  readonly memoryBytes: number;
  readonly personality: PersonalityName;
  readonly events: MachineEvents;
}

/** A machine whose guest runs from the moment it is made. */
export class RunningMachine {
  readonly #host: HostMemory;
  readonly #guest: GuestInterface;
  readonly #personality: PersonalityName;
  readonly #control: ControlBlock;
  readonly #vcpus: readonly VcpuState[];
  readonly #counters: readonly VcpuCounters[];
  readonly #events: MachineEvents;
  readonly #memoryBytes: number;
  readonly #originNs = monotonicNs();
  readonly #vcpuThreads: Thread[] = [];
  readonly #deviceThread: Thread;
  #end: MachineEnd | undefined;
  #pausedWaiters: (() => void)[] = [];
  #pausedCount = 0;

  constructor(parts: MachineParts) {
    const { image, vcpuCount } = parts;
    this.#events = parts.events;
    this.#memoryBytes = parts.memoryBytes;
    this.#personality = parts.personality;
    this.#host = HostMemory.create({ guestMemoryBytes: backedBytes(image), vcpuCount });
    const { memory } = this.#host;
    this.#control = new ControlBlock(memory);
    this.#control.setOnlineVcpus(1);
    this.#vcpus = Array.from({ length: vcpuCount }, (_, index) => new VcpuState(memory, index));
    this.#counters = this.#vcpus.map((vcpu) => new VcpuCounters(memory, vcpu.index));
    this.#host.setVcpuTlbFlush(() => flushVcpuTlbs(this.#vcpus));
    const guest = new GuestMemory(this.#host);
    loadImage(this.#host, guest, image);
    this.#guest = initialiseGuest(parts.personality, {
      host: this.#host, guest, vcpuCount,
      clock: { nowNs: () => this.nowNs() },
      kick: (index) => this.#vcpus[index]!.postRequest(REQUEST_EVENT),
      ringDevice: () => this.#control.ringDoorbell(),
    }, domainConfiguration(image, Date.now() - this.nowNs() / 1e6));
    this.#vcpus[0]!.resetForPvh(image.entry, image.startInfoGpa);
    for (const vcpu of this.#vcpus.slice(1)) vcpu.startup = STARTUP_WAITING;
    this.#deviceThread = this.#startDevices();
    this.#startVcpus(parts.module);
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

  /** Resolves when no vCPU is in guest mode any more, or the machine has ended. */
  async pause(): Promise<void> {
    if (this.#end !== undefined) return;
    const paused = new Promise<void>((resolve) => this.#pausedWaiters.push(resolve));
    this.#pausedCount = 0;
    for (const vcpu of this.#vcpus) vcpu.postRequest(REQUEST_PAUSE);
    await paused;
  }

  resume(): void {
    for (const vcpu of this.#vcpus) vcpu.acknowledgeRequests(REQUEST_PAUSE);
  }

  stats(): Omit<MachineStats, "bootMs"> {
    const memory = this.#host.statistics();
    return {
      uptimeMs: this.nowNs() / 1e6,
      instructions: { interpreter: this.#vcpus.reduce((sum, vcpu) => sum + vcpu.instructionsRetired, 0) },
      memory: {
        guestBytes: this.#memoryBytes,
        pagesTouched: memory.guestPagesPresent,
        framesInUse: memory.framesInUse,
        framesTotal: memory.framesTotal,
      },
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

  #threadStart(): ThreadStart {
    return { memory: this.#host.memory, originNs: this.#originNs, vcpuCount: this.#vcpus.length, personality: this.#personality };
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

  #startVcpus(module: WebAssembly.Module): void {
    for (const { index } of this.#vcpus) {
      const data: VcpuThreadStart = { ...this.#threadStart(), module, vcpuIndex: index };
      const thread = startThread<VcpuMessage>(new URL("./vcpu-worker.js", import.meta.url), data, {
        onMessage: (message) => this.#takeVcpuMessage(message),
        onError: (failure) => this.#finish({ failure }),
      });
      this.#vcpuThreads.push(thread);
      void thread.ended.then(() => this.#finish({ failure: new Error(`the thread of vCPU ${index} ended without a word`) }));
    }
  }

  #takeVcpuMessage(message: VcpuMessage): void {
    if (message.type === "debug") this.#events.onDebugOutput(message.bytes);
    else if (message.type === "ended") this.#finish({ outcome: message.outcome });
    else if (++this.#pausedCount === this.#vcpus.length) this.#releasePausedWaiters();
  }

  #releasePausedWaiters(): void {
    for (const resolve of this.#pausedWaiters.splice(0)) resolve();
  }

  /** The first end counts; then the threads go, the device thread last, so that it can deliver what the guest wrote. */
  #finish(end: MachineEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const vcpu of this.#vcpus) vcpu.postRequest(REQUEST_STOP);
    void this.#endThreads();
  }

  async #endThreads(): Promise<void> {
    await Promise.all(this.#vcpuThreads.map(endThread));
    this.#control.stopDevices();
    await endThread(this.#deviceThread);
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
  for (const { gpa, bytes } of image.pieces) {
    if (!guest.write(gpaOf(gpa), bytes)) throw new Error(`expected memory for the boot piece at 0x${gpa.toString(16)}`);
  }
}
