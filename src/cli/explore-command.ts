/** `unpinned explore`: scenarios by name or from a file, over all their schedules or some by chance. */
import { writeFile } from "node:fs/promises";
import { Option, type Command } from "commander";
import { drawPage, explore, ExploreOptionError, type ExploreOptions, type ExploreReport, ReplayError, ScenarioError, SCENARIOS, type ScenarioDescription } from "../explore/index.js";
import { loadShippedScenario, SHIPPED_SCENARIOS } from "../explored/index.js";
import { writeOutput } from "../platform/node/index.js";
import { UsageError } from "./errors.js";
import { isScenarioFile, loadScenarioFile } from "./explore-file.js";
import { ProgressLine } from "./progress-line.js";
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

/** Explores, prints the report, and resolves with the exit status. Throws UsageError. */
export async function runExplore({ name, options, json, html }: ExploreArguments): Promise<number> {
  if (name === undefined) return await listScenarios(json);
  const scenario = await findScenario(name, options.mutation);
  const progress = new ProgressLine();
  const report = exploreOrRefuse(scenario, { ...options, onProgress: progressSender(progress) });
  progress.clear();
  if (html !== undefined) await writePage(html, report);
  await writeOutput("stdout", json ? `${JSON.stringify({ status: statusOf(report), ...withoutText(report) })}\n` : `${report.text}\n`);
  return statusOf(report);
}

function statusOf({ verdict }: ExploreReport): number {
  return verdict === "fails" ? 1 : 0;
}

function withoutText({ text: _, ...report }: ExploreReport): Omit<ExploreReport, "text"> {
  return report;
}

async function listScenarios(json: boolean): Promise<number> {
  const shown = [...SCENARIOS, ...SHIPPED_SCENARIOS].map(({ name, says, expected, mutations = [] }) => ({ name, says, expected, mutations }));
  const lines = shown.flatMap(({ name, says, expected, mutations }) => [
    `${name}  (${expected === "holds" ? "holds" : `shows ${expected}`})`, `    ${says}`, ...mutations.map((mutation) => `    --mutation "${mutation}"`),
  ]);
  await writeOutput("stdout", json ? `${JSON.stringify(shown)}\n` : `${lines.join("\n")}\n`);
  return 0;
}

/** A scenario of the list, or that of a file. Throws UsageError. */
export async function findScenario(name: string, mutation?: string): Promise<ScenarioDescription> {
  if (isScenarioFile(name)) return await loadScenarioFile(name);
  const found = SCENARIOS.find((scenario) => scenario.name === name) ?? await loadShippedScenario(name, mutation);
  if (found === undefined) throw new UsageError(`explore: there is no scenario "${name}" (unpinned explore lists them; a file begins with ./ or ends in .js or .ts)`);
  return found;
}

function exploreOrRefuse(scenario: ScenarioDescription, options: ExploreOptions): ExploreReport {
  try {
    return explore(scenario, options);
  } catch (error) {
    if (error instanceof ExploreOptionError || error instanceof ReplayError || error instanceof ScenarioError) throw new UsageError(`explore: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Shows how far the search is, a few times a second. */
function progressSender(line: ProgressLine): NonNullable<ExploreOptions["onProgress"]> {
  let shownMs = 0;
  return ({ schedules, states, steps, depthMax }, elapsedMs) => {
    if (elapsedMs - shownMs < 200) return;
    shownMs = elapsedMs;
    const rate = Math.round(steps / elapsedMs);
    line.show(`${schedules} schedules, ${states > 0 ? `${states} states, ` : ""}${steps} steps, ${rate} thousand a second, depth ${depthMax}`);
  };
}

async function writePage(path: string, report: ExploreReport): Promise<void> {
  if (report.schedule === undefined) return;
  try {
    await writeFile(path, drawPage(report));
  } catch (error) {
    throw new UsageError(`--html: ${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, { cause: error });
  }
}
