/** The public face of host-memory: frames, address space, memslots, swap, and how changes of them are announced. */
export type { CounterName, PageStatistics, UserCounterName } from "./counters.js";
export { HostMemoryError, assert } from "./errors.js";
export type { HostMemoryErrorCode } from "./errors.js";
export type { BlockStatistics } from "./frame-pool.js";
export { HostMemory } from "./host-memory.js";
export type { HostMemoryOptions, HostMemoryStatistics } from "./host-memory.js";
export type { HostViews, SharedMemory } from "./host-views.raw.js";
export type { Invalidations } from "./invalidation.js";
export type { MappedPage } from "./mapped-pages.js";
export type { Memslot, MemslotRequest } from "./memslots.js";
export type { InvalidationRange, MmuNotifier } from "./mmu-notifier.js";
export type {
  BlockMap, MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, PinnedPage, SlotMap, SwapOutcome,
} from "./operations.js";
export type { ChangeForm, VcpuFlush } from "./page-changes.js";
export type { FaultResult } from "./page-faults.js";
export type { SwapStore } from "./swap-map.js";
