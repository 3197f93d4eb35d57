/**
 * The list of those who want to know before host pages go away, and after. It belongs to one thread; what all threads
 * must hear (guest pages, vCPU TLBs) goes through shared memory instead, see invalidation.ts.
 */
import type { Gfn, HvaPage } from "../abi/address.js";

/** A run of pages of one memslot whose mappings change. */
export interface InvalidationRange {
  readonly firstHvaPage: HvaPage;
  readonly firstGfn: Gfn;
  readonly pageCount: number;
}

/** Callbacks in pairs, by the thread that makes the change. They may not change memslots or move pages. */
export interface MmuNotifier {
  /**
   * Before the change. On return the notifier uses none of the pages, and will not until the matching end. May sleep unless
   * `mustNotSleep`; it cannot refuse, so it must then reach its end by spinning.
   */
  invalidateRangeStart(range: InvalidationRange, mustNotSleep: boolean): void;
  /** After the change; the old frames may be gone already. Never called without the start before it. */
  invalidateRangeEnd(range: InvalidationRange): void;
}

/** The notifiers of one thread. */
export class MmuNotifierList {
  readonly #notifiers = new Set<MmuNotifier>();

  /** Adds a notifier; the result takes it off again. */
  register(notifier: MmuNotifier): () => void {
    this.#notifiers.add(notifier);
    return () => void this.#notifiers.delete(notifier);
  }

  /** Calls everybody's start. */
  start(ranges: readonly InvalidationRange[], mustNotSleep: boolean): void {
    for (const notifier of this.#notifiers) for (const range of ranges) notifier.invalidateRangeStart(range, mustNotSleep);
  }

  /** Calls everybody's end. */
  end(ranges: readonly InvalidationRange[]): void {
    for (const notifier of this.#notifiers) for (const range of ranges) notifier.invalidateRangeEnd(range);
  }
}
