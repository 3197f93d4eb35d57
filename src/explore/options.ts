/** What an exploration can be asked for, and the words for its bounds. */
import { ALL_CHECKS, type EngineChecks } from "./checks.js";
import type { Tally } from "./exploration.js";

/** How schedules are chosen. dfs: all within the bounds; random and pct: so many by chance. */
export type SchedulerName = "dfs" | "random" | "pct";
/**
 * What an exhaustive search leaves out, none of which can hide a finding. states: paths from a state that was reached before; dpor: orders
 * of steps that commute; none: nothing.
 */
export type ReductionName = "states" | "dpor" | "none";

/** Options of `explore`; what is left out has the value in brackets. */
export interface ExploreOptions {
  /** A fault of the scenario's to plant (none). */
  readonly mutation?: string;
  /** ("dfs") */
  readonly scheduler?: SchedulerName;
  /** For dfs ("states"). With a bound on preemptions: states or none. */
  readonly reduction?: ReductionName;
  /** "tso": plain stores are delayed, as x86 processors do ("sc"). */
  readonly memoryModel?: "sc" | "tso";
  /** Most switches away from a thread that could have gone on; dfs only (no bound). */
  readonly preemptions?: number;
  /** Rounds of its retry loops that a thread makes (3). */
  readonly retries?: number;
  /** Steps that a thread makes (10 000). */
  readonly steps?: number;
  /** What runs by chance follow from (1). */
  readonly seed?: number;
  /** Runs by chance (10 000). */
  readonly runs?: number;
  /** Ordering constraints that pct looks for, 1 or more (3). */
  readonly pctDepth?: number;
  /** Carries out this one schedule, as an earlier report gave it. */
  readonly replay?: string;
  /** All findings there are, not the first alone (false). */
  readonly findsAll?: boolean;
  /** Time after which an unfinished search ends as incomplete, milliseconds (no bound). */
  readonly timeMsMax?: number;
  /** Called now and then while searching. */
  readonly onProgress?: (tally: Tally, elapsedMs: number) => void;
  /** For tests of the engine: what it shall not check. */
  readonly checks?: Partial<EngineChecks>;
}

/** Options with every value decided. */
export type DecidedOptions = Required<Omit<ExploreOptions, "mutation" | "replay" | "onProgress" | "checks">> & {
  readonly checks: EngineChecks;
};

/** Rounds of a retry loop, where nothing else is said. */
export const RETRIES_DEFAULT = 3;
const STEPS_DEFAULT = 10_000;
const RUNS_DEFAULT = 10_000;

/** An option has a value that it cannot have, or that does not go together with another. The message is one line. */
export class ExploreOptionError extends Error {
  override readonly name = "ExploreOptionError";
  readonly code = "ERR_EXPLORE_OPTION";
}

/** Decides what was left open. Throws ExploreOptionError. */
export function decideOptions(options: ExploreOptions): DecidedOptions {
  const { scheduler = "dfs", preemptions = Infinity, reduction = "states" } = options;
  if (preemptions !== Infinity && scheduler !== "dfs") throw new ExploreOptionError(`a bound on preemptions is for the scheduler dfs, not ${scheduler}`);
  if (preemptions !== Infinity && reduction === "dpor") {
    throw new ExploreOptionError("with a bound on preemptions the reduction dpor would miss schedules: use states");
  }
  const decided: DecidedOptions = {
    scheduler, reduction, preemptions, memoryModel: options.memoryModel ?? "sc", retries: options.retries ?? RETRIES_DEFAULT,
    steps: options.steps ?? STEPS_DEFAULT, seed: options.seed ?? 1, runs: options.runs ?? RUNS_DEFAULT, pctDepth: options.pctDepth ?? 3,
    findsAll: options.findsAll ?? false, timeMsMax: options.timeMsMax ?? Infinity, checks: { ...ALL_CHECKS, ...options.checks },
  };
  for (const name of ["preemptions", "retries", "steps", "runs", "pctDepth"] as const) {
    const least = name === "preemptions" || name === "retries" ? 0 : 1;
    const value = decided[name];
    if (!(value >= least) || (value !== Infinity && !Number.isInteger(value))) throw new ExploreOptionError(`${name}: ${value} is no whole number from ${least} on`);
  }
  return decided;
}

const REDUCTION_TEXTS: Readonly<Record<ReductionName, string>> = {
  states: "every state once", dpor: "one schedule for each order of the steps that do not commute", none: "every schedule",
};

function amount(count: number, unit: string): string {
  return count === Infinity ? `any number of ${unit}s` : `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** All bounds of an exploration, in words. */
export function boundsText(options: DecidedOptions, threadNames: readonly string[]): string {
  const { scheduler, reduction, preemptions, memoryModel, retries, steps, seed, runs, pctDepth } = options;
  const how = scheduler === "dfs" ? `${REDUCTION_TEXTS[reduction]} (${reduction})`
    : scheduler === "random" ? `${amount(runs, "run")} by chance, seed ${seed}` : `${amount(runs, "run")} by chance with changing priorities (pct, depth ${pctDepth}), seed ${seed}`;
  return [
    `${amount(threadNames.length, "thread")} (${threadNames.join(", ")})`,
    scheduler === "dfs" ? amount(preemptions, "preemption") : undefined,
    `${retries === Infinity ? "any number of retries" : retries === 1 ? "1 retry" : `${retries} retries`} and ${amount(steps, "step")} a thread`,
    `memory model ${memoryModel === "sc" ? "sc (sequentially consistent)" : "tso (plain stores delayed by up to 8 entries)"}`,
    how,
  ].filter((part) => part !== undefined).join("; ");
}
