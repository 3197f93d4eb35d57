/** KVM's hypercalls (Linux Documentation/virt/kvm/x86/hypercalls.rst): a table, and what is not in it answers -KVM_ENOSYS. */
import { KVM_ENOSYS, KVM_EPERM, KVM_HC_VAPIC_POLL_IRQ, KVM_HYPERCALL_NAMES } from "../abi/kvm/index.js";
import { KVM_DOMAIN, KVM_HYPERCALL_COUNTS } from "../abi/kvm-block.js";
import type { KvmState } from "./kvm-state.js";

/**
 * Answers by number. VAPIC_POLL_IRQ only wants an exit, on which interrupts are looked at. Calls that belong to a feature (kicks, IPIs, yields) are
 * not here because the feature is not offered.
 */
export const KVM_HYPERCALLS: ReadonlyMap<number, () => number> = new Map([[KVM_HC_VAPIC_POLL_IRQ, () => 0]]);

/** Answers hypercall `number` of a guest at privilege `cpl`: what RAX becomes, negative = an error. */
export function answerHypercall(state: KvmState, number: number, cpl: number): number {
  state.count(countOffset(number));
  if (cpl !== 0) return -KVM_EPERM;
  return KVM_HYPERCALLS.get(number)?.() ?? -KVM_ENOSYS;
}

/** Calls so far by name. */
export function readCounts(state: KvmState): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let number = 0; number < KVM_HYPERCALL_COUNTS; number++) {
    const count = state.u32(countOffset(number));
    const isLast = number === KVM_HYPERCALL_COUNTS - 1;
    if (count !== 0) counts[isLast ? `hypercalls from ${number} on` : KVM_HYPERCALL_NAMES[number] ?? `hypercall_${number}`] = count;
  }
  return counts;
}

function countOffset(number: number): number {
  return KVM_DOMAIN.counts + Math.min(number, KVM_HYPERCALL_COUNTS - 1) * 4;
}
