/** What the stress of KVM's pages and its threads agree on. */
import { gfnOf } from "../../abi/address.js";
import { VM_BLOCK_BASE } from "../../abi/layout.js";

const word = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + index * 16;

export const VCPUS = 2;
/** Not 0 = threads end. */
export const WORD_STOP = word(0);
/** Of vCPU n, what the guest did and what came of it: flushes left to it and made by it, EOIs given in memory and taken. */
export const wordFlushesLeft = (vcpu: number): number => word(1 + 8 * vcpu);
export const wordFlushesMade = (vcpu: number): number => word(2 + 8 * vcpu);
export const wordEoisGiven = (vcpu: number): number => word(3 + 8 * vcpu);
export const wordEoisTaken = (vcpu: number): number => word(4 + 8 * vcpu);

/** Memslot 0: pages that only move; PAGES_EACH for each vCPU. Memslot 1: pages whose contents are taken away. */
export const KEPT_SLOT = 0;
export const KEPT_BASE = gfnOf(0);
export const KEPT_PAGES = 16;
export const LOSSY_SLOT = 1;
export const LOSSY_BASE = gfnOf(0x400);
export const LOSSY_PAGES = 16;
/** A memslot that takes the place of the lossy one for a while. */
export const FOREIGN_SLOT = 2;
export const FOREIGN_BASE = gfnOf(0x800);

/** Pages of a vCPU in both memslots: of its steal time, of its EOI byte, and two that its clock goes to and fro between. */
export const PAGES_EACH = 4;
export const STEAL_PAGE = 0;
export const EOI_PAGE = 1;
export const CLOCK_PAGE = 2;

/** Byte offsets of the areas in their pages. */
export const STEAL_OFFSET = 0x40;
export const EOI_OFFSET = 0x104;
export const CLOCK_OFFSET = 0xfe0;

/** What the guest fills a place with that its clock has left. */
export const LEFT_TAG = 0x1e57_1e57;

export type KvmStressRole = "vcpu" | "mangler";

/** What a thread is told at its start. */
export interface KvmStressJob {
  readonly memory: WebAssembly.Memory;
  readonly role: KvmStressRole;
  /** Number among all threads; of a vCPU, its own. */
  readonly index: number;
  readonly seed: number;
  readonly swapFile: SharedArrayBuffer;
  /** Whether accesses are delayed at random; only in a copy with paused atomics. */
  readonly isPaused: boolean;
}

/** What a thread tells at its end. */
export interface KvmStressReport {
  readonly role: KvmStressRole;
  /** How often it did what. */
  readonly counts: Readonly<Record<string, number>>;
  readonly failure?: string;
}
