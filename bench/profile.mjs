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
import { measureRun } from "./measure.mjs";
import { guestParameters } from "./workloads.mjs";

const SAMPLE_INTERVAL_US = 500;
/** A run that takes longer hangs. */
const TIMEOUT_MS = 600_000;
/** Functions listed of each thread. */
const SHOWN_MAX = 25;
/** Where a thread of ours sleeps in Atomics.wait, which V8 counts as running: no time of a processor's. */
const SLEEPING = ["(idle)", "waitForDoorbell", "waitForRequest"];

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
  await measureRun({ command, args: [...profiling, ...args] }, { timeoutMs: TIMEOUT_MS });
  return readProfiles(profiles);
}

/**
 * Reads the profiles of a run, the busiest thread first.
 * @param {string} folder
 * @returns {ThreadProfile[]}
 */
export function readProfiles(folder) {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cpuprofile"))
    .map((file) => addUp(JSON.parse(readFileSync(join(folder, file), "utf8"))))
    .sort((a, b) => b.busyMs - a.busyMs);
}

/**
 * @param {{ nodes: any[], samples: number[], timeDeltas: number[], startTime: number, endTime: number }} profile
 * @returns {ThreadProfile}
 */
function addUp({ nodes, samples, timeDeltas, startTime, endTime }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  /** @type {Map<string, number>} */
  const selfMs = new Map();
  samples.forEach((id, n) => {
    // A delta is the time since the sample before, which is what that sample stands for.
    const name = names.get(id);
    selfMs.set(name, (selfMs.get(name) ?? 0) + Math.max(0, timeDeltas[n + 1] ?? 0) / 1000);
  });
  const functions = [...selfMs].map(([name, ms]) => ({ name, selfMs: ms })).sort((a, b) => b.selfMs - a.selfMs);
  const awake = functions.filter(({ name }) => !SLEEPING.includes(name.split(" ")[0]));
  return { wallMs: (endTime - startTime) / 1000, busyMs: awake.reduce((sum, entry) => sum + entry.selfMs, 0), functions: awake };
}

/** @param {{ functionName: string, url: string, lineNumber: number }} callFrame */
function nameOf({ functionName, url, lineNumber }) {
  if (url.startsWith("wasm:")) return `wasm ${functionName}`;
  if (functionName.startsWith("(")) return functionName;
  const place = url === "" ? "built in" : `${basename(url)}:${lineNumber + 1}`;
  return `${functionName || "(anonymous)"} (${place})`;
}

/**
 * @param {readonly ThreadProfile[]} threads
 * @returns {string}
 */
export function formatProfiles(threads) {
  return threads.map(({ wallMs, busyMs, functions }, n) => {
    const insideMs = functions.filter(({ name }) => name.startsWith("wasm ")).reduce((sum, { selfMs }) => sum + selfMs, 0);
    const lines = functions.slice(0, SHOWN_MAX).map(({ name, selfMs }) =>
      `${selfMs.toFixed(0).padStart(8)} ms ${((100 * selfMs) / busyMs).toFixed(1).padStart(5)} %  ${name}`);
    const head = `Thread ${n + 1}: ${busyMs.toFixed(0)} ms busy of ${wallMs.toFixed(0)} ms, ${((100 * insideMs) / busyMs).toFixed(0)} % inside WebAssembly`;
    return [head, ...lines].join("\n");
  }).join("\n\n");
}
