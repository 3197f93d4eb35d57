/** public/memory.h: sub-operations of memory_op and their arguments. */

export const XENMEM_decrease_reservation = 1;
export const XENMEM_maximum_ram_page = 2;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_populate_physmap = 6;
export const XENMEM_add_to_physmap = 7;
export const XENMEM_remove_from_physmap = 15;
export const XENMEM_NAMES: Readonly<Record<number, string>> = {
  0: "XENMEM_increase_reservation", 1: "XENMEM_decrease_reservation", 2: "XENMEM_maximum_ram_page",
  3: "XENMEM_current_reservation", 4: "XENMEM_maximum_reservation", 5: "XENMEM_machphys_mfn_list",
  6: "XENMEM_populate_physmap", 7: "XENMEM_add_to_physmap", 9: "XENMEM_memory_map",
  10: "XENMEM_machine_memory_map", 11: "XENMEM_exchange", 12: "XENMEM_machphys_mapping",
  15: "XENMEM_remove_from_physmap", 16: "XENMEM_set_pod_target", 17: "XENMEM_get_pod_target",
  18: "XENMEM_get_sharing_freed_pages", 19: "XENMEM_get_sharing_shared_pages", 23: "XENMEM_add_to_physmap_batch",
  26: "XENMEM_get_vnumainfo", 27: "XENMEM_reserved_device_memory_map", 28: "XENMEM_acquire_resource",
};
/** Bits of the first argument above the sub-operation: where an interrupted long operation goes on. */
export const MEMOP_EXTENT_SHIFT = 6;
export const MEMOP_CMD_MASK = 0x3f;

export const XENMAPSPACE_shared_info = 0;
export const XENMAPSPACE_grant_table = 1;

export const xen_memory_reservation = {
  extent_start: 0, // guest-linear address of u64 gfns
  nr_extents: 8, // u64
  extent_order: 16, // u32
  mem_flags: 20, // u32
  domid: 24, // u16
  size: 32,
} as const;
export const xen_add_to_physmap = { domid: 0, size_field: 2, space: 4, idx: 8, gpfn: 16, size: 24 } as const;
export const xen_remove_from_physmap = { domid: 0, gpfn: 8, size: 16 } as const;
/** Highest extent order an ordinary domain may ask for (2 MiB). */
export const EXTENT_ORDER_MAX = 9;
