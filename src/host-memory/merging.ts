/**
 * Equal pages come to share one frame, as Linux's KSM does: a first look without any lock groups pages by a hash of their bytes, and
 * then, with all ways to the pages cut, the bytes themselves decide. A write to a shared page gives it a frame of its own (page-faults.ts).
 */
import { atomicLoad } from "#sync";
import type { SharedWords } from "#sync";
import { frameAddress } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { HVA_PRESENT, HVA_SHARED, hasFrame, pfnOfEntry, stateOfEntry } from "./address-space.js";
import type { MergeOutcome } from "./operations.js";
import { rangeOfPage } from "./page-changes.js";
import type { PageChanges, PageName } from "./page-changes.js";

/** Pages compared in one invalidation. */
const BATCH_PAGES = 64;
/**
 * Most pages that get one frame: all of them have to be cut when it moves, while who uses one of them waits. Linux has such a limit, too
 * (max_page_sharing, mm/ksm.c).
 */
const SHARERS_MAX = 64;
/** Pages hashed between two questions whether to stop: some ms. */
const PAGES_PER_LOOK = 1024;
const PAGE_WORDS = PAGE_SIZE / 4;
/** FNV-1a's numbers (Fowler, Noll, Vo), here over words. */
const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

interface Candidate extends PageName {
  readonly pfn: Pfn;
  readonly wasShared: boolean;
  nptBefore: number;
  isMerged: boolean;
}

/** One thread's merging. */
export class Merging {
  readonly #changes: PageChanges;

  constructor(changes: PageChanges) {
    this.#changes = changes;
  }

  /** As HostMemory.mergeEqualPages. */
  mergeEqualPages(shouldStop: () => boolean): MergeOutcome {
    const { groups, scanned } = this.#groupsOfEqualHash(shouldStop);
    let merged = 0;
    let framesFreed = 0;
    for (const pages of groups) {
      let keeper = pages[0]!;
      for (let from = 1; from < pages.length && !shouldStop();) {
        const room = this.#roomBeside(keeper);
        if (room <= 0) {
          keeper = pages[from++]!;
          continue;
        }
        const others = pages.slice(from, from + Math.min(room, BATCH_PAGES));
        const outcome = this.#changes.mutate(() => this.#mergeLocked(keeper, others));
        merged += outcome.merged;
        framesFreed += outcome.framesFreed;
        from += others.length;
      }
    }
    this.#changes.parts.counters.add("pagesMerged", merged);
    return { scanned, merged, framesFreed };
  }

