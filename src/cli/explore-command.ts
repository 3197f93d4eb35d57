/** `unpinned explore`: scenarios by name or from a file, over all their schedules or some by chance. */
import { writeFile } from "node:fs/promises";
import { drawPage, explore, ExploreOptionError, type ExploreOptions, type ExploreReport, ReplayError, ScenarioError, SCENARIOS, type ScenarioDescription } from "../explore/index.js";
import { loadShippedScenario, SHIPPED_SCENARIOS } from "../explored/index.js";
import { writeOutput } from "../platform/node/index.js";
import { UsageError } from "./errors.js";
import type { ExploreArguments } from "./explore-arguments.js";
import { isScenarioFile, loadScenarioFile } from "./explore-file.js";
import { ProgressLine } from "./progress-line.js";

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
