/** public/io/console.h: struct xencons_interface. Indices run freely; the ring position is index modulo the size. */
export const xencons_interface = {
  in: 0x000,
  out: 0x400,
  in_cons: 0xc00,
  in_prod: 0xc04,
  out_cons: 0xc08,
  out_prod: 0xc0c,
} as const;
export const XENCONS_IN_SIZE = 1024;
export const XENCONS_OUT_SIZE = 2048;