  /** Pages whose bytes had the same hash at the moment they were looked at; a page that shares its frame already leads its group. */
  #groupsOfEqualHash(shouldStop: () => boolean): { groups: PageName[][]; scanned: number } {
    const groups = new Map<number, PageName[]>();
    const hashes = new Map<Pfn, number>();
    let scanned = 0;
    let isStopped = false;
    this.#changes.forEachPage((name, entry) => {
      if (isStopped || !hasFrame(entry)) return;
      isStopped = ++scanned % PAGES_PER_LOOK === 0 && shouldStop();
      const pfn = pfnOfEntry(entry);
      let hash = hashes.get(pfn);
      if (hash === undefined) {
        hash = hashOfFrame(this.#changes.parts.words, pfn);
        if (stateOfEntry(entry) === HVA_SHARED) hashes.set(pfn, hash);
      }
      const group = groups.get(hash);
      if (group === undefined) groups.set(hash, [name]);
      else if (stateOfEntry(entry) === HVA_SHARED) group.unshift(name);
      else group.push(name);
    });
    return { groups: [...groups.values()].filter((group) => group.length > 1), scanned };
  }

  /** How many more pages may get a page's frame, as it looks at this moment. */
  #roomBeside({ page }: PageName): number {
    const { addressSpace, pool } = this.#changes.parts;
    const entry = addressSpace.entry(page);
    return hasFrame(entry) ? SHARERS_MAX - pool.references(pfnOfEntry(entry)) : 0;
  }

  /** Gives `others` the frame of `keeper` where their bytes are the same. */
  #mergeLocked(keeper: PageName, others: readonly PageName[]): { merged: number; framesFreed: number } {
    const changes = this.#changes;
    const [kept, ...rest] = this.#candidatesLocked([keeper, ...others]);
    if (kept === undefined || kept.page !== keeper.page) return { merged: 0, framesFreed: 0 };
    // Nothing is gained by taking pages from one full frame to another.
    const candidates = rest.filter(({ pfn }) => pfn !== kept.pfn && changes.parts.pool.references(pfn) < SHARERS_MAX);
    if (candidates.length === 0) return { merged: 0, framesFreed: 0 };
    changes.invalidate([kept, ...candidates].map(rangeOfPage), () => this.#compareLocked(kept, candidates));
    const merged = candidates.filter((candidate) => candidate.isMerged);
    const { pool } = changes.parts;
    const framesBefore = pool.framesInUse;
    changes.releaseFrames(merged.map(({ pfn }) => pfn));
    const wasAlone = merged.length > 0 && !kept.wasShared ? 1 : 0;
    return { merged: merged.length + wasAlone, framesFreed: Math.max(0, framesBefore - pool.framesInUse) };
  }

  /** Pages that have a frame and that nobody pins. */
  #candidatesLocked(names: readonly PageName[]): Candidate[] {
    const { addressSpace, pool } = this.#changes.parts;
    return names.filter((name) => this.#changes.isCurrent(name)).flatMap((name) => {
      const entry = addressSpace.entry(name.page);
      const wasShared = stateOfEntry(entry) === HVA_SHARED;
      const isPinned = !wasShared && hasFrame(entry) && pool.references(pfnOfEntry(entry)) !== 1;
      return hasFrame(entry) && !isPinned ? [{ ...name, pfn: pfnOfEntry(entry), wasShared, nptBefore: 0, isMerged: false }] : [];
    });
  }

  #compareLocked(kept: Candidate, candidates: readonly Candidate[]): void {
    const changes = this.#changes;
    const { words, pool } = changes.parts;
    const all = [kept, ...candidates];
    changes.withMmuLock(() => all.forEach((candidate) => (candidate.nptBefore = changes.cutLocked(candidate, candidate.pfn))));
    changes.flushVcpuTlbs();
    const isKeeperFree = kept.wasShared || pool.references(kept.pfn) === 1;
    for (const candidate of candidates) {
      const isFree = candidate.wasShared || pool.references(candidate.pfn) === 1;
      candidate.isMerged = isKeeperFree && isFree && areFramesEqual(words, kept.pfn, candidate.pfn);
      if (candidate.isMerged) pool.addReference(kept.pfn);
    }
    const isKeptShared = kept.wasShared || candidates.some(({ isMerged }) => isMerged);
    changes.withMmuLock(() => {
      changes.settleLocked(kept, isKeptShared ? HVA_SHARED : HVA_PRESENT, kept.pfn, kept.nptBefore);
      for (const candidate of candidates) this.#settleLocked(candidate, kept.pfn);
    });
    changes.wakeBusyWaiters();
  }

  #settleLocked(candidate: Candidate, keptPfn: Pfn): void {
    if (candidate.isMerged) this.#changes.settleLocked(candidate, HVA_SHARED, keptPfn, candidate.nptBefore);
    else this.#changes.settleLocked(candidate, candidate.wasShared ? HVA_SHARED : HVA_PRESENT, candidate.pfn, candidate.nptBefore);
  }
}

/** Hash of a frame's bytes as they are now; a guess, since the guest may be writing. */
function hashOfFrame(words: SharedWords, pfn: Pfn): number {
  const first = frameAddress(pfn) >>> 2;
  let hash = HASH_START;
  for (let word = 0; word < PAGE_WORDS; word++) hash = Math.imul(hash ^ words[first + word]!, HASH_FACTOR);
  return hash;
}

/** Whether two frames hold the same bytes. Precondition: nobody writes either. */
function areFramesEqual(words: SharedWords, one: Pfn, other: Pfn): boolean {
  const first = frameAddress(one) >>> 2;
  const second = frameAddress(other) >>> 2;
  for (let word = 0; word < PAGE_WORDS; word++) {
    if (atomicLoad(words, first + word) !== atomicLoad(words, second + word)) return false;
  }
  return true;
}
