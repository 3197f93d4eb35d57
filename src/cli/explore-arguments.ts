/** The arguments of `unpinned explore`, apart from what it does: a run needs no explorer. */
import { Option, type Command } from "commander";
import type { ExploreOptions } from "../explore/index.js";
import { UsageError } from "./errors.js";
import { parseWhole } from "./sizes.js";

/** What `unpinned explore` was asked for. */
export interface ExploreArguments {
  /** A scenario's name or a file; undefined: list them. */
  readonly name?: string;
  readonly options: ExploreOptions;
  readonly json: boolean;
  /** File for the page. */
  readonly html?: string;
}

interface RawExploreOptions {
  mutation?: string;
  scheduler?: "dfs" | "random" | "pct";
  reduction?: "states" | "dpor" | "none";
  preemptions?: string;
  retries?: string;
  steps?: string;
  tso?: boolean;
  seed?: string;
  runs?: string;
  json?: boolean;
  replay?: string;
  html?: string;
  all?: boolean;
}

const COUNT_MAX = 2 ** 31;

/** Adds the command. `onExplore` is called when it is given; it, too, throws UsageError. */
export function addExploreCommand(program: Command, onExplore: (args: ExploreArguments) => void): void {
  program.command("explore")
    .description("run a protocol's threads through all their schedules; without a name: list what there is")
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .argument("[scenario]", "a name of the list, or a file ./my.ts or ./my.js that exports `scenario`")
    .option("--mutation <name>", "plant one of the scenario's faults")
    .addOption(new Option("--scheduler <how>", "dfs: all schedules; random, pct: some by chance (default: dfs)").choices(["dfs", "random", "pct"]))
    .addOption(new Option("--reduction <what>", "what dfs looks at: every state once, an order of dependent steps once, or every schedule (default: states)")
      .choices(["states", "dpor", "none"]))
    .option("--preemptions <count>", "most switches away from a thread that could go on (default: no bound)")
    .option("--retries <count>", "rounds of its retry loops that a thread makes (default: 3)")
    .option("--steps <count>", "steps that a thread makes (default: 10000)")
    .option("--tso", "delay plain stores as x86 processors do")
    .option("--seed <number>", "what chance follows from (default: 1)")
    .option("--runs <count>", "runs by chance (default: 10000)")
    .option("--all", "go on behind the first finding")
    .option("--json", "print one JSON object: verdict, findings, schedule, counts, bounds")
    .option("--replay <schedule>", "carry out one schedule that an earlier run has printed")
    .option("--html <file>", "write the schedule as a page to step through, forwards and backwards")
    .addHelpText("after", "\nExit status: 0 holds within the bounds, 1 something was found, 2 wrong use.")
    .action((name: string | undefined, raw: RawExploreOptions) => onExplore(readExploreOptions(name, raw)));
}

function readExploreOptions(name: string | undefined, raw: RawExploreOptions): ExploreArguments {
  const { mutation, scheduler, reduction, replay, html, tso = false, json = false, all = false } = raw;
  const count = (option: "preemptions" | "retries" | "steps" | "seed" | "runs", least: number): object =>
    raw[option] === undefined ? {} : { [option]: parseWhole(`--${option}`, raw[option], least, COUNT_MAX) };
  if (name === undefined && Object.keys(raw).some((option) => option !== "json")) throw new UsageError("explore: these options need a scenario (see unpinned explore)");
  return {
    ...(name === undefined ? {} : { name }), ...(html === undefined ? {} : { html }), json,
    options: {
      ...(mutation === undefined ? {} : { mutation }), ...(scheduler === undefined ? {} : { scheduler }), ...(replay === undefined ? {} : { replay }),
      ...(reduction === undefined ? {} : { reduction }), memoryModel: tso ? "tso" : "sc", findsAll: all,
      ...count("preemptions", 0), ...count("retries", 0), ...count("steps", 1), ...count("seed", 0), ...count("runs", 1),
    },
  };
}
