/** Explores the source that ships: scenarios whose threads run the modules of dist/ themselves, instrumented. */
export type { ShippedFault } from "./faults.js";
export { faultsOf } from "./faults.js";
export { loadShippedScenario, SHIPPED_SCENARIOS } from "./scenarios.js";
