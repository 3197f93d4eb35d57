/** The default guest under Node.js: its files, fetched once, and its initramfs, made at each start. */

export { defaultCacheFolder, fetchBusybox, fetchDefaultGuest, fetchKernel, type CachedPackage, type DefaultGuest, type FetchOptions } from "./default-guest.js";
export { buildInitramfs, EXEC_SLOT_COUNT, type GuestFile, type InitramfsOptions } from "./initramfs.js";
