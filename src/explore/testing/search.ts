/** Searches a scenario to the end, for tests: outcomes, findings and counts. */
import { ALL_CHECKS, type EngineChecks } from "../checks.js";
import { Exploration, LearnedMore, type SearchLimits, type Tally } from "../exploration.js";
import type { Machine } from "../machine.js";
import { nothingWatched } from "../machine-options.js";
import type { Scenario } from "../model.js";
import { searchEvery } from "../schedulers/every.js";
import { searchPartialOrders } from "../schedulers/dpor.js";
import { searchStates } from "../schedulers/states.js";

export const SEARCHES = { every: searchEvery, dpor: searchPartialOrders, states: (exploration: Exploration) => searchStates(exploration) };
export type SearchName = keyof typeof SEARCHES;

/** What a search has seen. */
export interface Searched {
  readonly outcomes: ReadonlySet<string>;
  readonly findings: ReadonlySet<string>;
  readonly tally: Tally;
}

/** Options of a search in a test. */
export interface SearchOptions {
  readonly isTso?: boolean;
  readonly retriesMax?: number;
  readonly stepsMax?: number;
  readonly preemptionsMax?: number;
  readonly checks?: Partial<EngineChecks>;
  readonly stepsLimit?: number;
  /** What is collected at each end; default: all words. */
  readonly outcome?: (machine: Machine) => string;
}

/** Searches all of it. Throws if that takes more than `stepsLimit` steps. */
export function searchAll(create: () => Scenario, name: SearchName, options: SearchOptions = {}): Searched {
  const { isTso = false, retriesMax = 3, stepsMax = Infinity, preemptionsMax = Infinity, checks = {}, stepsLimit = 50_000_000 } = options;
  const outcomes = new Set<string>();
  const outcome = options.outcome ?? ((machine: Machine): string => machine.wordNames.map((_, cell) => machine.value(cell)).join(" "));
  const limits: SearchLimits = {
    stopsAtFirst: false, isOver: ({ steps }) => steps > stepsLimit, preemptionsMax, onEnd: (machine) => void outcomes.add(outcome(machine)),
  };
  const watched = nothingWatched(create().words.length);
  for (;;) {
    const exploration = new Exploration({
      create, isTso, retriesMax, stepsMax, checks: { ...ALL_CHECKS, ...checks }, hasClocks: name !== "states", watched,
    }, limits);
    try {
      SEARCHES[name](exploration);
    } catch (error) {
      if (error instanceof LearnedMore) continue;
      throw error;
    }
    if (exploration.isIncomplete) throw new Error(`${name}: more than ${stepsLimit} steps`);
    return { outcomes, findings: new Set(exploration.findings.keys()), tally: exploration.tally };
  }
}
