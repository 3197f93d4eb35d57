/** The public face of host-memory: frames, address space, memslots and how changes of them are announced. */
export { HostMemoryError, assert } from "./errors.js";
export type { HostMemoryErrorCode } from "./errors.js";
export type { BlockStatistics } from "./frame-pool.js";
export { HostMemory } from "./host-memory.js";
export type { FaultResult, HostMemoryOptions, HostMemoryStatistics, MoveResult } from "./host-memory.js";
export type { HostViews, SharedMemory } from "./host-views.raw.js";
export type { Invalidations } from "./invalidation.js";
export type { Memslot, MemslotRequest } from "./memslots.js";
export type { InvalidationRange, MmuNotifier } from "./mmu-notifier.js";
export type {
  BlockMap, MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, PinnedPage, SlotMap, SwapOutcome,
} from "./operations.js";
