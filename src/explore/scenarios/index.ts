/** Scenarios that the command line knows by name. */
import type { ScenarioDescription } from "../model.js";
import { lockOrder, lostWakeup, storeBuffering } from "./classics.js";
import { ALL_SCENARIOS } from "../protocols/catalogue.js";
import { naiveRefresher } from "./naive-refresher.js";

/** All of them, in the order in which they are listed. */
export const SCENARIOS: readonly ScenarioDescription[] = [naiveRefresher, lostWakeup, lockOrder, storeBuffering, ...ALL_SCENARIOS];
