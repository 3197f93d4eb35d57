/** What was aimed at, and what of it these figures reach. */
import { BOOT_REFERENCE } from "./boot.mjs";
import { OUR_WARM } from "./machines.mjs";
import { lineRatios, TIME_KEY } from "./cpu-tables.mjs";
import { geometricMean, ratioOf, spreadOf } from "./statistics.mjs";
import { formatNumber, formatTable } from "./table.mjs";

/** Ours divided by the other's, at most. */
const BOOT_COLD = 0.75;
const BOOT_WARM = 0.5;
const COMPUTE_QEMU = 0.8;
const LINE_QEMU = 1.2;
const COMPUTE_V86 = 0.35;
/** Million guest instructions a second on integer code, at least. */
const KERNEL_MIPS = 200;

/** @typedef {{ what: string, reached: number | undefined, limit?: number, isLeast?: boolean, note?: string }} Aim without a limit: only told */

/**
 * @param {{ boot?: any, cpu?: any }} results
 * @returns {string | undefined} a table; undefined if nothing was measured that has an aim
 */
export function formatAims({ boot, cpu }) {
  const aims = [...(boot === undefined ? [] : bootAims(boot)), ...(cpu === undefined ? [] : cpuAims(cpu))];
  if (aims.length === 0) return undefined;
  const rows = aims.map(({ what, reached, limit, isLeast = false }) =>
    [what, limit === undefined ? "-" : `${isLeast ? "at least" : "at most"} ${limit}`, formatNumber(reached), verdictOn({ what, reached, limit, isLeast })]);
  const notes = aims.flatMap(({ what, note }) => (note === undefined ? [] : [`${what}: ${note}.`]));
  return [formatTable(["aim (ratios: ours divided by the other's)", "wanted", "reached", ""], rows), ...notes].join("\n");
}

/** @param {Aim} aim */
function verdictOn({ reached, limit, isLeast }) {
  if (reached === undefined) return "not measured";
  if (limit === undefined) return "no aim";
  return (isLeast ? reached >= limit : reached <= limit) ? "met" : "NOT met";
}

/**
 * @param {Awaited<ReturnType<typeof import("./boot.mjs").benchBoot>>} boot
 * @returns {Aim[]}
 */
function bootAims({ machines: [ours], samples }) {
  const cpuOf = (/** @type {string} */ name) => (samples[name] ?? []).map(({ initCpuS }) => initCpuS);
  return [
    { what: `start to init, CPU, cold / ${BOOT_REFERENCE}`, reached: ratioOf(cpuOf(ours), cpuOf(BOOT_REFERENCE))?.median, limit: BOOT_COLD },
    { what: `start to init, CPU, warm / ${BOOT_REFERENCE}`, reached: ratioOf(cpuOf(OUR_WARM), cpuOf(BOOT_REFERENCE))?.median, limit: BOOT_WARM },
  ];
}

/**
 * @param {import("./cpu-tables.mjs").CpuResult} cpu
 * @returns {Aim[]}
 */
function cpuAims(cpu) {
  const { machines, samples, groups } = cpu;
  const ratiosTo = (/** @type {string} */ name) => (machines.includes(name) ? lineRatios(cpu, name, TIME_KEY) : []);
  const meanTo = (/** @type {string} */ name) => geometricMean(ratiosTo(name).flatMap(({ isCompute, ratio }) => (isCompute ? [ratio?.median] : [])));
  const lines = ratiosTo("QEMU TCG").flatMap(({ title, ratio }) => (ratio === undefined ? [] : [{ title, ratio: ratio.median }])).sort((a, b) => b.ratio - a.ratio);
  const above = lines.filter(({ ratio }) => ratio > LINE_QEMU);
  const kernels = groups.filter(({ needs }) => needs === "kernels").flatMap(({ workloads }) => workloads);
  const speeds = kernels.map(({ name }) => spreadOf(samples[machines[0]].map((run) => run[name].detail?.mips))?.median);
  return [
    { what: "compute lines / QEMU TCG, geometric mean", reached: meanTo("QEMU TCG"), limit: COMPUTE_QEMU },
    {
      what: "worst line / QEMU TCG", reached: lines[0]?.ratio, limit: LINE_QEMU,
      ...(above.length === 0 ? {} : { note: `${above.length} of ${lines.length} lines are above: ${above.map(({ title, ratio }) => `${title} ${formatNumber(ratio)}`).join("; ")}` }),
    },
    { what: "compute lines / v86, geometric mean", reached: meanTo("v86"), limit: COMPUTE_V86 },
    { what: "compute lines / native, geometric mean", reached: meanTo("native") },
    { what: "M instructions a second, slowest integer kernel", reached: spreadOf(speeds)?.min, limit: KERNEL_MIPS, isLeast: true },
  ];
}
