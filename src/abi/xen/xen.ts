/** Words of public/xen.h and public/arch-x86/xen.h: hypercall numbers, domain ids, virtual interrupts, shared_info. */

/** Hypercall numbers (RAX) and the names under which calls are counted. */
export const HYPERCALL_NAMES: Readonly<Record<number, string>> = {
  0: "set_trap_table", 1: "mmu_update", 2: "set_gdt", 3: "stack_switch", 4: "set_callbacks", 5: "fpu_taskswitch",
  6: "sched_op_compat", 7: "platform_op", 8: "set_debugreg", 9: "get_debugreg", 10: "update_descriptor",
  12: "memory_op", 13: "multicall", 14: "update_va_mapping", 15: "set_timer_op", 16: "event_channel_op_compat",
  17: "xen_version", 18: "console_io", 19: "physdev_op_compat", 20: "grant_table_op", 21: "vm_assist",
  22: "update_va_mapping_otherdomain", 23: "iret", 24: "vcpu_op", 25: "set_segment_base", 26: "mmuext_op",
  27: "xsm_op", 28: "nmi_op", 29: "sched_op", 30: "callback_op", 31: "xenoprof_op", 32: "event_channel_op",
  33: "physdev_op", 34: "hvm_op", 35: "sysctl", 36: "domctl", 37: "kexec_op", 38: "tmem_op", 39: "argo_op",
  40: "xenpmu_op", 41: "dm_op", 42: "hypfs_op",
};
export const __HYPERVISOR_memory_op = 12;
export const __HYPERVISOR_set_timer_op = 15;
export const __HYPERVISOR_xen_version = 17;
export const __HYPERVISOR_grant_table_op = 20;
export const __HYPERVISOR_vm_assist = 21;
export const __HYPERVISOR_vcpu_op = 24;
export const __HYPERVISOR_sched_op = 29;
export const __HYPERVISOR_event_channel_op = 32;
export const __HYPERVISOR_hvm_op = 34;

/** The guest's own id, the id of the back ends, and the word for "the caller". */
export const DOMID_GUEST = 1;
export const DOMID_BACKEND = 0;
export const DOMID_SELF = 0x7ff0;

/** Virtual interrupts. */
export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_XENOPROF = 7;
export const VIRQ_XENPMU = 13;
export const NR_VIRQS = 24;
/** Virtual interrupts of which every vCPU has its own; the others exist once and start at vCPU 0. */
export const PER_VCPU_VIRQS: readonly number[] = [VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF, VIRQ_XENPMU];

/** vm_assist commands and the one type that a translated guest may set. */
export const VMASST_CMD_enable = 0;
export const VMASST_CMD_disable = 1;
export const VMASST_TYPE_runstate_update_flag = 5;

/** struct vcpu_info. */
export const vcpu_info = {
  evtchn_upcall_pending: 0, // u8
  evtchn_upcall_mask: 1, // u8, without meaning for a PVH guest
  evtchn_pending_sel: 8, // u64
  arch_cr2: 16, // u64
  time: 32, // struct vcpu_time_info
  size: 64,
} as const;

/** struct vcpu_time_info, also called pvclock. */
export const vcpu_time_info = {
  version: 0, // u32, odd while it changes
  tsc_timestamp: 8, // u64
  system_time: 16, // u64, nanoseconds
  tsc_to_system_mul: 24, // u32
  tsc_shift: 28, // s8
  flags: 29, // u8
  size: 32,
} as const;
export const XEN_PVCLOCK_TSC_STABLE_BIT = 1;
export const XEN_PVCLOCK_GUEST_STOPPED = 2;

/** struct shared_info. */
export const shared_info = {
  vcpu_info: 0, // 32 * struct vcpu_info
  evtchn_pending: 0x800, // 64 * u64
  evtchn_mask: 0xa00, // 64 * u64
  wc_version: 0xc00, // u32
  wc_sec: 0xc04, // u32
  wc_nsec: 0xc08, // u32
  wc_sec_hi: 0xc0c, // u32
  arch: 0xc10,
  size: 0xc40,
} as const;
/** vCPUs whose vcpu_info has a place in shared_info. */
export const XEN_LEGACY_MAX_VCPUS = 32;
