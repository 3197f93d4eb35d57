/**
 * A processor without instructions: it reaches guest memory as guest mode does, through a translation that it found in the nested page
 * table and keeps until it is asked to drop it. How it enters, leaves and is asked are the shipped functions of exit/requests.
 */
import { atomicLoad } from "#sync";
import type { Gfn } from "../../abi/address.js";
import { NPT_PRESENT, NPT_WRITABLE, REQUEST_TLB_FLUSH } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/vcpu-state.raw.js";
import { enterGuestMode, leaveGuestMode } from "../../exit/requests/guest-mode.js";
import { flushVcpuTlbs } from "../../exit/requests/vcpu-requests.js";
import type { HostMemory } from "../../host-memory/index.js";

/** Lets a thread's host reach the pretended vCPUs, numbers 0 to `count` - 1. */
export function wirePretendVcpu(host: HostMemory, count = 1): void {
  const vcpus = Array.from({ length: count }, (_, index) => new VcpuState(host.memory, index));
  host.setVcpuFlush({ tlbs: (mustNotSleep) => flushVcpuTlbs(vcpus, { mustNotSleep }), code: () => undefined });
}

/** The processor; one a host for each number. */
export class PretendVcpu {
  readonly #host: HostMemory;
  readonly #state: VcpuState;
  /** gfn to word index of the frame and whether it may be written. */
  readonly #tlb = new Map<Gfn, { readonly frameWord: number; readonly isWritable: boolean }>();

  constructor(host: HostMemory, index = 0) {
    this.#host = host;
    this.#state = new VcpuState(host.memory, index);
  }

  /**
   * Runs `instruction` in guest mode with the number of the first word of guest frame `gfn`, given for writing; it may use atomics. Undefined =
   * there is no memory now. May sleep outside guest mode.
   */
  run<T>(gfn: Gfn, instruction: (frameWord: number) => T): T | undefined {
    const results: T[] = [];
    for (;;) {
      const isDone = this.#inGuestMode(() => {
        const translation = this.#writable(gfn);
        if (translation !== undefined) results.push(instruction(translation.frameWord));
        return translation !== undefined;
      });
      if (isDone) return results[0];
      const fault = this.#host.faultIn(gfn, true);
      if (fault === "no-slot" || fault === "out-of-memory") return undefined;
    }
  }

  /**
   * Adds 1 to word `word` of guest frame `gfn`, by a load and a store as one instruction would. False = there is no memory now.
   * May sleep outside guest mode.
   */
  increment(gfn: Gfn, word: number): boolean {
    for (;;) {
      if (this.#inGuestMode(() => this.#tryIncrement(gfn, word))) return true;
      const fault = this.#host.faultIn(gfn, true);
      if (fault === "no-slot" || fault === "out-of-memory") return false;
    }
  }

  /** Reads word `word` of guest frame `gfn`; undefined = there is no memory now. May sleep outside guest mode. */
  load(gfn: Gfn, word: number): number | undefined {
    let value = 0;
    const read = (): boolean => {
      const translation = this.#tlb.get(gfn) ?? this.#walk(gfn);
      if (translation === undefined) return false;
      atomicLoad(this.#host.words, 0);
      value = this.#host.words[translation.frameWord + word]!;
      return true;
    };
    for (;;) {
      if (this.#inGuestMode(read)) return value;
      const fault = this.#host.faultIn(gfn, false);
      if (fault === "no-slot" || fault === "out-of-memory") return undefined;
    }
  }

  /** As the run loop (exit/run-loop.ts): requests first, then guest mode, unless another request came. */
  #inGuestMode(instruction: () => boolean): boolean {
    for (;;) {
      if (this.#state.takeRequests(REQUEST_TLB_FLUSH) !== 0) this.#tlb.clear();
      if (enterGuestMode(this.#state)) break;
    }
    const isDone = instruction();
    leaveGuestMode(this.#state);
    return isDone;
  }

  #tryIncrement(gfn: Gfn, word: number): boolean {
    const translation = this.#writable(gfn);
    if (translation === undefined) return false;
    const { words } = this.#host;
    const value = words[translation.frameWord + word]!;
    // A place where others may run: guest mode is left only behind the instruction.
    atomicLoad(words, 0);
    words[translation.frameWord + word] = value + 1;
    return true;
  }

  #writable(gfn: Gfn): { readonly frameWord: number } | undefined {
    const translation = this.#tlb.get(gfn) ?? this.#walk(gfn);
    if (translation?.isWritable === true) return translation;
    this.#tlb.delete(gfn);
    return undefined;
  }

  #walk(gfn: Gfn): { frameWord: number; isWritable: boolean } | undefined {
    const entry = this.#host.nptEntry(gfn);
    if ((entry & NPT_PRESENT) === 0) return undefined;
    const translation = { frameWord: (entry >>> 12) * 1024, isWritable: (entry & NPT_WRITABLE) !== 0 };
    this.#tlb.set(gfn, translation);
    return translation;
  }
}
