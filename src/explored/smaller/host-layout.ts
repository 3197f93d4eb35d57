/** The layout of host-memory with fewer reader slots, all of which an invalidation looks at: what explored modules import instead. */
export * from "../../host-memory/layout.js";

/** More threads than any scenario has. */
export const READER_SLOT_COUNT = 8;
