/** public/features.h: bit numbers of the feature submap 0. */
export const XENFEAT_writable_page_tables = 0;
export const XENFEAT_auto_translated_physmap = 2;
export const XENFEAT_hvm_callback_vector = 8;
export const XENFEAT_hvm_safe_pvclock = 9;
export const XENFEAT_memory_op_vnode_supported = 13;
export const XENFEAT_not_direct_mapped = 16;

/** What this hypervisor offers. hvm_pirqs (10) and dom0 (11) stay off: there are no physical interrupts. */
export const XENFEAT_SUBMAP_0 =
  (1 << XENFEAT_writable_page_tables) | (1 << XENFEAT_auto_translated_physmap) | (1 << XENFEAT_hvm_callback_vector) |
  (1 << XENFEAT_hvm_safe_pvclock) | (1 << XENFEAT_memory_op_vnode_supported) | (1 << XENFEAT_not_direct_mapped);
