/**
 * Explores a variant of a scenario: all of it if it is to hold; where something is to be found, with no switch of threads more than it
 * takes (0, then 1, …), so that what is found comes in a short schedule.
 */
import { ALL_CHECKS } from "../checks.js";
import { Exploration } from "../exploration.js";
import type { FoundPath, Tally } from "../exploration.js";
import { searchStates } from "../schedulers/states.js";
import type { FindingKind, ProtocolScenario } from "./steps.js";

/** What a variant of a scenario came to. */
export interface Verdict {
  readonly verdict: FindingKind | "holds" | "unfinished";
  /** The finding in words; empty if there is none. */
  readonly says: string;
  /** Threads in the order of their steps, run lengths: `0*3 1*2`. Empty if nothing was found. */
  readonly replay: string;
  /** Steps of the schedule that shows it. */
  readonly length: number;
  /** Switches away from a thread that could have gone on: what the search was bounded to; Infinity = all. */
  readonly preemptionsMax: number;
  readonly tally: Tally;
}

/** States looked at before a search counts as unfinished. */
const STATES_MAX = 400_000;
const PREEMPTIONS_MAX = 5;
const RETRIES_MAX = 3;

/** Explores `scenario` with one of its variants, or as it is. `isDeep`: without the bounds that a scenario sets itself. */
export function exploreVariant(scenario: ProtocolScenario, variant: string | undefined, isDeep = false): Verdict {
  const expected = variant === undefined ? scenario.expected : scenario.variants[variant];
  if (expected === undefined) throw new Error(`${scenario.name} has no variant "${variant}"`);
  if (expected === "holds") return search(scenario, variant, { expected, preemptionsMax: isDeep ? Infinity : scenario.bounds?.[variant ?? ""] ?? Infinity });
  let verdict: Verdict | undefined;
  for (let preemptionsMax = 0; preemptionsMax <= PREEMPTIONS_MAX && verdict?.verdict !== expected; preemptionsMax++) {
    verdict = search(scenario, variant, { expected, preemptionsMax });
  }
  return verdict!;
}

/** Explores without any bound, up to the first finding: what a comparison with other tools measures. */
export function exploreAll(scenario: ProtocolScenario, variant: string | undefined): Verdict {
  return search(scenario, variant, { expected: "holds", preemptionsMax: Infinity });
}

interface Aim {
  readonly expected: FindingKind | "holds";
  readonly preemptionsMax: number;
}

/** What is expected to be found, in the shortest of the schedules that showed it; else whatever was found. */
function search(scenario: ProtocolScenario, variant: string | undefined, { expected, preemptionsMax }: Aim): Verdict {
  const create = (): ReturnType<ProtocolScenario["create"]> => scenario.create(variant);
  const exploration = new Exploration({
    create, isTso: scenario.isTso === true, retriesMax: RETRIES_MAX, stepsMax: Infinity, checks: ALL_CHECKS, hasClocks: false,
    visible: new Uint8Array(create().words.length + 1),
  }, { stopsAtFirst: expected === "holds", isOver: ({ states }) => states > STATES_MAX, preemptionsMax });
  searchStates(exploration);
  const found = [...exploration.findings.values()];
  const best = found.find(({ kind }) => kind === expected) ?? found[0];
  const { tally } = exploration;
  if (best !== undefined) return { verdict: best.kind, says: best.says, ...pathOf(best), preemptionsMax, tally };
  return { verdict: exploration.isIncomplete ? "unfinished" : "holds", says: "", replay: "", length: 0, preemptionsMax, tally };
}

function pathOf({ choices }: FoundPath): { replay: string; length: number } {
  const runs: { process: number; count: number }[] = [];
  for (const process of choices) {
    const last = runs.at(-1);
    if (last?.process === process) last.count++;
    else runs.push({ process, count: 1 });
  }
  return { replay: runs.map(({ process, count }) => `${process}*${count}`).join(" "), length: choices.length };
}
