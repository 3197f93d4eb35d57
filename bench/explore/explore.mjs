/**
 * Our explorer and Spin on the same protocols, step for step (*.pml beside this file): the first fault, or all there is.
 * Both run in one turn, round by round. Spin's translation and compilation are listed apart; without spin and gcc: ours alone.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ratioOf, spreadOf } from "../statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "../table.mjs";

/** Runs of pan that are timed as one: a single one takes about as long as the start of a process. Its hash table (-w18) fits the models. */
const PAN_RUNS = 5;
const OURS_MIN_MS = 100;
const NS_PER_MS = 1e6;

/**
 * @typedef {object} Case
 * @property {string} title
 * @property {string} module below dist/explore/protocols
 * @property {string} scenario its export
 * @property {string | undefined} variant
 * @property {string} model
 * @property {readonly string[]} flags
 */

/** @type {readonly Case[]} */
const CASES = [
  { title: "mail, naive refresher: first fault", module: "mail.js", scenario: "MAIL", variant: "naive refresher", model: "mail.pml", flags: [] },
  { title: "pfncache outside memslots: first fault", module: "pfncache.js", scenario: "PFNCACHE", variant: "hva outside memslots", model: "pfncache.pml", flags: ["-DHVA_OUTSIDE_MEMSLOTS"] },
  { title: "ours, active not tested: first fault", module: "ours/revocable-page.js", scenario: "OUR_PAGE", variant: "active not tested", model: "our-page.pml", flags: ["-DACTIVE_NOT_TESTED"] },
  { title: "pfncache: all", module: "pfncache.js", scenario: "PFNCACHE", variant: undefined, model: "pfncache.pml", flags: [] },
  { title: "pfncache, two refreshers: all", module: "pfncache.js", scenario: "PFNCACHE", variant: "two refreshers", model: "pfncache.pml", flags: ["-DTWO_REFRESHERS"] },
  { title: "ours: all", module: "ours/revocable-page.js", scenario: "OUR_PAGE", variant: undefined, model: "our-page.pml", flags: [] },
];

/** Version of Spin; undefined = it or gcc is not there. */
function findSpin() {
  if (spawnSync("gcc", ["--version"]).status !== 0) return undefined;
  const { status, stdout } = spawnSync("spin", ["-V"], { encoding: "utf8" });
  return status === 0 ? /\d+\.\d+\.\d+/.exec(stdout)?.[0] : undefined;
}

/** Milliseconds that `action` takes. */
function timeMs(/** @type {() => void} */ action) {
  const begun = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - begun) / NS_PER_MS;
}

/**
 * @param {Case} each
 * @param {string} folder
 */
function buildPan({ model, flags }, folder) {
  const cwd = mkdtempSync(join(folder, "pan-"));
  const source = fileURLToPath(new URL(model, import.meta.url));
  const compileMs = timeMs(() => {
    execFileSync("spin", [...flags, "-a", source], { cwd });
    execFileSync("gcc", ["-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c"], { cwd });
  });
  return { cwd, compileMs };
}

/** @param {string} cwd where pan is */
function runPan(cwd) {
  let text = "";
  const ms = timeMs(() => {
    for (let run = 0; run < PAN_RUNS; run++) text = spawnSync("./pan", ["-m10000", "-w18"], { cwd, encoding: "utf8", timeout: 300_000 }).stdout;
  }) / PAN_RUNS;
  const number = (/** @type {RegExp} */ pattern) => Number(pattern.exec(text)?.[1] ?? NaN);
  return { ms, states: number(/(\d+) states, stored/), steps: number(/(\d+) transitions/), isFault: number(/errors: (\d+)/) > 0 };
}

/**
 * @param {typeof import("../../dist/explore/protocols/search.js").exploreAll} explore
 * @param {import("../../dist/explore/protocols/steps.js").ProtocolScenario} scenario
 * @param {string | undefined} variant
 */
function runOurs(explore, scenario, variant) {
  let runs = 0;
  let result = explore(scenario, variant);
  let ms = 0;
  for (; ms < OURS_MIN_MS; runs++) ms += timeMs(() => (result = explore(scenario, variant)));
  const { states, steps } = result.tally;
  return { ms: ms / runs, states, steps, isFault: result.verdict !== "holds" };
}

/**
 * @param {{ folder: string, runs: number, say: (progress: string) => void }} context
 */
export async function benchExplore({ folder, runs, say }) {
  const protocols = new URL("../../dist/explore/protocols/", import.meta.url);
  const { exploreAll } = await import(new URL("search.js", protocols).href);
  const spinVersion = findSpin();
  const processMs = timeMs(() => spawnSync("true"));
  const rows = [];
  for (const each of CASES) {
    const scenario = (await import(new URL(each.module, protocols).href))[each.scenario];
    const pan = spinVersion === undefined ? undefined : buildPan(each, folder);
    /** @type {ReturnType<typeof runOurs>[]} */
    const ours = [];
    /** @type {ReturnType<typeof runPan>[]} */
    const theirs = [];
    for (let round = 0; round < runs; round++) {
      say(`${each.title}, round ${round + 1} of ${runs}`);
      ours.push(runOurs(exploreAll, scenario, each.variant));
      if (pan !== undefined) theirs.push(runPan(pan.cwd));
    }
    rows.push({ title: each.title, ours, spin: theirs, compileMs: pan?.compileMs });
  }
  return { spinVersion, processMs, rows };
}

const perSecond = (/** @type {{ steps: number, ms: number }} */ { steps, ms }) => (steps / ms) * 1000;

/** @param {Awaited<ReturnType<typeof benchExplore>>} result */
export function formatExplore({ spinVersion, processMs, rows }) {
  const header = ["explore", "ours ms", "Spin ms", "ours/Spin", "ours states", "Spin states", "ours steps/s", "Spin steps/s", "Spin compile ms", "same verdict"];
  const lines = rows.map(({ title, ours, spin, compileMs }) => {
    const [one] = ours;
    const [other] = spin;
    return [
      title, formatSpread(spreadOf(ours.map(({ ms }) => ms))), formatSpread(spreadOf(spin.map(({ ms }) => ms))),
      formatSpread(ratioOf(ours.map(({ ms }) => ms), spin.map(({ ms }) => ms))), formatNumber(one.states), formatNumber(other?.states),
      formatSpread(spreadOf(ours.map(perSecond))), formatSpread(spreadOf(spin.map(perSecond))), formatNumber(compileMs),
      other === undefined ? "-" : one.isFault === other.isFault ? "yes" : "NO",
    ];
  });
  const note = spinVersion === undefined
    ? "Without spin and gcc (Debian: apt-get install spin gcc): ours alone."
    : `Spin ${spinVersion}: pan -O2 -DSAFETY with its partial-order reduction, a process each time (an empty one takes ${formatNumber(processMs)} ms). `
      + "Ours: one thread, states told apart by what each thread has seen. Spin tells them apart by local variables, and so has fewer.";
  return `${formatTable(header, lines)}\n\n${note}`;
}
