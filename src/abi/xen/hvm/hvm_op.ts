/** public/hvm/hvm_op.h: sub-operations of hvm_op. */
export const HVMOP_set_param = 0;
export const HVMOP_get_param = 1;
export const HVMOP_pagetable_dying = 9;
export const HVMOP_get_time = 10;
export const HVMOP_NAMES: Readonly<Record<number, string>> = {
  0: "HVMOP_set_param", 1: "HVMOP_get_param", 2: "HVMOP_set_pci_intx_level", 3: "HVMOP_set_isa_irq_level",
  4: "HVMOP_set_pci_link_route", 5: "HVMOP_flush_tlbs", 6: "HVMOP_track_dirty_vram", 7: "HVMOP_modified_memory",
  8: "HVMOP_set_mem_type", 9: "HVMOP_pagetable_dying", 10: "HVMOP_get_time", 11: "HVMOP_xentrace",
  12: "HVMOP_set_mem_access", 13: "HVMOP_get_mem_access", 14: "HVMOP_inject_trap", 15: "HVMOP_get_mem_type",
  22: "HVMOP_guest_request_vm_event", 23: "HVMOP_set_evtchn_upcall_vector", 25: "HVMOP_altp2m",
};
export const xen_hvm_param = { domid: 0, index: 4, value: 8, size: 16 } as const;
export const xen_hvm_get_time = { now: 0, size: 8 } as const;
