/**
 * Benchmarks: our machine beside QEMU's TCG, the host itself and v86, with the same programs, in turn. Prints tables; judges nothing by its
 * time. Needs a built tree. How to read it: bench/README.md.
 *
 * Usage: npm run bench [-- [boot] [cpu] [memory] [pages] [profile] [explore] [--beside LIST] [--only LIST] [--runs N] [--json] [--smoke]]
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { WORKLOAD_NAMES } from "../bench/workloads.mjs";

/** Parts of benchmark "pages"; here by name, since its code needs a built tree. */
const PAGE_PARTS = ["pages/access", "pages/send", "pages/host", "pages/guest"];
const BENCHMARKS = ["boot", "cpu", "memory", "pages", "profile", "explore", ...PAGE_PARTS];
const RUNS_DEFAULT = 5;
const MEMORY_BYTES = 256 << 20;
const OTHERS = ["qemu", "native", "v86", "warm"];
/** Benchmarks with machines beside ours. */
const COMPARED = ["boot", "cpu", "memory"];
const USAGE = `Usage: npm run bench [-- [boot] [cpu] [memory] [pages] [profile] [explore] [--beside LIST] [--only LIST] [--runs N] [--json] [--smoke]]

  boot           start to init and to power-off
  cpu            programs and integer kernels in the guest
  memory         what the process takes, with a guest at its shell
  pages          no comparison: what it costs that pages move; pages/access, pages/send, pages/host and pages/guest are its parts
                 (not done unless asked for)
  profile        no comparison: where the time of our own boot goes, and of the workloads of --only (not done unless asked for)
  explore        our explorer and Spin on the same protocols (not done unless asked for)
  --beside LIST  what to compare with, of qemu,native,v86,warm (default qemu,native); v86 and its guest are fetched when asked for; warm is
                 ours with what an earlier start has kept (boot always has it)
  --only LIST    these workloads of cpu alone, such as sha256,program_json
  --runs N       rounds in which each machine runs once (default ${RUNS_DEFAULT})
  --json         print one JSON object with every sample instead of tables
  --smoke        small sizes and one round: shows that everything works, not how fast
`;

/**
 * @typedef {object} Arguments
 * @property {string[]} names of benchmarks
 * @property {readonly string[]} beside
 * @property {readonly string[] | undefined} only
 * @property {number} runs
 * @property {boolean} isJson
 * @property {boolean} isSmoke
 */

/**
 * @param {string} option
 * @param {string} list
 * @param {readonly string[]} known
 */
function readList(option, list, known) {
  const names = list.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${option}: there is no "${unknown}", only ${known.join(", ")}`);
  return names;
}

/** @returns {Arguments | { problem: string }} */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: "string" }, beside: { type: "string", default: "qemu,native" }, only: { type: "string" },
        json: { type: "boolean", default: false }, smoke: { type: "boolean", default: false }, help: { type: "boolean" },
      },
    });
    if (values.help) return { problem: "" };
    const runs = Number(values.runs ?? (values.smoke ? 1 : RUNS_DEFAULT));
    if (!Number.isInteger(runs) || runs < 1) return { problem: `--runs: "${values.runs}" is no number of rounds` };
    const unknown = positionals.find((name) => !BENCHMARKS.includes(name));
    if (unknown !== undefined) return { problem: `there is no benchmark "${unknown}"` };
    const only = values.only === undefined ? undefined : readList("--only", values.only, WORKLOAD_NAMES);
    const byDefault = only === undefined ? ["boot", "cpu"] : ["cpu"];
    return {
      names: positionals.length === 0 ? byDefault : positionals, beside: readList("--beside", values.beside, OTHERS), only, runs,
      isJson: values.json, isSmoke: values.smoke,
    };
  } catch (error) {
    return { problem: /** @type {Error} */ (error).message };
  }
}

/** Says what is being done, on one line that is written over, and only to a person. */
function say(/** @type {string} */ progress) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${progress}`);
}

/** @param {{ qemu: string | null, v86: string | null }} versions */
function describeHost(versions) {
  return {
    date: new Date().toISOString().slice(0, 10), processor: cpus()[0]?.model ?? process.arch, processors: availableParallelism(),
    load: loadavg()[0], node: process.version, ...versions,
  };
}

/**
 * @param {number} runs
 * @param {{ qemu: string | null, v86: string | null, isNative: boolean, isWarm: boolean }} others
 */
function describeComparison(runs, { qemu, v86, isNative, isWarm }) {
  const others = [
    ...(qemu === null ? [] : [`QEMU ${qemu}, TCG, one vCPU`]), ...(v86 === null ? [] : [`v86 ${v86}, 32-bit kernel and programs`]),
    ...(isNative ? ["native: the same programs on the host itself"] : []),
    ...(isWarm ? ["ours with what two earlier starts have kept"] : []),
  ];
  const figures = `${runs} ${runs === 1 ? "round" : "rounds"}, median (least-most).`;
  return others.length === 0 ? `Our machine alone. ${figures}` : `Beside it ${others.join("; ")}. ${figures} Ratio: ours divided by the other's, round by round.`;
}

