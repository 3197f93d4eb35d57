/** public/vcpu.h: sub-operations of vcpu_op, run states and arguments. */

export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_send_nmi = 11;
export const VCPUOP_register_vcpu_time_memory_area = 13;
export const VCPUOP_NAMES: Readonly<Record<number, string>> = {
  0: "VCPUOP_initialise", 1: "VCPUOP_up", 2: "VCPUOP_down", 3: "VCPUOP_is_up", 4: "VCPUOP_get_runstate_info",
  5: "VCPUOP_register_runstate_memory_area", 6: "VCPUOP_set_periodic_timer", 7: "VCPUOP_stop_periodic_timer",
  8: "VCPUOP_set_singleshot_timer", 9: "VCPUOP_stop_singleshot_timer", 10: "VCPUOP_register_vcpu_info",
  11: "VCPUOP_send_nmi", 12: "VCPUOP_get_physid", 13: "VCPUOP_register_vcpu_time_memory_area",
};

export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;
/** struct vcpu_runstate_info. */
export const vcpu_runstate_info = { state: 0, state_entry_time: 8, time: 16, size: 48 } as const;
/** Top bit of state_entry_time: the area is being changed (VMASST_TYPE_runstate_update_flag). */
export const XEN_RUNSTATE_UPDATE = 1n << 63n;

export const vcpu_set_periodic_timer = { period_ns: 0, size: 8 } as const;
/** Shortest period Xen accepts, in ns. */
export const PERIODIC_TIMER_NS_MIN = 1_000_000n;
export const vcpu_set_singleshot_timer = { timeout_abs_ns: 0, flags: 8, size: 16 } as const;
export const VCPU_SSHOTTMR_future = 1;
export const vcpu_register_vcpu_info = { mfn: 0, offset: 8, size: 16 } as const;
