/**
 * What is known by address alone of where code is: the PC caches, whose entries count in one epoch only, and the return caches, which are emptied. All is
 * forgotten with a translation of addresses; the return caches also with code that is dropped, which PC caches notice by its trace.
 */
import * as L from "./generated/layout";
import { cpu } from "./state";

function emptyReturnCache(pcCache: u32): void {
  memory.fill(pcCache + L.RETURN_CACHE_distance, u8(L.RETURN_CACHE_empty), L.RETURN_CACHE_size);
}

/** Forgets where calls return to. */
export function forgetReturns(): void {
  emptyReturnCache(cpu + L.VCPU_AREA_userPcCache);
  emptyReturnCache(cpu + L.VCPU_AREA_kernelPcCache);
}

/** Forgets what is known of CPL 3. */
export function forgetUserCode(): void {
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  emptyReturnCache(cpu + L.VCPU_AREA_userPcCache);
}

/** Forgets what is known of CPL 0 to 2. */
export function forgetKernelCode(): void {
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
  emptyReturnCache(cpu + L.VCPU_AREA_kernelPcCache);
}
