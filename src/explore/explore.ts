/** Explores a scenario: searches, and if something is found makes the schedule short. */
import { Exploration, type FoundPath, LearnedMore, type SearchLimits, type Tally } from "./exploration.js";
import { type MachineOptions, nothingWatched } from "./machine-options.js";
import type { Finding, ScenarioDescription } from "./model.js";
import { boundsText, decideOptions, type DecidedOptions, type ExploreOptions, ExploreOptionError } from "./options.js";
import { drawSchedule } from "./picture.js";
import { readSchedule, writeSchedule } from "./schedule-string.js";
import { searchEvery } from "./schedulers/every.js";
import { pctScheduler } from "./schedulers/pct.js";
import { searchPartialOrders } from "./schedulers/dpor.js";
import { randomScheduler } from "./schedulers/random.js";
import { searchRuns } from "./schedulers/runs.js";
import { searchStates } from "./schedulers/states.js";
import { shortestSchedule } from "./shortest.js";
import { type Trace, traceOf } from "./trace.js";

/** A schedule that shows a finding, or one that was replayed. */
export interface ReportedSchedule {
  /** What `replay` takes. */
  readonly replay: string;
  readonly preemptions: number;
  /** Whether there is no schedule with fewer preemptions, or with as many and fewer steps, that shows such a finding. */
  readonly isShortest: boolean;
  readonly trace: Trace;
}

/** What an exploration has shown. */
export interface ExploreReport {
  readonly scenario: string;
  readonly mutation: string | undefined;
  /** incomplete: nothing was found, but not all within the bounds was looked at. replayed: one schedule, that shows nothing. */
  readonly verdict: "holds" | "fails" | "incomplete" | "replayed";
  readonly findings: readonly Finding[];
  /** Of the first finding. */
  readonly schedule: ReportedSchedule | undefined;
  /** What was searched. */
  readonly tally: Tally;
  readonly elapsedMs: number;
  /** All bounds, in words. */
  readonly bounds: string;
  /** The report for people, some lines without a line break at the end. */
  readonly text: string;
}

/** Explores a scenario. Throws ExploreOptionError or ReplayError where the options are wrong. */
export function explore(description: ScenarioDescription, options: ExploreOptions = {}): ExploreReport {
  return new Explorer(description, options).explore();
}

/** One exploration: a scenario and options that were decided. For searches in parts; others call `explore`. */
export class Explorer {
  readonly #description: ScenarioDescription;
  readonly #options: ExploreOptions;
  readonly #decided: DecidedOptions;
  readonly #machineOptions: Omit<MachineOptions, "hasClocks" | "watched">;
  readonly #beganMs = performance.now();

  constructor(description: ScenarioDescription, options: ExploreOptions) {
    this.#description = description;
    this.#options = options;
    this.#decided = decideOptions(options);
    const { mutation } = options;
    if (mutation !== undefined && !(description.mutations ?? []).includes(mutation)) {
      const known = description.mutations?.map((name) => `"${name}"`).join(", ");
      throw new ExploreOptionError(`${description.name} has no mutation "${mutation}"${known === undefined ? "" : `: ${known}`}`);
    }
    const { memoryModel, retries, steps, checks } = this.#decided;
    this.#machineOptions = { create: () => description.create(mutation), isTso: memoryModel === "tso", retriesMax: retries, stepsMax: steps, checks };
  }

  explore(): ExploreReport {
    const { replay } = this.#options;
    if (replay !== undefined) return this.#replay(replay);
    const exploration = this.#search();
    const [first] = exploration.findings.values();
    if (first === undefined) return this.#report(exploration.isIncomplete ? "incomplete" : "holds", [], exploration.tally);
    return this.reportFound(first, [...exploration.findings.values()], exploration.tally);
  }

