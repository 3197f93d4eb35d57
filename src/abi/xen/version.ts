/** public/version.h: sub-operations of xen_version. */

export const XENVER_version = 0;
export const XENVER_extraversion = 1;
export const XENVER_compile_info = 2;
export const XENVER_capabilities = 3;
export const XENVER_changeset = 4;
export const XENVER_platform_parameters = 5;
export const XENVER_get_features = 6;
export const XENVER_pagesize = 7;
export const XENVER_guest_handle = 8;
export const XENVER_commandline = 9;
export const XENVER_NAMES: Readonly<Record<number, string>> = {
  0: "XENVER_version", 1: "XENVER_extraversion", 2: "XENVER_compile_info", 3: "XENVER_capabilities",
  4: "XENVER_changeset", 5: "XENVER_platform_parameters", 6: "XENVER_get_features", 7: "XENVER_pagesize",
  8: "XENVER_guest_handle", 9: "XENVER_commandline", 10: "XENVER_build_id",
};
/** The release whose ABI is offered, major << 16 | minor. */
export const XEN_VERSION = 0x0004_0011;

/** Byte lengths of the text fields. */
export const XEN_EXTRAVERSION_LEN = 16;
export const XEN_CAPABILITIES_INFO_LEN = 1024;
export const XEN_CHANGESET_INFO_LEN = 64;
export const XEN_COMMANDLINE_LEN = 1024;
export const xen_compile_info = { compiler: 0, compile_by: 64, compile_domain: 80, compile_date: 112, size: 144 } as const;
export const xen_feature_info = { submap_idx: 0, submap: 4, size: 8 } as const;
