/** Benchmark "memory": what a process with a guest at its shell takes of the host's memory. */
import { readFileSync } from "node:fs";
import { prepareGuestFiles } from "./guest-files.mjs";
import { ourMachine, qemuMachine, v86Machine } from "./machines.mjs";
import { measureRun } from "./measure.mjs";
import { describeFailures, runInTurn } from "./rounds.mjs";
import { ratioOf, spreadOf } from "./statistics.mjs";
import { formatSpread, formatTable } from "./table.mjs";

const TIMEOUT_MS = 300_000;
/** From the mark before the shell starts until we look: for its prompt, and for what else settles then. */
const SETTLE_MS = 3000;
const KIB_A_MIB = 1024;

/** What is measured, MiB: where Linux says it (proc(5)). */
const FIGURES = /** @type {const} */ ([
  { title: "resident, MiB", file: "status", field: "VmRSS" },
  { title: "proportional, MiB", file: "smaps_rollup", field: "Pss" },
  { title: "most resident so far, MiB", file: "status", field: "VmHWM" },
]);

/** @param {import("./rounds.mjs").BenchContext} context */
export async function benchMemory(context) {
  const { folder, memoryBytes, qemuVersion, v86 } = context;
  if (readMemory("self") === undefined) return { reason: "there is no /proc/PID/smaps_rollup here" };
  const parameters = { workloads: "", shell: 1 };
  const files = await prepareGuestFiles(folder, { parameters });
  const machines = [ourMachine(files, memoryBytes)];
  if (qemuVersion !== undefined) machines.push(qemuMachine(files, { name: "QEMU TCG", kernelPath: files.kernelPath, memoryBytes }));
  if (v86 !== undefined) machines.push(v86Machine({ ...await prepareGuestFiles(folder, { parameters, guest: v86 }), ...v86 }, memoryBytes));
  const inspect = { mark: "shell", delayMs: SETTLE_MS, take: readMemory };
  const { samples, failures } = await runInTurn(machines, context, async (machine) => {
    const { found } = await measureRun(machine, { timeoutMs: TIMEOUT_MS, inspect });
    if (found === undefined) throw new Error(`${machine.name} ended before its guest was at the shell`);
    return found;
  });
  return { machines: machines.map(({ name }) => name), samples, failures };
}

/**
 * @param {number | "self"} pid
 * @returns {Record<string, number> | undefined} MiB by field; undefined where Linux's /proc is not
 */
function readMemory(pid) {
  try {
    return Object.fromEntries(FIGURES.map(({ file, field }) => {
      const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/${file}`, "latin1")) ?? [];
      return [field, Number(kib) / KIB_A_MIB];
    }));
  } catch {
    return undefined;
  }
}

/**
 * @param {Awaited<ReturnType<typeof benchMemory>>} result
 * @returns {string}
 */
export function formatMemory(result) {
  if ("reason" in result) return `Memory is left out: ${result.reason}.`;
  const { machines, samples, failures } = result;
  const [ours] = machines;
  const rows = machines.map((name) => [name, ...FIGURES.flatMap(({ field }) => {
    const valuesOf = (/** @type {string} */ machine) => samples[machine].map((sample) => sample[field]);
    return [formatSpread(spreadOf(valuesOf(name))), name === ours ? "" : formatSpread(ratioOf(valuesOf(ours), valuesOf(name)))];
  })]);
  return [formatTable(["memory, guest at its shell", ...FIGURES.flatMap(({ title }) => [title, "ours / it"])], rows), ...describeFailures(failures)].join("\n");
}
