/**
 * The guest's clocks in its own memory (Linux Documentation/virt/kvm/x86/msr.rst; asm/pvclock-abi.h). The TSC counts ns since VM start, so
 * system time equals it: ns = ((tsc - tsc_timestamp) << tsc_shift) * mul >> 32 + system_time.
 *
 *     hypervisor                               guest, any vCPU
 *     version = odd                            do version = load
 *     time, scale, flags                          copy
 *     version = even, 2 more than before       while version odd or not what it was
 *
 * Every store is atomic, so each is seen after the ones before it. The version is continued from what the page says: whatever the guest wrote
 * there, it ends even.
 */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, pvclock_vcpu_time_info, pvclock_wall_clock } from "../abi/kvm/index.js";
import type { PageView } from "../guest-page/index.js";

/** 1 GHz: shifting by one and multiplying by one half gives ns = ticks, with all bits of mul in use. */
const TSC_TO_SYSTEM_MUL = 0x8000_0000;
const TSC_SHIFT = 1;
const U32_MASK = 0xffff_ffffn;

/** What is published of a vCPU's clock. */
export interface ClockReading {
  /** Time since VM start, a whole number: the TSC and the system time at once. */
  readonly nowNs: number;
  /** Whether the guest may compare the clocks of its vCPUs with each other. */
  readonly isStable: boolean;
  /** Tells the guest that it was stopped, for its watchdogs. */
  readonly wasStopped: boolean;
}

/** Publishes a reading in struct pvclock_vcpu_time_info. GUEST_STOPPED stays until the guest clears it. */
export function publishClock(view: PageView, { nowNs, isStable, wasStopped }: ClockReading): void {
  const version = beginChange(view, pvclock_vcpu_time_info.version);
  const kept = view.loadU8(pvclock_vcpu_time_info.flags) & PVCLOCK_GUEST_STOPPED;
  const flags = kept | (wasStopped ? PVCLOCK_GUEST_STOPPED : 0) | (isStable ? PVCLOCK_TSC_STABLE_BIT : 0);
  const time = BigInt(nowNs);
  for (const field of [pvclock_vcpu_time_info.tsc_timestamp, pvclock_vcpu_time_info.system_time]) {
    view.storeU32(field, Number(time & U32_MASK));
    view.storeU32(field + 4, Number(time >> 32n));
  }
  view.storeU32(pvclock_vcpu_time_info.tsc_to_system_mul, TSC_TO_SYSTEM_MUL);
  view.storeU8(pvclock_vcpu_time_info.tsc_shift, TSC_SHIFT);
  view.storeU8(pvclock_vcpu_time_info.flags, flags);
  endChange(view, pvclock_vcpu_time_info.version, version);
}

/** Publishes the UTC of VM start in struct pvclock_wall_clock. */
export function publishWallClock(view: PageView, seconds: bigint, nanoseconds: number): void {
  const version = beginChange(view, pvclock_wall_clock.version);
  view.storeU32(pvclock_wall_clock.sec, Number(seconds & U32_MASK));
  view.storeU32(pvclock_wall_clock.nsec, nanoseconds);
  endChange(view, pvclock_wall_clock.version, version);
}

/** Makes the version at `offset` odd, and returns it. */
export function beginChange(view: PageView, offset: number): number {
  const version = ((view.loadU32(offset) + 1) | 1) >>> 0;
  view.storeU32(offset, version);
  return version;
}

/** Makes the version at `offset` even: the next one behind `odd`. */
export function endChange(view: PageView, offset: number, odd: number): void {
  view.storeU32(offset, (odd + 1) >>> 0);
}
