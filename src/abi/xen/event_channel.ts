/** public/event_channel.h: sub-operations of event_channel_op, their arguments and the size of the 2-level port space. */

/** Ports 0..4095; port 0 never exists. */
export const EVTCHN_2L_NR_CHANNELS = 4096;

export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_reset = 10;
export const EVTCHNOP_NAMES: Readonly<Record<number, string>> = {
  0: "EVTCHNOP_bind_interdomain", 1: "EVTCHNOP_bind_virq", 2: "EVTCHNOP_bind_pirq", 3: "EVTCHNOP_close",
  4: "EVTCHNOP_send", 5: "EVTCHNOP_status", 6: "EVTCHNOP_alloc_unbound", 7: "EVTCHNOP_bind_ipi",
  8: "EVTCHNOP_bind_vcpu", 9: "EVTCHNOP_unmask", 10: "EVTCHNOP_reset", 11: "EVTCHNOP_init_control",
  12: "EVTCHNOP_expand_array", 13: "EVTCHNOP_set_priority", 14: "EVTCHNOP_reset_cont",
};

/** Values of evtchn_status.status. */
export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

export const evtchn_bind_interdomain = { remote_dom: 0, remote_port: 4, local_port: 8, size: 12 } as const;
export const evtchn_bind_virq = { virq: 0, vcpu: 4, port: 8, size: 12 } as const;
export const evtchn_bind_ipi = { vcpu: 0, port: 4, size: 8 } as const;
export const evtchn_close = { port: 0, size: 4 } as const;
export const evtchn_send = { port: 0, size: 4 } as const;
export const evtchn_status = { dom: 0, port: 4, status: 8, vcpu: 12, u: 16, size: 24 } as const;
export const evtchn_alloc_unbound = { dom: 0, remote_dom: 2, port: 4, size: 8 } as const;
export const evtchn_bind_vcpu = { port: 0, vcpu: 4, size: 8 } as const;
export const evtchn_unmask = { port: 0, size: 4 } as const;
export const evtchn_reset = { dom: 0, size: 2 } as const;
