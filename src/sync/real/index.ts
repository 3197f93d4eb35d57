/** The seam `#sync`, production side: atomics, locks and read sections on real shared memory. */
export type { SharedLongs, SharedWords } from "./atomics.js";
export {
  atomicAdd, atomicAddLong, atomicAnd, atomicAndLong, atomicCompareExchange, atomicCompareExchangeLong, atomicExchange,
  atomicExchangeLong, atomicLoad, atomicLoadLong, atomicOr, atomicOrLong, atomicStore, atomicStoreLong, notifyWaiters,
  sharedLongsOf, sharedWordsOf, spinUntilChanged, waitWhile,
} from "./atomics.js";
export { lock, tryLock, unlock, withLock, withLockIfFree, withLockInTurn } from "./lock.js";
export type { ReaderDomain } from "./reader-slots.js";
export { ReaderSlot, synchronizeReaders } from "./reader-slots.js";
export type { SectionSteps } from "./section-steps.js";
export { createSectionSteps } from "./section-steps.js";
