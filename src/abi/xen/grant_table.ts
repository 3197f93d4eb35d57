/** public/grant_table.h: version 1 entries and the sub-operations of grant_table_op. */

export const GNTTABOP_query_size = 6;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_NAMES: Readonly<Record<number, string>> = {
  0: "GNTTABOP_map_grant_ref", 1: "GNTTABOP_unmap_grant_ref", 2: "GNTTABOP_setup_table", 3: "GNTTABOP_dump_table",
  4: "GNTTABOP_transfer", 5: "GNTTABOP_copy", 6: "GNTTABOP_query_size", 7: "GNTTABOP_unmap_and_replace",
  8: "GNTTABOP_set_version", 9: "GNTTABOP_get_status_frames", 10: "GNTTABOP_get_version",
  11: "GNTTABOP_swap_grant_ref", 12: "GNTTABOP_cache_flush",
};
export const gnttab_query_size = { dom: 0, nr_frames: 4, max_nr_frames: 8, status: 12, size: 16 } as const;
export const gnttab_set_version = { version: 0, size: 4 } as const;
export const gnttab_get_version = { dom: 0, version: 4, size: 8 } as const;
export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;

/** Grant frames a guest may map. */
export const GRANT_FRAMES_MAX = 64;
/** struct grant_entry_v1. */
export const grant_entry_v1 = { flags: 0, domid: 2, frame: 4, size: 8 } as const;
export const GRANT_ENTRIES_PER_FRAME = 512;
export const GTF_type_mask = 3;
export const GTF_permit_access = 1;
export const GTF_readonly = 4;
export const GTF_reading = 8;
export const GTF_writing = 16;
