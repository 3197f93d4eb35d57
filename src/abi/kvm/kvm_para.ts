/** KVM's CPUID leaves, model-specific registers and hypercalls: asm/kvm_para.h, and linux/kvm_para.h for the calls' numbers. */

export const KVM_CPUID_SIGNATURE = 0x4000_0000;
export const KVM_CPUID_FEATURES = 0x4000_0001;
/** "KVMKVMKVM\0\0\0" in EBX, ECX, EDX. */
export const KVM_SIGNATURE_EBX = 0x4b4d_564b;
export const KVM_SIGNATURE_ECX = 0x564b_4d56;
export const KVM_SIGNATURE_EDX = 0x0000_004d;

/** Bits of EAX of KVM_CPUID_FEATURES. */
export const KVM_FEATURE_CLOCKSOURCE = 0;
export const KVM_FEATURE_NOP_IO_DELAY = 1;
export const KVM_FEATURE_CLOCKSOURCE2 = 3;
export const KVM_FEATURE_ASYNC_PF = 4;
export const KVM_FEATURE_STEAL_TIME = 5;
export const KVM_FEATURE_PV_EOI = 6;
export const KVM_FEATURE_PV_UNHALT = 7;
export const KVM_FEATURE_PV_TLB_FLUSH = 9;
export const KVM_FEATURE_PV_SEND_IPI = 11;
export const KVM_FEATURE_PV_SCHED_YIELD = 13;
export const KVM_FEATURE_ASYNC_PF_INT = 14;
export const KVM_FEATURE_CLOCKSOURCE_STABLE_BIT = 24;

/** The clock's first numbers, and those that KVM_FEATURE_CLOCKSOURCE2 stands for. */
export const MSR_KVM_WALL_CLOCK = 0x11;
export const MSR_KVM_SYSTEM_TIME = 0x12;
export const MSR_KVM_WALL_CLOCK_NEW = 0x4b56_4d00;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b56_4d01;
export const MSR_KVM_ASYNC_PF_EN = 0x4b56_4d02;
export const MSR_KVM_STEAL_TIME = 0x4b56_4d03;
export const MSR_KVM_PV_EOI_EN = 0x4b56_4d04;
/** Bit 0 of every register that names an area: the area is used. */
export const KVM_MSR_ENABLED = 1n;

/** struct kvm_steal_time; 64 bytes, aligned to 64. */
export const kvm_steal_time = { steal: 0, version: 8, flags: 12, preempted: 16, size: 64 } as const;
export const KVM_VCPU_PREEMPTED = 1;
export const KVM_VCPU_FLUSH_TLB = 2;
/** Bits of MSR_KVM_STEAL_TIME that have to be zero. */
export const KVM_STEAL_RESERVED_MASK = 0x3en;

/** The byte of MSR_KVM_PV_EOI_EN: set = the guest ends its interrupt by clearing the bit. */
export const KVM_PV_EOI_BIT = 0;

/** Hypercalls, number in RAX, arguments in RBX, RCX, RDX, RSI. */
export const KVM_HC_VAPIC_POLL_IRQ = 1;
export const KVM_HC_KICK_CPU = 5;
export const KVM_HC_CLOCK_PAIRING = 9;
export const KVM_HC_SEND_IPI = 10;
export const KVM_HC_SCHED_YIELD = 11;
/** Answers of hypercalls, negated. */
export const KVM_EPERM = 1;
export const KVM_ENOSYS = 1000;

/** Names of the hypercalls, offered or not. */
export const KVM_HYPERCALL_NAMES: Readonly<Record<number, string>> = {
  [KVM_HC_VAPIC_POLL_IRQ]: "KVM_HC_VAPIC_POLL_IRQ", 2: "KVM_HC_MMU_OP", 3: "KVM_HC_FEATURES", 4: "KVM_HC_PPC_MAP_MAGIC_PAGE",
  [KVM_HC_KICK_CPU]: "KVM_HC_KICK_CPU", [KVM_HC_CLOCK_PAIRING]: "KVM_HC_CLOCK_PAIRING", [KVM_HC_SEND_IPI]: "KVM_HC_SEND_IPI",
  [KVM_HC_SCHED_YIELD]: "KVM_HC_SCHED_YIELD", 12: "KVM_HC_MAP_GPA_RANGE",
};
