/**
 * A processor without instructions: it reaches guest memory as guest mode does, through a translation that it found in the nested page
 * table and keeps until it is asked to drop it. And the other side: how a thread asks for that (src/machine/vcpu-requests.ts).
 */
import { atomicAnd, atomicLoad, atomicOr, atomicStore, notifyWaiters } from "#sync";
import { VM_BLOCK_BASE, NPT_PRESENT, NPT_WRITABLE } from "../../abi/layout.js";
import type { Gfn } from "../../abi/address.js";
import type { HostMemory } from "../../host-memory/index.js";

const testWord = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + index * 16;

/** Words in a part of the VM block that only tests use. Bit 0 of the request: drop translations. Mode 1: in guest mode. */
export const WORD_REQUEST = testWord(8);
export const WORD_MODE = testWord(9);

const REQUEST_FLUSH = 1;

/** Has the pretended vCPU drop its translations before it uses one again; as VcpuFlush.tlbs. */
export function flushPretendVcpu(host: HostMemory): void {
  atomicOr(host.words, WORD_REQUEST, REQUEST_FLUSH);
  notifyWaiters(host.words, WORD_REQUEST);
  while (atomicLoad(host.words, WORD_MODE) === 1 && (atomicLoad(host.words, WORD_REQUEST) & REQUEST_FLUSH) !== 0);
}

/** Lets a thread's host reach the pretended vCPU. */
export function wirePretendVcpu(host: HostMemory): void {
  host.setVcpuFlush({ tlbs: () => flushPretendVcpu(host), code: () => undefined });
}

/** The processor; one a host. */
export class PretendVcpu {
  readonly #host: HostMemory;
  /** gfn to word index of the frame and whether it may be written. */
  readonly #tlb = new Map<Gfn, { readonly frameWord: number; readonly isWritable: boolean }>();

  constructor(host: HostMemory) {
    this.#host = host;
  }

  /**
   * Adds 1 to word `word` of guest frame `gfn`, by a load and a store as one instruction would. False = there is no memory now.
   * May sleep outside guest mode.
   */
  increment(gfn: Gfn, word: number): boolean {
    for (;;) {
      const isDone = this.#inGuestMode(() => this.#tryIncrement(gfn, word));
      if (isDone) return true;
      const fault = this.#host.faultIn(gfn, true);
      if (fault === "no-slot" || fault === "out-of-memory") return false;
    }
  }

  #inGuestMode(instruction: () => boolean): boolean {
    const { words } = this.#host;
    // Pairs with flushPretendVcpu: it writes the request, then reads the mode.
    atomicStore(words, WORD_MODE, 1);
    let isDone = false;
    if ((atomicLoad(words, WORD_REQUEST) & REQUEST_FLUSH) === 0) isDone = instruction();
    atomicStore(words, WORD_MODE, 0);
    if ((atomicAnd(words, WORD_REQUEST, ~REQUEST_FLUSH) & REQUEST_FLUSH) !== 0) this.#tlb.clear();
    return isDone;
  }

  #tryIncrement(gfn: Gfn, word: number): boolean {
    const translation = this.#tlb.get(gfn) ?? this.#walk(gfn);
    if (translation === undefined || !translation.isWritable) return false;
    const { words } = this.#host;
    const value = words[translation.frameWord + word]!;
    // A place where others may run: guest mode is left only behind the instruction.
    atomicLoad(words, WORD_MODE);
    words[translation.frameWord + word] = value + 1;
    return true;
  }

  #walk(gfn: Gfn): { frameWord: number; isWritable: boolean } | undefined {
    const entry = this.#host.nptEntry(gfn);
    if ((entry & NPT_PRESENT) === 0) return undefined;
    const translation = { frameWord: (entry >>> 12) * 1024, isWritable: (entry & NPT_WRITABLE) !== 0 };
    if (translation.isWritable) this.#host.markWritten(gfn);
    this.#tlb.set(gfn, translation);
    return translation;
  }
}

