/** public/io/xs_wire.h: the xenstore ring and its messages. */

export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;

/** struct xsd_sockmsg. */
export const xsd_sockmsg = { type: 0, req_id: 4, tx_id: 8, len: 12, size: 16 } as const;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

/** struct xenstore_domain_interface. */
export const xenstore_domain_interface = {
  req: 0x000,
  rsp: 0x400,
  req_cons: 0x800,
  req_prod: 0x804,
  rsp_cons: 0x808,
  rsp_prod: 0x80c,
  server_features: 0x810,
  connection: 0x814,
  error: 0x818,
} as const;
export const XENSTORE_RING_SIZE = 1024;
export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;
