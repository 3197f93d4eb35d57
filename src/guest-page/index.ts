/** The public face of guest-page: how everything but the processor reaches guest memory. */
export type { CodeWriteListener, GuestPage, PageValue, RefreshResult } from "./guest-page.js";
export type { GuestMemoryOptions } from "./guest-memory.js";
export { GuestMemory } from "./guest-memory.js";
export { PAGE_ACCESS_NAMES } from "./page-access.js";
export type { PageAccess } from "./page-access.js";
export type { PageView } from "./page-view.raw.js";
