/** The public face of guest-page: how everything but the processor reaches guest memory. */
export type { CodeWriteListener, RefreshResult } from "./guest-page.js";
export { GuestPage } from "./guest-page.js";
export type { GuestMemoryOptions } from "./guest-memory.js";
export { GuestMemory } from "./guest-memory.js";
export type { PageView } from "./page-view.raw.js";