  /** Report of a finding: its schedule made short. */
  reportFound(first: FoundPath, all: readonly Finding[], tally: Tally): ExploreReport {
    const shortest = shortestSchedule(this.#watching(), first.kind);
    const trace = traceOf(this.#machineOptions, shortest ?? first.choices);
    const shown = [...trace.atStart, ...trace.steps.flatMap(({ findings }) => findings), ...trace.atEnd].find(({ kind }) => kind === first.kind) ?? first;
    const others = all.filter(({ kind, says }) => kind !== shown.kind || says !== shown.says).map(({ kind, says }) => ({ kind, says }));
    const schedule = this.#schedule(trace, shortest ?? first.choices, shortest !== undefined);
    return this.#report("fails", [{ kind: shown.kind, says: shown.says }, ...others], tally, schedule);
  }

  /** What a machine for this exploration is made with. */
  get machineOptions(): MachineOptions {
    return this.#watching();
  }

  /** Report of a search that was made in parts and found nothing. */
  reportHolds(tally: Tally): ExploreReport {
    return this.#report("holds", [], tally);
  }

  #replay(text: string): ExploreReport {
    const choices = readSchedule(text, this.#header());
    const trace = traceOf(this.#machineOptions, choices);
    const findings = [...trace.atStart, ...trace.steps.flatMap((step) => step.findings), ...trace.atEnd];
    const tally: Tally = { schedules: 1, cut: 0, pruned: 0, states: 0, steps: choices.length, depthMax: choices.length };
    return this.#report(findings.length > 0 ? "fails" : "replayed", findings, tally, this.#schedule(trace, choices, false));
  }

  #header(): Parameters<typeof writeSchedule>[0] {
    const { memoryModel, retries } = this.#decided;
    return { scenario: this.#description.name, mutation: this.#options.mutation, memoryModel, retries };
  }

  #schedule(trace: Trace, choices: readonly number[], isShortest: boolean): ReportedSchedule {
    return { replay: writeSchedule(this.#header(), choices), preemptions: trace.preemptions, isShortest, trace };
  }

  #watching(): MachineOptions {
    const { words } = this.#machineOptions.create();
    const hasClocks = this.#decided.scheduler !== "dfs" || this.#decided.reduction !== "states";
    return { ...this.#machineOptions, hasClocks, watched: nothingWatched(words.length) };
  }

  #search(): Exploration {
    const machineOptions = this.#watching();
    const { findsAll, preemptions, timeMsMax } = this.#decided;
    const { onProgress } = this.#options;
    const limits: SearchLimits = {
      stopsAtFirst: !findsAll, preemptionsMax: preemptions,
      isOver: (tally) => {
        const elapsedMs = performance.now() - this.#beganMs;
        onProgress?.(tally, elapsedMs);
        return elapsedMs > timeMsMax;
      },
    };
    for (;;) {
      const exploration = new Exploration(machineOptions, limits);
      try {
        if (!exploration.isDone) this.#run(exploration);
        return exploration;
      } catch (error) {
        if (!(error instanceof LearnedMore)) throw error;
      }
    }
  }

  #run(exploration: Exploration): void {
    const { scheduler, reduction, seed, runs, pctDepth } = this.#decided;
    const { processCount } = exploration.machine;
    if (scheduler === "random") searchRuns(exploration, randomScheduler(seed, runs));
    else if (scheduler === "pct") searchRuns(exploration, pctScheduler({ seed, runs, depth: pctDepth, processCount }));
    else if (reduction === "dpor") searchPartialOrders(exploration);
    else if (reduction === "states") searchStates(exploration);
    else searchEvery(exploration);
  }

  #report(verdict: ExploreReport["verdict"], findings: readonly Finding[], tally: Tally, schedule?: ReportedSchedule): ExploreReport {
    const elapsedMs = performance.now() - this.#beganMs;
    const bounds = boundsText(this.#decided, this.#machineOptions.create().threads.map(({ name }) => name));
    const { name: scenario } = this.#description;
    const { mutation } = this.#options;
    const parts = { scenario, mutation, verdict, findings, schedule, tally, elapsedMs, bounds };
    return { ...parts, text: reportLines(parts).join("\n") };
  }
}

/** The report's text: the schedule if there is one, and the verdict last. */
function reportLines({ scenario, mutation, verdict, findings, schedule, tally, bounds }: Omit<ExploreReport, "text">): string[] {
  const name = mutation === undefined ? scenario : `${scenario} with "${mutation}"`;
  const counts = countsText(tally);
  if (verdict === "holds") return [`${name} holds within this bound: ${bounds}`, counts];
  if (verdict === "incomplete") return [`${name}: nothing found, but the time was over before all was looked at; bound: ${bounds}`, counts];
  const lines = schedule === undefined ? [] : [...drawSchedule(schedule.trace), ""];
  if (verdict === "replayed") return [...lines, `${name}: this schedule shows nothing wrong`];
  const length = schedule === undefined ? "" : ` (${schedule.trace.steps.length} steps, ${schedule.preemptions} preemption${schedule.preemptions === 1 ? "" : "s"}${schedule.isShortest ? ", the fewest there are" : ""})`;
  const [first, ...others] = findings;
  return [
    ...lines, `${name} fails: ${first!.kind}: ${first!.says}${length}`, ...others.map(({ kind, says }) => `also: ${kind}: ${says}`),
    ...(schedule === undefined ? [] : [`replay: ${schedule.replay}`]), `bound: ${bounds}`, counts,
  ];
}

/** What was searched, in words. */
function countsText({ schedules, cut, states, steps, depthMax, pruned }: Tally): string {
  const parts = [
    `${schedules} schedule${schedules === 1 ? "" : "s"}`, states > 0 ? `${states} states` : undefined, `${steps} steps`, `depth ${depthMax}`,
    cut > 0 ? `${cut} cut at the bound of retries or steps` : undefined, pruned > 0 ? `${pruned} left early as repetitions` : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

