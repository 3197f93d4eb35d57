/** What shinfo.test.ts and its threads agree on. */
import { testWord } from "./domain-thread.js";

/** Not 0 = threads end. */
export const WORD_STOP = testWord(10);
/** Senders that are through. */
export const WORD_DONE = testWord(11);
/** Threads that are ready. */
export const WORD_READY = testWord(12);
/** A guest frame outside all memslots, and a memslot that comes and goes. */
export const HOLE_GFN = 0x500;
export const TOGGLED_GFN = 0x600;
export const TOGGLED_SLOT = 7;
export const SLOT_PAGES = 4;

/** What a thread does. */
export interface ShinfoJob {
  readonly memory: WebAssembly.Memory;
  readonly swapFile: SharedArrayBuffer;
  readonly role: "sender" | "sleepless sender" | "guest" | "mover" | "shared_info toggler" | "hypercall sender" | "registrar" | "slot toggler";
  /** Number among the threads: where it puts arguments of its hypercalls. */
  readonly thread: number;
  /** Threads there are; all begin together. */
  readonly threads: number;
  /** Port it sends on, or vCPU it registers for. */
  readonly port: number;
  readonly rounds: number;
  /** Senders that the others wait for. */
  readonly senders: number;
  readonly hasOwnInfo: boolean;
}
