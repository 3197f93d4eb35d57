/**
 * Explores a variant of a scenario: all of it if it is to hold; where something is to be found, the shortest schedule that shows it, fewest
 * switches of threads first.
 */
import { ALL_CHECKS } from "../checks.js";
import { Exploration, type Tally } from "../exploration.js";
import { nothingWatched, type MachineOptions } from "../machine-options.js";
import { RETRIES_DEFAULT } from "../options.js";
import { writeSchedule } from "../schedule-string.js";
import { searchStates } from "../schedulers/states.js";
import { shortestSchedule } from "../shortest.js";
import { traceOf } from "../trace.js";
import type { FindingKind, ProtocolScenario } from "./steps.js";

/** What a variant of a scenario came to. */
export interface Verdict {
  readonly verdict: FindingKind | "holds" | "unfinished";
  /** The finding in words; empty if there is none. */
  readonly says: string;
  /** The schedule that shows it, as `unpinned explore --replay` takes it. Empty if nothing was found. */
  readonly replay: string;
  /** Steps of that schedule. */
  readonly length: number;
  /** Switches away from a thread that could have gone on: what the search was bounded to; Infinity = all. */
  readonly preemptionsMax: number;
  readonly tally: Tally;
}

/** States looked at before a search counts as unfinished. */
const STATES_MAX = 400_000;
const DEEP_STATES_MAX = 50_000_000;

/** Explores `scenario` with one of its variants, or as it is. `isDeep`: without the bounds that a scenario sets itself. */
export function exploreVariant(scenario: ProtocolScenario, variant: string | undefined, isDeep = false): Verdict {
  const expected = variant === undefined ? scenario.expected : scenario.variants[variant];
  if (expected === undefined) throw new Error(`${scenario.name} has no variant "${variant}"`);
  const options = machineOptions(scenario, variant);
  const shortest = expected === "holds" ? undefined : shortestSchedule(options, expected);
  if (shortest !== undefined) return verdictOf(scenario, variant, shortest);
  const preemptionsMax = isDeep ? Infinity : scenario.bounds?.[variant ?? ""] ?? Infinity;
  return search(scenario, variant, { preemptionsMax, statesMax: isDeep ? DEEP_STATES_MAX : STATES_MAX });
}

/** Explores without any bound, up to the first finding, in the order in which the search comes by it: what a comparison with other tools measures. */
export function exploreAll(scenario: ProtocolScenario, variant: string | undefined): Verdict {
  return search(scenario, variant, { preemptionsMax: Infinity, statesMax: STATES_MAX });
}

function machineOptions(scenario: ProtocolScenario, variant: string | undefined): MachineOptions {
  const create = (): ReturnType<ProtocolScenario["create"]> => scenario.create(variant);
  return {
    create, isTso: scenario.isTso === true, retriesMax: RETRIES_DEFAULT, stepsMax: Infinity, checks: ALL_CHECKS, hasClocks: false,
    watched: nothingWatched(create().words.length),
  };
}

/** What the schedule shows, and what a search counts that is bounded to as many preemptions as it has. */
function verdictOf(scenario: ProtocolScenario, variant: string | undefined, choices: readonly number[]): Verdict {
  const trace = traceOf(machineOptions(scenario, variant), choices);
  const kind = variant === undefined ? scenario.expected : scenario.variants[variant];
  const found = [...trace.atStart, ...trace.steps.flatMap(({ findings }) => findings), ...trace.atEnd].find((finding) => finding.kind === kind);
  if (found === undefined) throw new Error(`${scenario.name}, ${variant ?? "as it is"}: the shortest schedule does not show ${kind}`);
  const { tally } = explorationOf(scenario, variant, { preemptionsMax: trace.preemptions, statesMax: STATES_MAX, stopsAtFirst: false });
  const replay = replayOf(scenario, variant, choices);
  return { verdict: found.kind, says: found.says, replay, length: choices.length, preemptionsMax: trace.preemptions, tally };
}

interface Bounds {
  readonly preemptionsMax: number;
  readonly statesMax: number;
  readonly stopsAtFirst?: boolean;
}

function explorationOf(scenario: ProtocolScenario, variant: string | undefined, bounds: Bounds): Exploration {
  const { preemptionsMax, statesMax, stopsAtFirst = true } = bounds;
  const isOver = ({ states }: Tally): boolean => states > statesMax;
  const exploration = new Exploration(machineOptions(scenario, variant), { stopsAtFirst, isOver, preemptionsMax });
  searchStates(exploration);
  return exploration;
}

function search(scenario: ProtocolScenario, variant: string | undefined, bounds: Bounds): Verdict {
  const exploration = explorationOf(scenario, variant, bounds);
  const [found] = exploration.findings.values();
  const { tally } = exploration;
  const { preemptionsMax } = bounds;
  const none = { says: "", replay: "", length: 0, preemptionsMax, tally };
  if (found === undefined) return { verdict: exploration.isIncomplete ? "unfinished" : "holds", ...none };
  const { kind, says, choices } = found;
  return { verdict: kind, says, replay: replayOf(scenario, variant, choices), length: choices.length, preemptionsMax, tally };
}

function replayOf(scenario: ProtocolScenario, variant: string | undefined, choices: readonly number[]): string {
  const memoryModel = scenario.isTso === true ? "tso" : "sc";
  return writeSchedule({ scenario: scenario.name, mutation: variant, memoryModel, retries: RETRIES_DEFAULT }, choices);
}