/**
 * What is compared with, as far as it can be had here.
 * @param {Arguments} args
 */
async function findOthers({ beside, names }) {
  const { findQemu } = await import("../bench/machines.mjs");
  const onProgress = (/** @type {string} */ message) => process.stderr.write(`${message}\n`);
  const isCompared = names.some((name) => COMPARED.includes(name));
  const qemu = isCompared && beside.includes("qemu") ? findQemu() ?? null : null;
  if (isCompared && beside.includes("qemu") && qemu === null) onProgress("bench: there is no qemu-system-x86_64 here (Debian: qemu-system-x86): QEMU is left out");
  const isNative = names.includes("cpu") && beside.includes("native");
  const isWarm = names.includes("boot") || beside.includes("warm");
  if (!isCompared || !beside.includes("v86")) return { qemu, isNative, isWarm, v86: null, v86Guest: undefined };
  const [{ installV86 }, { fetchV86Guest }] = await Promise.all([import("../bench/v86/install.mjs"), import("../bench/v86/guest.mjs")]);
  return { qemu, isNative, isWarm, v86: installV86(onProgress), v86Guest: await fetchV86Guest(onProgress) };
}

/**
 * The benchmarks in the order in which they are done: how each is done and printed, loaded when it is asked for since that needs a built tree.
 * @type {Readonly<Record<string, () => Promise<{ bench: (context: any, names: readonly string[]) => Promise<any>, format: (result: any) => string }>>>}
 */
const RUNNERS = {
  boot: async () => { const { benchBoot, formatBoot } = await import("../bench/boot.mjs"); return { bench: benchBoot, format: formatBoot }; },
  cpu: async () => {
    const [{ benchCpu }, { formatCpu }] = await Promise.all([import("../bench/cpu.mjs"), import("../bench/cpu-tables.mjs")]);
    return { bench: benchCpu, format: formatCpu };
  },
  memory: async () => { const { benchMemory, formatMemory } = await import("../bench/memory.mjs"); return { bench: benchMemory, format: formatMemory }; },
  pages: async () => { const { benchPages, formatPages } = await import("../bench/pages.mjs"); return { bench: benchPages, format: formatPages }; },
  profile: async () => { const { profileBoot, formatProfiles } = await import("../bench/profile.mjs"); return { bench: profileBoot, format: formatProfiles }; },
  explore: async () => { const { benchExplore, formatExplore } = await import("../bench/explore/explore.mjs"); return { bench: benchExplore, format: formatExplore }; },
};

/** True of a result that says that something is wrong: with the machines, not with their speed. */
function isFault(/** @type {any} */ { differences = [], failures = {} }) {
  return differences.length > 0 || Object.keys(failures).length > 0;
}

async function main() {
  const args = readArguments();
  if ("problem" in args) {
    process.stderr.write(args.problem === "" ? USAGE : `bench: ${args.problem} (npm run bench -- --help)\n`);
    process.exitCode = args.problem === "" ? 0 : 2;
    return;
  }
  if (!existsSync(new URL("../dist/cpu/core.wasm", import.meta.url))) {
    process.stderr.write("bench: not built yet, run: npm install && npm run build\n");
    process.exitCode = 2;
    return;
  }
  const { qemu, v86, isNative, isWarm, v86Guest } = await findOthers(args);
  const host = describeHost({ qemu, v86 });
  const print = (/** @type {string} */ text) => process.stdout.write(args.isJson ? "" : `${text}\n\n`);
  print(`${host.date}, ${host.processors} x ${host.processor}, load ${host.load.toFixed(1)}, Node.js ${host.node}.`);
  if (args.names.some((name) => COMPARED.includes(name))) print(describeComparison(args.runs, { qemu, v86, isNative, isWarm }));

  const folder = mkdtempSync(join(tmpdir(), "unpinned-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const context = {
    folder, runs: args.runs, memoryBytes: MEMORY_BYTES, qemuVersion: qemu ?? undefined, isNative, isWarm: args.beside.includes("warm"), v86: v86Guest, only: args.only, isSmoke: args.isSmoke, say,
  };
  /** @type {Record<string, any>} */
  const results = {};
  for (const [name, load] of Object.entries(RUNNERS)) {
    if (!args.names.some((asked) => asked.split("/")[0] === name)) continue;
    const { bench, format } = await load();
    const begun = performance.now();
    const result = await bench(context, args.names);
    say("");
    print(format(result));
    print(`${name} took ${Math.round((performance.now() - begun) / 1000)} s; load at its end ${loadavg()[0].toFixed(1)}.`);
    results[name] = result;
    if (isFault(result)) process.exitCode = 1;
  }
  const { formatAims } = await import("../bench/aims.mjs");
  const aims = formatAims(results);
  if (aims !== undefined) print(aims);
  if (args.isJson) process.stdout.write(`${JSON.stringify({ host, ...results })}\n`);
}

await main().catch((/** @type {Error} */ error) => {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
