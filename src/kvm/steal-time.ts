/**
 * struct kvm_steal_time: how long the vCPU was ready and did not run, and whether it runs (msr.rst, MSR_KVM_STEAL_TIME).
 *
 * The byte `preempted` is the one word here that both sides write. While the vCPU sleeps, another one may leave a TLB flush in it
 * instead of an interrupt:
 *
 *     flushing vCPU                            this vCPU's thread
 *     preempted has PREEMPTED? else send IPI   preempted |= PREEMPTED, before it sleeps
 *     cmpxchg in FLUSH_TLB; no IPI             preempted <-> 0, before it enters guest mode
 *                                              FLUSH_TLB was in it? then flush
 *
 * The exchange is one atomic operation on the guest's page. A copy that is read, looked at and written back would undo a
 * FLUSH_TLB that came in between, and the guest would run with a stale translation (CVE-2019-3016).
 */
import { KVM_VCPU_FLUSH_TLB, KVM_VCPU_PREEMPTED, kvm_steal_time } from "../abi/kvm/index.js";
import type { PageView } from "../guest-page/index.js";
import { beginChange, endChange } from "./clock.js";

/** The vCPU does not run from now on. What is in the byte already stays: a flush that nobody has made is still owed. */
export function markPreempted(view: PageView): void {
  view.orU32(kvm_steal_time.preempted, KVM_VCPU_PREEMPTED);
}

/** The vCPU is about to run; whether it has to flush its TLB first. */
export function takePreempted(view: PageView): boolean {
  return (view.exchangeU8(kvm_steal_time.preempted, 0) & KVM_VCPU_FLUSH_TLB) !== 0;
}

/** Adds `ns` to the stolen time that the page shows. */
export function addSteal(view: PageView, ns: bigint): void {
  const version = beginChange(view, kvm_steal_time.version);
  view.storeU64(kvm_steal_time.steal, BigInt.asIntN(64, view.loadU64(kvm_steal_time.steal) + ns));
  endChange(view, kvm_steal_time.version, version);
}
