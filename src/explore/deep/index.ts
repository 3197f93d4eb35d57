/** A search in parts, for scripts/explore-deep.mjs: how to split it, how to explore a part, how to report. */
export { Explorer } from "../explore.js";
export { addTally, explorePart, type PartResult, splitSearch, type Split } from "./parts.js";
export { SharedStateSet, sharedStates } from "./shared-state-set.raw.js";
