/** Faults in what KVM's personality does with the guest's pages. K1 and K4 were bugs of a kernel once (CVE-2019-3016; a key without the address). */
import { catcher, caught, edit, harmless } from "../../guest-page/testing/mutation.js";
import type { Mutation } from "../../guest-page/testing/mutation.js";

const check = (name: string): ReturnType<typeof catcher> => catcher("kvm/testing/kvm-checks.js", name);
const clock = check("a clock in the middle of its change says so");
const stress = { ...catcher("kvm/testing/kvm-stress.js", "KVM's pages under users and a mangler"), timeMs: 20_000 };

export const KVM_MUTATIONS: readonly Mutation[] = [
  caught("K1", "take the byte of a sleeper by a load and a store, not by one exchange", check("a flush that is left to a sleeping vCPU is made"), edit("kvm/steal-time.js",
    "(view.exchangeU8(kvm_steal_time.preempted, 0) & KVM_VCPU_FLUSH_TLB)", "((was) => (view.storeU8(kvm_steal_time.preempted, 0), was & KVM_VCPU_FLUSH_TLB))(view.loadU8(kvm_steal_time.preempted))")),
  caught("K2", "a clock whose version is even while it is changed", clock, edit("kvm/clock.js",
    "const version = ((view.loadU32(offset) + 1) | 1) >>> 0;", "const version = (((view.loadU32(offset) + 1) | 1) + 1) >>> 0;"),
    edit("kvm/clock.js", "view.storeU32(offset, (odd + 1) >>> 0);", "view.storeU32(offset, odd);")),
  caught("K3", "the version is even before the time is written", clock, edit("kvm/clock.js",
    "    const kept = view.loadU8(pvclock_vcpu_time_info.flags) & PVCLOCK_GUEST_STOPPED;",
    "    endChange(view, pvclock_vcpu_time_info.version, version);\n    const kept = view.loadU8(pvclock_vcpu_time_info.flags) & PVCLOCK_GUEST_STOPPED;")),
  caught("K4", "a window stays where it was when the register changed", check("a clock is where its register says, and nowhere else"), edit("kvm/guest-window.js",
    "if (gpa === this.#gpa && this.#page !== undefined)", "if (this.#page !== undefined)")),
  caught("K5", "an EOI that was given in memory is not taken", check("an EOI that was given in memory is taken"), edit("kvm/kvm-domain.js", "this.#eoiWindow.access(gpa, takeEoi) === true", "this.#eoiWindow.access(gpa, takeEoi) === undefined")),
  harmless("K6", "take back the offer of an EOI by a load and a store", "the vCPU's own thread takes it back behind guest mode, when its guest code does not run", stress,
    edit("kvm/paravirtual-eoi.js", "!view.testAndClearBit(KVM_PV_EOI_BIT)", "((was) => (view.storeU8(0, was & ~1), (was & 1) === 0))(view.loadU8(0))")),
];
