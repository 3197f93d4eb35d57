/** Benchmark "cpu": the same programs on the same data in each machine's guest, timed between their marker lines. */
import { compileKernels, prepareGuestFiles } from "./guest-files.mjs";
import { ourMachine, qemuMachine } from "./machines.mjs";
import { findMark, measureRun } from "./measure.mjs";
import { busiestThreadMs, hasProcessorTimes } from "./processor-time.mjs";
import { runInTurn } from "./rounds.mjs";
import { geometricMean, ratioOf, spreadOf } from "./statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "./table.mjs";
import { GUEST_WORKLOADS, guestParameters, KERNEL_WORKLOADS } from "./workloads.mjs";

/** A run that takes longer hangs: the slowest took a tenth of this. */
const TIMEOUT_MS = 1_800_000;
/** Which time the tables are about. */
const TIME = hasProcessorTimes ? { key: "cpuS", title: "CPU" } : { key: "wallS", title: "wall" };
/** Aim on integer code, million guest instructions a second. */
const AIM_MIPS = 200;

/** @param {import("./rounds.mjs").BenchContext} context */
export async function benchCpu(context) {
  const { folder, memoryBytes, qemuVersion, isSmoke } = context;
  const compiled = compileKernels(folder);
  const kernels = "program" in compiled ? KERNEL_WORKLOADS : [];
  const workloads = [...GUEST_WORKLOADS, ...kernels];
  const files = await prepareGuestFiles(folder, {
    parameters: guestParameters(workloads, isSmoke),
    kernels: "program" in compiled ? compiled.program : undefined,
  });
  const machines = [ourMachine(files, memoryBytes)];
  if (qemuVersion !== undefined) {
    machines.push(qemuMachine(files, { name: "QEMU TCG", kernelPath: files.kernelPath, memoryBytes }));
  }
  const samples = await runInTurn(machines, context, async (machine) => {
    const run = await measureRun(machine, { timeoutMs: TIMEOUT_MS });
    return Object.fromEntries(workloads.map(({ name }) => [name, sampleOf(run, name)]));
  });
  return {
    machines: machines.map(({ name }) => name), samples,
    workloads: GUEST_WORKLOADS, kernels, kernelsReason: "reason" in compiled ? compiled.reason : undefined,
    differences: findDifferences(workloads, samples),
  };
}

/**
 * @param {import("./measure.mjs").Run} run
 * @param {string} name
 */
function sampleOf(run, name) {
  const failure = run.marks.find(({ text }) => text.startsWith(`failed ${name} `));
  if (failure !== undefined) throw new Error(`in the guest, ${name} ended with status ${failure.text.split(" ")[2]}; the guest said:\n${run.output}`);
  const begin = findMark(run, `begin ${name}`);
  const end = findMark(run, `end ${name}`);
  const hash = run.marks.find(({ text }) => text.startsWith(`hash ${name} `))?.text.split(" ")[2];
  if (hash === undefined) throw new Error(`the guest told no result of ${name}`);
  const threadMs = busiestThreadMs(begin.threads, end.threads);
  const instructions = spent(begin, end, (report) => report.instructions);
  return {
    hash, wallS: (end.wallMs - begin.wallMs) / 1000,
    cpuS: end.processMs === undefined || begin.processMs === undefined ? undefined : (end.processMs - begin.processMs) / 1000,
    ...(instructions === undefined ? {} : {
      instructions,
      mips: instructions / (threadMs ?? end.wallMs - begin.wallMs) / 1000,
      tlbMisses: spent(begin, end, (report) => report.core?.tlbMisses),
      traceLookups: spent(begin, end, (report) => report.core?.traceLookups),
      pageFaults: spent(begin, end, (report) => report.core?.pageFaults),
    }),
  };
}

/**
 * @param {import("./measure.mjs").Mark} begin
 * @param {import("./measure.mjs").Mark} end
 * @param {(report: any) => number | undefined} pick
 */
function spent(begin, end, pick) {
  if (begin.report === undefined || end.report === undefined) return undefined;
  const before = pick(begin.report);
  const after = pick(end.report);
  return before === undefined || after === undefined ? undefined : after - before;
}

/** Workloads whose result was not the same in every run of every machine. */
function findDifferences(workloads, samples) {
  return workloads.map(({ name }) => name).filter((name) => {
    const hashes = Object.values(samples).flatMap((runs) => runs.map((run) => run[name].hash));
    return new Set(hashes).size !== 1;
  });
}

/**
 * @param {Awaited<ReturnType<typeof benchCpu>>} result
 * @returns {string}
 */
export function formatCpu(result) {
  const { kernels, kernelsReason, differences } = result;
  const parts = [formatPart(result, "programs", result.workloads)];
  if (kernels.length > 0) parts.push(formatPart(result, "integer kernels", kernels), describeAim(result));
  else parts.push(`Integer kernels left out: ${kernelsReason}.`);
  parts.push(differences.length === 0
    ? "Every run of every machine gave the result that is shown."
    : `DIFFERENT RESULTS: ${differences.join(", ")}`);
  return parts.join("\n\n");
}

/**
 * @param {Awaited<ReturnType<typeof benchCpu>>} result
 * @param {string} title
 * @param {typeof GUEST_WORKLOADS} workloads
 */
function formatPart({ machines: [ours, theirs], samples }, title, workloads) {
  const header = [
    title, `${ours}, ${TIME.title} s`, "M instructions", "M/s",
    ...(theirs === undefined ? [] : [`${theirs}, ${TIME.title} s`, `${TIME.title} ratio`, "wall ratio"]), "result",
  ];
  const ratios = [];
  const rows = workloads.map(({ name, title: what }) => {
    const valuesOf = (/** @type {string} */ machine, /** @type {string} */ key) => samples[machine].map((run) => run[name][key]);
    const row = [
      what, formatSpread(spreadOf(valuesOf(ours, TIME.key))), formatNumber((spreadOf(valuesOf(ours, "instructions"))?.median ?? NaN) / 1e6),
      formatSpread(spreadOf(valuesOf(ours, "mips"))),
    ];
    if (theirs !== undefined) {
      const ratio = ratioOf(valuesOf(ours, TIME.key), valuesOf(theirs, TIME.key));
      ratios.push(ratio?.median);
      row.push(
        formatSpread(spreadOf(valuesOf(theirs, TIME.key))), formatSpread(ratio),
        formatSpread(ratioOf(valuesOf(ours, "wallS"), valuesOf(theirs, "wallS"))),
      );
    }
    return [...row, samples[ours][0][name].hash.slice(0, 8)];
  });
  if (ratios.length > 0) rows.push(["geometric mean", "", "", "", "", formatNumber(geometricMean(ratios)), "", ""]);
  return formatTable(header, rows);
}

/** @param {Awaited<ReturnType<typeof benchCpu>>} result */
function describeAim({ machines: [ours], samples, kernels }) {
  const medians = kernels.map(({ name }) => spreadOf(samples[ours].map((run) => run[name].mips))?.median);
  const least = spreadOf(medians)?.min;
  return `Aim: at least ${AIM_MIPS} M guest instructions a second on integer code. ` +
    `Reached: ${formatNumber(geometricMean(medians))} M (geometric mean), ${formatNumber(least)} M on the slowest kernel.`;
}
