/**
 * Where our machine's time goes: boots it under V8's sampling profiler, and runs workloads if some are asked for, and adds up, thread by
 * thread, what the samples hit.
 *
 * The functions of the processor core have names only if it was compiled with `asc --debug`; otherwise they are numbers.
 */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { compilePrograms, prepareGuestFiles } from "./guest-files.mjs";
import { ourMachine } from "./machines.mjs";
import { findMark, measureRun } from "./measure.mjs";
import { guestParameters } from "./workloads.mjs";

const SAMPLE_INTERVAL_US = 500;
/** A run that takes longer hangs. */
const TIMEOUT_MS = 600_000;
/** Functions listed of each thread. */
const SHOWN_MAX = 25;
/** Where a thread of ours sleeps in Atomics.wait, which V8 counts as running: no time of a processor's. */
const SLEEPING = ["(idle)", "waitForDoorbell", "waitForRequest", "waitWhile"];

/** Functions of the core listed of each workload. */
const CORE_SHOWN_MAX = 12;

/** @typedef {{ nodes: any[], samples: number[], timeDeltas: number[], startTime: number, endTime: number }} CpuProfile as V8 writes it, times in us */

/**
 * @typedef {object} Interval what is added up of a profile
 * @property {string} name
 * @property {number} fromUs
 * @property {number} toUs
 */

/**
 * @typedef {object} ThreadProfile
 * @property {number} wallMs
 * @property {number} busyMs all of it that is not sleep
 * @property {{ name: string, selfMs: number }[]} functions by time, the most first
 */

/**
 * Runs our machine once, from its start to power-off, with the workloads of `only` between.
 * @param {import("./rounds.mjs").BenchContext} context
 */
export async function profileBoot(context) {
  const { folder, memoryBytes, only = [], isSmoke } = context;
  const programs = only.length === 0 ? {} : compilePrograms(folder, 64);
  if ("reason" in programs) throw new Error(programs.reason);
  const files = await prepareGuestFiles(folder, { parameters: guestParameters(only, { isSmoke, repeat: 1 }), ...programs });
  const profiles = mkdtempSync(join(folder, "profiles-"));
  const { command, args } = ourMachine(files, memoryBytes);
  const profiling = ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-interval=${SAMPLE_INTERVAL_US}`];
  const run = await measureRun({ command, args: [...profiling, ...args] }, { timeoutMs: TIMEOUT_MS });
  const found = readProfiles(profiles);
  const intervals = only.map((name) => ({ name, fromUs: timeOf(run, `begin ${name}`), toUs: timeOf(run, `end ${name}`) }));
  const threads = found.map((profile) => addUp(profile, wholeOf(profile), nameOf)).sort((a, b) => b.busyMs - a.busyMs);
  return { threads, workloads: intervals.map((interval) => ({ name: interval.name, ...busiestIn(found, interval) })) };
}

/**
 * @param {import("./measure.mjs").Run} run
 * @param {string} mark
 */
function timeOf(run, mark) {
  return /** @type {any} */ (findMark(run, mark).report).atUs;
}

/**
 * @param {string} folder
 * @returns {CpuProfile[]}
 */
function readProfiles(folder) {
  return readdirSync(folder).filter((file) => file.endsWith(".cpuprofile")).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
}

/** @param {CpuProfile} profile */
function wholeOf({ startTime, endTime }) {
  return { name: "all", fromUs: startTime, toUs: endTime };
}

/**
 * What the thread that was busiest in an interval did there: the vCPU's. Regions are added up, functions of the core are told by name.
 * @param {readonly CpuProfile[]} profiles
 * @param {Interval} interval
 */
function busiestIn(profiles, interval) {
  const sums = profiles.map((profile) => addUp(profile, interval, nameByTier(profile)));
  return sums.sort((a, b) => b.busyMs - a.busyMs)[0];
}

/**
 * Names functions by where they are: the core is the WebAssembly module with most functions, the others are regions.
 * @param {CpuProfile} profile
 */
function nameByTier({ nodes }) {
  /** @type {Map<string, Set<string>>} */
  const functions = new Map();
  for (const { callFrame: { url, functionName } } of nodes) {
    if (url.startsWith("wasm:")) functions.set(url, (functions.get(url) ?? new Set()).add(functionName));
  }
  const [core] = [...functions].sort((a, b) => b[1].size - a[1].size).map(([url]) => url);
  return (/** @type {CallFrame} */ { functionName, url }) => {
    if (url === core) return `core ${functionName}`;
    if (url.startsWith("wasm:")) return "translated code";
    return functionName.startsWith("(") ? functionName : "TypeScript";
  };
}

/** @typedef {{ functionName: string, url: string, lineNumber: number }} CallFrame */

/**
 * @param {CpuProfile} profile
 * @param {Interval} interval
 * @param {(callFrame: CallFrame) => string} name
 * @returns {ThreadProfile}
 */
function addUp({ nodes, samples, timeDeltas, startTime }, { fromUs, toUs }, name) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  /** @type {Map<string, number>} */
  const selfMs = new Map();
  let atUs = startTime;
  samples.forEach((id, n) => {
    atUs += timeDeltas[n];
    if (atUs < fromUs || atUs > toUs || SLEEPING.includes(frames.get(id).functionName)) return;
    // A delta is the time since the sample before, which is what that sample stands for.
    const key = name(frames.get(id));
    selfMs.set(key, (selfMs.get(key) ?? 0) + Math.max(0, timeDeltas[n + 1] ?? 0) / 1000);
  });
  const functions = [...selfMs].map(([key, ms]) => ({ name: key, selfMs: ms })).sort((a, b) => b.selfMs - a.selfMs);
  return { wallMs: (toUs - fromUs) / 1000, busyMs: functions.reduce((sum, entry) => sum + entry.selfMs, 0), functions };
}

/** @param {CallFrame} callFrame */
function nameOf({ functionName, url, lineNumber }) {
  if (url.startsWith("wasm:")) return `wasm ${functionName}`;
  if (functionName.startsWith("(")) return functionName;
  const place = url === "" ? "built in" : `${basename(url)}:${lineNumber + 1}`;
  return `${functionName || "(anonymous)"} (${place})`;
}

/**
 * @param {Awaited<ReturnType<typeof profileBoot>>} result
 * @returns {string}
 */
export function formatProfiles({ threads, workloads }) {
  const parts = threads.map((thread, n) => {
    const insideMs = thread.functions.filter(({ name }) => name.startsWith("wasm ")).reduce((sum, { selfMs }) => sum + selfMs, 0);
    return formatFunctions(`Thread ${n + 1}: ${((100 * insideMs) / thread.busyMs).toFixed(0)} % inside WebAssembly`, thread, SHOWN_MAX);
  });
  return [...parts, ...workloads.map((workload) => formatFunctions(`${workload.name}, the vCPU's thread`, workload, CORE_SHOWN_MAX))].join("\n\n");
}

/**
 * @param {string} title
 * @param {ThreadProfile} profile
 * @param {number} shownMax
 */
function formatFunctions(title, { wallMs, busyMs, functions }, shownMax) {
  const lines = functions.slice(0, shownMax).map(({ name, selfMs }) =>
    `${selfMs.toFixed(0).padStart(8)} ms ${((100 * selfMs) / busyMs).toFixed(1).padStart(5)} %  ${name}`);
  return [`${title}: ${busyMs.toFixed(0)} ms busy of ${wallMs.toFixed(0)} ms`, ...lines].join("\n");
}
