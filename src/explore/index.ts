/**
 * Explores threads over all their interleavings. `explore` takes a scenario and gives a report; scenarios are generator functions that yield
 * every shared access. docs/explore.md has an example; the package exports this as "unpinned/explore".
 */
export type { EngineChecks } from "./checks.js";
export type { Tally } from "./exploration.js";
export { explore, type ExploreReport, type ReportedSchedule } from "./explore.js";
export { drawPage } from "./page.js";
export type { Cell, Finding, ModelView, Operation, Scenario, ScenarioDescription, ScenarioThread } from "./model.js";
export {
  add, allocate, claim, fence, free, load, lock, noSleep, note, plainLoad, plainStore, readLock, readOnce, readUnlock, retry, sleepUntil, spinLock,
  spinUntil, store, tryLock, unlock, update, use, useWrite, writeLock, writeOnce, writeUnlock,
} from "./operations.js";
export { ExploreOptionError, type ExploreOptions, type ReductionName, type SchedulerName } from "./options.js";
export { ReplayError } from "./schedulers/replay.js";
export { ScenarioError } from "./scenario-error.js";
export { SCENARIOS } from "./scenarios/index.js";
export type { Trace, TraceStep } from "./trace.js";
