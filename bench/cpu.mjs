/** Benchmark "cpu": the same programs on the same data in each machine's guest, timed between their marker lines. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { warmUp } from "./boot.mjs";
import { compilePrograms, prepareGuestFiles, prepareHostFiles } from "./guest-files.mjs";
import { nativeMachine, NATIVE_REPEAT, ourMachine, qemuMachine, v86Machine } from "./machines.mjs";
import { findMark, measureRun } from "./measure.mjs";
import { busiestThreadMs } from "./processor-time.mjs";
import { runInTurn } from "./rounds.mjs";
import { chooseGroups, guestParameters } from "./workloads.mjs";

/** A run that takes longer hangs: the slowest took a tenth of this. */
const TIMEOUT_MS = 1_800_000;

/** @param {import("./rounds.mjs").BenchContext} context */
export async function benchCpu(context) {
  const { folder, only } = context;
  const programs = compilePrograms(folder, 64);
  const groups = chooseGroups(only, "compiled" in programs ? [] : ["kernels", "programs"]);
  const names = groups.flatMap(({ workloads }) => workloads.map(({ name }) => name));
  /** @type {string[]} */
  const leftOut = "reason" in programs ? [`The C programs are left out: ${programs.reason}.`] : [];
  const machines = await makeMachines(context, names, { programs, leftOut });
  await warmUp(machines, context, TIMEOUT_MS);
  const { samples, failures } = await runInTurn(machines, context, (machine) => takeSample(machine, names));
  return { machines: machines.map(({ name }) => name), samples, failures, groups, leftOut, differences: findDifferences(names, samples) };
}

/**
 * @param {import("./rounds.mjs").BenchContext} context
 * @param {readonly string[]} names
 * @param {{ programs: ReturnType<typeof compilePrograms>, leftOut: string[] }} about `leftOut`: told what is not compared, and why
 */
async function makeMachines({ folder, memoryBytes, qemuVersion, isNative, isWarm, v86, isSmoke }, names, { programs, leftOut }) {
  const compiled = "compiled" in programs ? programs.compiled : {};
  const files = await prepareGuestFiles(folder, { parameters: guestParameters(names, { isSmoke, repeat: 1 }), compiled });
  const machines = [ourMachine(files, memoryBytes)];
  if (isWarm) machines.push(ourMachine(files, memoryBytes, join(folder, "cache-cpu")));
  if (qemuVersion !== undefined) machines.push(qemuMachine(files, { name: "QEMU TCG", kernelPath: files.kernelPath, memoryBytes }));
  if (isNative) {
    const host = await prepareHostFiles(folder, { parameters: guestParameters(names, { isSmoke, repeat: NATIVE_REPEAT }), compiled });
    process.on("exit", () => rmSync(host.scratchFolder, { recursive: true, force: true }));
    machines.push(nativeMachine(host));
  }
  if (v86 !== undefined) {
    const programs32 = compilePrograms(folder, 32);
    if ("reason" in programs32) leftOut.push(`On v86 the C programs are left out: ${programs32.reason}.`);
    const names32 = "reason" in programs32 ? names.filter((name) => !/^(?:kernel|program)_/.test(name)) : names;
    const parameters = guestParameters(names32, { isSmoke, repeat: 1 });
    const files32 = await prepareGuestFiles(folder, { parameters, compiled: "compiled" in programs32 ? programs32.compiled : {}, guest: v86 });
    machines.push(v86Machine({ ...files32, ...v86 }, memoryBytes));
  }
  return machines;
}

/**
 * @param {import("./machines.mjs").Machine} machine
 * @param {readonly string[]} names
 * @returns {Promise<Record<string, any>>} by the workload's name; none of one that the machine was not given
 */
async function takeSample(machine, names) {
  const run = await measureRun(machine, { timeoutMs: TIMEOUT_MS });
  findMark(run, "done");
  const given = names.filter((name) => run.marks.some(({ text }) => text === `begin ${name}`));
  return Object.fromEntries(given.map((name) => [name, sampleOf(run, name, machine.repeat ?? 1)]));
}

/**
 * @param {import("./measure.mjs").Run} run
 * @param {string} name
 * @param {number} repeat
 */
function sampleOf(run, name, repeat) {
  const failure = run.marks.find(({ text }) => text.startsWith(`failed ${name} `));
  if (failure !== undefined) throw new Error(`in the guest, ${name} ended with status ${failure.text.split(" ")[2]}, saying: ${run.output.trim().split("\n").at(-1)}`);
  const begin = findMark(run, `begin ${name}`);
  const end = findMark(run, `end ${name}`);
  const hash = run.marks.find(({ text }) => text.startsWith(`hash ${name} `))?.text.split(" ")[2];
  if (hash === undefined) throw new Error(`the guest told no result of ${name}`);
  const isTimed = end.processMs !== undefined && begin.processMs !== undefined;
  return {
    hash, wallS: (end.wallMs - begin.wallMs) / 1000 / repeat,
    cpuS: isTimed ? (end.processMs - begin.processMs) / 1000 / repeat : undefined,
    ...(begin.report === undefined || end.report === undefined ? {} : { detail: detailOf(begin, end) }),
  };
}

/**
 * What our machine's counters say of the time between two marks.
 * @param {import("./measure.mjs").Mark} begin
 * @param {import("./measure.mjs").Mark} end
 */
function detailOf(begin, end) {
  const spent = (/** @type {(report: any) => any} */ pick) => (pick(end.report) ?? NaN) - (pick(begin.report) ?? NaN);
  /** @type {any} */
  const last = end.report;
  const exits = Object.fromEntries(Object.keys(last.exits).map((reason) => [reason, spent((report) => report.exits[reason] ?? 0)]).filter(([, count]) => count > 0));
  const core = Object.fromEntries(Object.keys(last.core ?? {}).map((name) => [name, spent((report) => report.core?.[name])]));
  const vcpuMs = busiestThreadMs(begin.threads, end.threads);
  const instructions = spent((report) => report.instructions);
  return {
    instructions, translated: spent((report) => report.tiers.translator), entries: spent((report) => report.translation.entries),
    regions: spent((report) => report.translation.regions), translationMs: spent((report) => report.translation.milliseconds),
    vcpuS: vcpuMs === undefined ? undefined : vcpuMs / 1000, mips: instructions / (vcpuMs ?? end.wallMs - begin.wallMs) / 1000, exits, core,
  };
}

/** Workloads whose result was not the same in every run of every machine. */
function findDifferences(/** @type {readonly string[]} */ names, /** @type {Record<string, Record<string, any>[]>} */ samples) {
  return names.filter((name) => {
    const hashes = Object.values(samples).flatMap((runs) => runs.flatMap((run) => run[name]?.hash ?? []));
    return new Set(hashes).size > 1;
  });
}
