/** What the page stress and its threads agree on: where pages are, what they may hold, by which words they talk. */
import { gfnOf } from "../../abi/address.js";
import type { Gfn } from "../../abi/address.js";
import { VM_BLOCK_BASE } from "../../abi/layout.js";

/** Not 0 = threads end. */
export const WORD_STOP = ((VM_BLOCK_BASE + 0xf000) >>> 2) + 64 * 4;

/** Memslot 0: pages whose contents may be taken away, PAGES_EACH for each thread. Memslot 1: pages that only move, one shared, one a thread. */
export const LOSSY_SLOT = 0;
export const LOSSY_BASE = gfnOf(0);
export const LOSSY_PAGES = 64;
export const PAGES_EACH = 8;
export const KEPT_SLOT = 1;
export const KEPT_BASE = gfnOf(0x400);
export const KEPT_PAGES = 16;
/** Where memslots go for a while, and the memslot that takes the place of another. */
export const ELSEWHERE = gfnOf(0x1000);
export const KEPT_ELSEWHERE = gfnOf(0x2000);
export const FOREIGN_SLOT = 3;
export const FOREIGN_BASE = gfnOf(0x3000);

/** What the owner of a page writes into it; 0 and `remapTag` are the only other words that may be there. */
export function ownTag(gfn: Gfn): number {
  return 0x1000_0000 + gfn;
}

/** What the pages hold that are mapped over it. */
export function remapTag(gfn: Gfn): number {
  return 0x2000_0000 + gfn;
}

/** Offsets in a page at which its words are written and checked. */
export const CHECKED_OFFSETS = [0, 64, 2048, 4092] as const;

/** What a thread of the stress is. */
export type StressRole = "user" | "processor" | "mangler" | "helper";

/** What a thread tells at its end. */
export interface StressReport {
  readonly role: StressRole;
  /** How often it did what. */
  readonly counts: Readonly<Record<string, number>>;
  /** Additions to the shared page and to its own. */
  readonly addedShared: number;
  readonly addedOwn: number;
  readonly failure?: string;
}

/** What a thread is told at its start. */
export interface StressJob {
  readonly memory: WebAssembly.Memory;
  readonly role: StressRole;
  /** Number among all threads: it says which pages are its own. */
  readonly index: number;
  readonly seed: number;
  readonly swapFile: SharedArrayBuffer;
  /** Whether accesses are delayed at random; only in a copy with paused atomics. */
  readonly isPaused: boolean;
}
