/**
 * What stands for a vCPU: the words of its requests and its mode, with the methods by which shipped code reaches them (cpu/vcpu-state.raw.ts
 * has them on real memory), and a processor that reaches guest memory by the nested page table, in guest mode.
 */
import type { Gfn } from "../abi/address.js";
import { NPT_PRESENT, NPT_WRITABLE, VCPU } from "../abi/layout.js";
import type { VcpuContext } from "../exit/vcpu-context.js";
import type { HostMemory } from "../host-memory/index.js";
import type { XenDomain } from "../hypercall/index.js";
import type { Access } from "./instrument/runtime.js";
import { $ } from "./instrument/runtime.js";
import { ModelWords, notifyWaiters, waitWhile } from "./seam.js";
import type { Setting } from "./setting.js";

const VCPU_WORDS = 2 ** 20;
/** Any vector: the guest has set one. */
const CALLBACK_VECTOR = 0xf3;

/** A vCPU's state. */
export class ModelVcpu {
  readonly index = 0;
  readonly words: ModelWords;
  readonly longs: ModelWords;

  constructor({ world }: Setting) {
    this.words = new ModelWords(world);
    this.longs = this.words;
    for (const field of ["request", "guestEpoch", "guestEpochWaiters"] as const) {
      world.map.name(this.wordIndex(VCPU[field]), field);
      // Before the first schedule, so that a picture has its name.
      this.words.wakeUpCell(this.wordIndex(VCPU[field]));
    }
  }

  wordIndex(field: number): number {
    return VCPU_WORDS + field / 4;
  }

  /** The cell of the request word. */
  get requestCell(): number {
    return this.words.cell(this.wordIndex(VCPU.request));
  }

  #request(by: (bits: number) => number): Access<number> {
    const cell = this.requestCell;
    return (function* () {
      return yield { kind: "update", cell, by };
    })();
  }

  /** The requests at this moment. */
  *requests$get(): Access<number> {
    return yield { kind: "load", cell: this.requestCell };
  }

  /** Clears bits; those that were set. */
  *takeRequests(bits: number): Access<number> {
    return (yield* this.#request((old) => old & ~bits)) & bits;
  }

  /** Sets bits and wakes the vCPU: a kick. */
  *postRequest(bits: number): Access<void> {
    yield* this.#request((old) => old | bits);
    yield* notifyWaiters(this.words, this.wordIndex(VCPU.request));
  }

  /** Sleeps while the requests are these; without timers, for good. */
  waitForRequest(requests: number): Access<string> {
    return waitWhile(this.words, this.wordIndex(VCPU.request), requests);
  }
}

/** What the shipped way to sleep (exit/halt.ts) asks of its surroundings: events, and no timers or local APIC. */
export function contextOf(vcpu: ModelVcpu, domain: Pick<XenDomain, "upcallPending">): VcpuContext {
  return {
    index: 0, state: vcpu,
    hypercalls: {
      upcallPending: (index: number) => domain.upcallPending(index), callbackVector: () => CALLBACK_VECTOR, setRunstate: () => undefined,
      timerDeadlineNs: () => Infinity, fireTimer: () => false,
    },
    apic: { pendingVector: () => -1, timerDeadlineNs: () => Infinity, fireTimer: () => false },
    machine: { nowNs: () => 0, paused: () => undefined }, counters: { add: () => undefined },
  } as unknown as VcpuContext;
}

/** Has a thread's changes of pages flush the vCPU, by the shipped requests. */
export function wireFlush(setting: Setting, host: HostMemory, vcpu: ModelVcpu): void {
  const { flushVcpuTlbs } = setting.modules;
  host.setVcpuFlush({ tlbs: ((mustNotSleep: boolean) => flushVcpuTlbs([vcpu as never], { mustNotSleep })) as never, code: () => undefined });
}

/** The frame of a page by the nested page table, for writing; undefined = the processor would fault. Only in guest mode. */
export function* walk(host: HostMemory, gfn: Gfn): Access<number | undefined> {
  const entry = (yield* $(host.nptEntry(gfn) as unknown)) as number;
  const isWritable = (entry & NPT_PRESENT) !== 0 && (entry & NPT_WRITABLE) !== 0;
  return isWritable ? entry >>> 12 : undefined;
}
