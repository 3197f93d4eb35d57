/** What this room asks of the rooms above it; `machine` wires them. */
import type { Gfn, Gpa } from "../abi/address.js";

/** Time since VM start in ns, the same origin in every thread. */
export interface Clock {
  nowNs(): number;
}

/** The calling vCPU's linear address space, read and written with CPL 0 rights through its current page tables. */
export interface LinearMemory {
  /** Copies `length` bytes; undefined = some byte is not mapped. */
  read(gva: bigint, length: number): Uint8Array | undefined;
  /** Writes all bytes; false = some byte is not mapped or not writable. */
  write(gva: bigint, bytes: Uint8Array): boolean;
  /** The guest physical address behind `gva`; undefined = not mapped. */
  translate(gva: bigint): Gpa | undefined;
}

/** The guest-physical address space as far as hypercalls change it. HostMemory fits. */
export interface DomainMemory {
  /** The host's shared memory, for the Xen block in it. */
  readonly memory: { readonly buffer: ArrayBufferLike };
  /** Makes pages exist in a hole. Throws when the host has no room for another memslot. */
  addMemslot(slot: { readonly id: number; readonly baseGfn: Gfn; readonly pageCount: number }): unknown;
  removeMemslot(id: number): unknown;
  /** Counts events that went round by the vCPU. */
  readonly counters: { add(name: "shadowDeliveries" | "deferredSends"): void };
  /** The memslot that holds `gfn`, undefined = a hole. */
  findMemslot(gfn: Gfn): { readonly id: number; readonly pageCount: number } | undefined;
  /** Gives the frames of a range back to the pool; the pages read as zeros afterwards. */
  discardPages(baseGfn: Gfn, pageCount: number): unknown;
}

/** What the run loop has to do after a hypercall, before it enters the guest again. */
export type SchedulingRequest =
  | { readonly kind: "none" }
  /** Let another thread run, then go on. */
  | { readonly kind: "yield" }
  /** Sleep until `upcallPending`. */
  | { readonly kind: "block" }
  /** Sleep until `pollReady`, at most until `deadlineNs` (Infinity = no limit), then call `endPoll`. */
  | { readonly kind: "poll"; readonly deadlineNs: number }
  /** Leave guest mode until this vCPU is brought up again. */
  | { readonly kind: "down" }
  /** The domain ends; see `shutdownReason`. */
  | { readonly kind: "shutdown"; readonly reason: number };
