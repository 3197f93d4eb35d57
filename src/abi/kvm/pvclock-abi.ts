/** Clocks that the hypervisor keeps in guest memory: asm/pvclock-abi.h. */

/** struct pvclock_vcpu_time_info; tsc_shift is a signed byte. */
export const pvclock_vcpu_time_info = {
  version: 0, tsc_timestamp: 8, system_time: 16, tsc_to_system_mul: 24, tsc_shift: 28, flags: 29, size: 32,
} as const;
export const PVCLOCK_TSC_STABLE_BIT = 1;
export const PVCLOCK_GUEST_STOPPED = 2;

/** struct pvclock_wall_clock: u32 each. */
export const pvclock_wall_clock = { version: 0, sec: 4, nsec: 8, size: 12 } as const;
