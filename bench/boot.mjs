/** Benchmark "boot": from the start of the process to the first line of user space, and on to power-off. */
import { fileURLToPath } from "node:url";
import { unpackKernel, prepareGuestFiles } from "./guest-files.mjs";
import { ourMachine, qemuMachine } from "./machines.mjs";
import { findMark, measureRun } from "./measure.mjs";
import { runInTurn } from "./rounds.mjs";
import { ratioOf, spreadOf } from "./statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "./table.mjs";

const OUR_PROGRAM = fileURLToPath(new URL("../bin/unpinned.js", import.meta.url));
/** A boot that takes longer hangs. */
const TIMEOUT_MS = 300_000;
/** Aim: processor seconds from the start to init. */
const AIM_INIT_CPU_S = 4;

/**
 * @param {import("./rounds.mjs").BenchContext} context
 */
export async function benchBoot(context) {
  const { folder, memoryBytes, qemuVersion } = context;
  const files = await prepareGuestFiles(folder, { parameters: { workloads: "" } });
  const machines = [ourMachine(files, memoryBytes)];
  if (qemuVersion !== undefined) {
    const elf = await unpackKernel(folder, files.kernelPath);
    machines.push(
      qemuMachine(files, { name: "QEMU pc, bzImage", kernelPath: files.kernelPath, memoryBytes }),
      // Not microvm: without a second timer to check against, Linux finds no clock on it when the host is busy, and hangs.
      qemuMachine(files, { name: "QEMU pc, PVH", kernelPath: elf, memoryBytes }),
    );
  }
  const samples = await runInTurn(machines, context, async (machine) => sampleOf(await measureRun(machine, { timeoutMs: TIMEOUT_MS })));
  const product = await sampleProgram(context);
  return { version: files.version, machines: machines.map(({ name }) => name), samples, product };
}

/** @param {import("./measure.mjs").Run} run */
function sampleOf(run) {
  const init = findMark(run, "init");
  const { instructions, core, pagesTouched, exits } = /** @type {any} */ (init.report ?? {});
  const guestMs = init.threads.size === 0 ? undefined : Math.max(...init.threads.values());
  return {
    initCpuS: seconds(init.processMs), initWallS: seconds(init.wallMs),
    endCpuS: seconds(run.processMs), endWallS: seconds(run.wallMs),
    ...(instructions === undefined ? {} : {
      instructions, pagesTouched, exits, core,
      mips: guestMs === undefined ? undefined : instructions / guestMs / 1000,
    }),
  };
}

/** What a user waits for: our program with its own init, a command that does nothing, and power-off. */
async function sampleProgram({ runs, memoryBytes, say }) {
  const args = [OUR_PROGRAM, "run", "--memory", `${memoryBytes / 2 ** 20}M`, "--exec", "true", "--json"];
  const samples = [];
  for (let round = 0; round < runs; round++) {
    say(`unpinned run --exec true, run ${round + 1} of ${runs}`);
    const { output, processMs, wallMs } = await measureRun({ command: process.execPath, args }, { timeoutMs: TIMEOUT_MS });
    const { bootMs, instructions } = JSON.parse(output);
    samples.push({ cpuS: seconds(processMs), wallS: seconds(wallMs), readyS: seconds(bootMs), instructions: instructions.interpreter + instructions.translator });
  }
  return samples;
}

/** @param {number | undefined} ms */
function seconds(ms) {
  return ms === undefined ? undefined : ms / 1000;
}

/**
 * @param {Awaited<ReturnType<typeof benchBoot>>} result
 * @returns {string}
 */
export function formatBoot({ version, machines, samples, product }) {
  const [ours, ...others] = machines;
  const header = [`boot: ${version}`, ours, ...others.flatMap((name) => [name, "ratio"])];
  const rows = [
    ["start to init, CPU s", "initCpuS"], ["start to init, wall s", "initWallS"],
    ["start to power-off, CPU s", "endCpuS"], ["start to power-off, wall s", "endWallS"],
  ].map(([title, key]) => {
    const valuesOf = (/** @type {string} */ name) => samples[name].map((sample) => sample[key]);
    return [
      title, formatSpread(spreadOf(valuesOf(ours))),
      ...others.flatMap((name) => [formatSpread(spreadOf(valuesOf(name))), formatSpread(ratioOf(valuesOf(ours), valuesOf(name)))]),
    ];
  });
  const median = (/** @type {string} */ key) => spreadOf(samples[ours].map((sample) => sample[key]))?.median;
  const productMedian = (/** @type {string} */ key) => formatSpread(spreadOf(product.map((sample) => sample[key])));
  const core = samples[ours].at(-1).core ?? {};
  return [
    formatTable(header, rows), "",
    `Aim: start to init in at most ${AIM_INIT_CPU_S} s of CPU time. Reached: ${formatNumber(median("initCpuS"))} s.`,
    `To init: ${millions(median("instructions"))} M guest instructions, ${formatNumber(median("mips"))} M a second of the vCPU thread's CPU time, ` +
      `${median("pagesTouched")} pages touched, ${millions(core.traceLookups)} M trace look-ups, ${millions(core.tlbMisses)} M TLB misses, ` +
      `${core.codeInvalidations} code invalidations.`,
    `unpinned run --exec true (our own init, to power-off): CPU ${productMedian("cpuS")} s, wall ${productMedian("wallS")} s, ` +
      `guest ready ${productMedian("readyS")} s after its start.`,
  ].join("\n");
}

/** @param {number | undefined} value */
function millions(value) {
  return value === undefined ? "-" : formatNumber(value / 1e6);
}
