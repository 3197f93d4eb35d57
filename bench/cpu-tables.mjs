/** What benchmark "cpu" prints. */
import { hasProcessorTimes } from "./processor-time.mjs";
import { describeFailures } from "./rounds.mjs";
import { geometricMean, ratioOf, spreadOf } from "./statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "./table.mjs";

const MILLION = 1e6;

/** @typedef {Awaited<ReturnType<typeof import("./cpu.mjs").benchCpu>>} CpuResult */
/** @typedef {"cpuS" | "wallS"} TimeKey */

/** Which time counts here. */
export const TIME_KEY = /** @type {TimeKey} */ (hasProcessorTimes ? "cpuS" : "wallS");

/**
 * @param {CpuResult} result
 * @returns {string}
 */
export function formatCpu(result) {
  const { leftOut, failures, differences, machines } = result;
  const parts = [
    ...(hasProcessorTimes ? [formatTimes(result, "cpuS", "CPU s")] : []),
    formatTimes(result, "wallS", "wall s"), formatDetails(result),
    differences.length === 0
      ? `Every run of ${machines.length === 1 ? "our machine" : "every machine"} gave the result that is shown.`
      : `DIFFERENT RESULTS: ${differences.join(", ")}`,
    ...leftOut, ...describeFailures(failures),
  ];
  return parts.join("\n\n");
}

/**
 * Ratio of ours and another machine's time, line by line.
 * @param {CpuResult} result
 * @param {string} other
 * @param {TimeKey} key
 * @returns {{ name: string, title: string, isCompute: boolean, ratio: import("./statistics.mjs").Spread | undefined }[]}
 */
export function lineRatios({ machines: [ours], samples, groups }, other, key) {
  return groups.flatMap(({ workloads, isCompute }) => workloads.map(({ name, title }) => {
    const valuesOf = (/** @type {string} */ machine) => samples[machine].map((run) => run[name]?.[key]);
    return { name, title, isCompute, ratio: ratioOf(valuesOf(ours), valuesOf(other)) };
  }));
}

/**
 * @param {CpuResult} result
 * @param {TimeKey} key
 * @param {string} unit
 */
function formatTimes(result, key, unit) {
  const { machines: [ours, ...others], samples, groups } = result;
  const header = ["cpu", `${ours}, ${unit}`, ...others.flatMap((name) => [`${name}, ${unit}`, "ratio"]), "result"];
  const ratios = Object.fromEntries(others.map((name) => [name, lineRatios(result, name, key)]));
  const rows = groups.flatMap(({ title, workloads }) => [
    ...workloads.map(({ name, title: what }) => {
      const seconds = (/** @type {string} */ machine) => formatSpread(spreadOf(samples[machine].map((run) => run[name]?.[key])));
      const compared = others.flatMap((other) => [seconds(other), formatSpread(ratios[other].find((line) => line.name === name)?.ratio)]);
      return [what, seconds(ours), ...compared, samples[ours][0][name].hash.slice(0, 8)];
    }),
    meanRow(`${title}: geometric mean`, others, ratios, (name) => workloads.some((workload) => workload.name === name)),
  ]);
  rows.push(meanRow("all compute lines: geometric mean", others, ratios, (_, isCompute) => isCompute));
  return formatTable(header, rows);
}

/**
 * @param {string} title
 * @param {readonly string[]} others
 * @param {Record<string, ReturnType<typeof lineRatios>>} ratios
 * @param {(name: string, isCompute: boolean) => boolean} isMeant
 */
function meanRow(title, others, ratios, isMeant) {
  const means = others.flatMap((other) => {
    const meant = ratios[other].filter(({ name, isCompute }) => isMeant(name, isCompute));
    return ["", formatNumber(geometricMean(meant.map(({ ratio }) => ratio?.median)))];
  });
  return [title, "", ...means, ""];
}

/**
 * What our machine's own counters say.
 * @param {CpuResult} result
 */
function formatDetails({ machines: [ours], samples, groups }) {
  const header = [
    "unpinned", "vCPU thread, s", "M instructions", "M/s", "translated %", "M interpreted", "instr. a region entry", "M trace look-ups", "M TLB misses", "page faults",
    "exits", "most of them", "new regions", "code dropped",
  ];
  const rows = groups.flatMap(({ workloads }) => workloads.map(({ name, title }) => {
    const details = samples[ours].flatMap((run) => run[name].detail ?? []);
    const median = (/** @type {(detail: any) => number | undefined} */ pick) => spreadOf(details.map(pick))?.median;
    const inMillions = (/** @type {(detail: any) => number} */ pick) => formatNumber(median((detail) => pick(detail) / MILLION));
    const whole = (/** @type {(detail: any) => number} */ pick) => median(pick)?.toFixed(0) ?? "-";
    const exits = Object.entries(details.at(-1)?.exits ?? {}).sort((a, b) => b[1] - a[1]);
    return [
      title, formatNumber(median(({ vcpuS }) => vcpuS)), inMillions(({ instructions }) => instructions), whole(({ mips }) => mips),
      formatNumber(median(({ translated, instructions }) => (100 * translated) / instructions)), inMillions(({ translated, instructions }) => instructions - translated),
      formatNumber(median(({ translated, entries }) => translated / entries)), inMillions(({ core }) => core.traceLookups), inMillions(({ core }) => core.tlbMisses),
      whole(({ core }) => core.pageFaults), whole(({ exits: all }) => Object.values(all).reduce((/** @type {number} */ sum, count) => sum + count, 0)),
      exits.slice(0, 2).map(([reason, count]) => `${reason} ${count}`).join(", ") || "-", whole(({ regions }) => regions), whole(({ core }) => core.codeInvalidations),
    ];
  }));
  return formatTable(header, rows);
}
