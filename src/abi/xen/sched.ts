/** public/sched.h: sub-operations of sched_op. */

export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SCHEDOP_NAMES: Readonly<Record<number, string>> = {
  0: "SCHEDOP_yield", 1: "SCHEDOP_block", 2: "SCHEDOP_shutdown", 3: "SCHEDOP_poll", 4: "SCHEDOP_remote_shutdown",
  5: "SCHEDOP_shutdown_code", 6: "SCHEDOP_watchdog", 7: "SCHEDOP_pin_override",
};
export const sched_shutdown = { reason: 0, size: 4 } as const;
export const sched_poll = { ports: 0, nr_ports: 8, timeout: 16, size: 24 } as const;
/** Most ports one SCHEDOP_poll may name. */
export const POLL_PORTS_MAX = 128;

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;
