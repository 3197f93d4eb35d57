/** Benchmark "boot": from the start of the process to the first line of user space, and on to power-off. */
import { fileURLToPath } from "node:url";
import { unpackKernel, prepareGuestFiles } from "./guest-files.mjs";
import { join } from "node:path";
import { OUR_WARM, ourMachine, qemuMachine, v86Machine } from "./machines.mjs";
import { findMark, measureRun } from "./measure.mjs";
import { describeFailures, runInTurn } from "./rounds.mjs";
import { ratioOf, spreadOf } from "./statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "./table.mjs";

const OUR_PROGRAM = fileURLToPath(new URL("../bin/unpinned.js", import.meta.url));
/** A boot that takes longer hangs. */
const TIMEOUT_MS = 300_000;
const THREADS_SHOWN_MAX = 8;
/** The second adds what the first has made too late. */
const WARM_STARTS = 2;
/** The machine that the aim is about. */
export const BOOT_REFERENCE = "QEMU pc, bzImage";

/**
 * @param {import("./rounds.mjs").BenchContext} context
 */
export async function benchBoot(context) {
  const { folder, memoryBytes, qemuVersion, v86 } = context;
  const parameters = { workloads: "", shell: "" };
  const files = await prepareGuestFiles(folder, { parameters });
  /** @type {import("./machines.mjs").Machine[]} */
  const machines = [ourMachine(files, memoryBytes), ourMachine(files, memoryBytes, join(folder, "cache-boot"))];
  if (qemuVersion !== undefined) {
    const elf = await unpackKernel(folder, files.kernelPath);
    machines.push(
      qemuMachine(files, { name: BOOT_REFERENCE, kernelPath: files.kernelPath, memoryBytes }),
      qemuMachine(files, { name: "QEMU pc, PVH", kernelPath: elf, memoryBytes }),
      qemuMachine(files, { name: "QEMU microvm, PVH", kernelPath: elf, memoryBytes, machine: "microvm" }),
    );
  }
  if (v86 !== undefined) {
    const files32 = await prepareGuestFiles(folder, { parameters, guest: v86 });
    machines.push(v86Machine({ ...files32, ...v86 }, memoryBytes));
  }
  await warmUp(machines, context);
  const { samples, failures } = await runInTurn(machines, context, async (machine) =>
    sampleOf(await measureRun(machine, { timeoutMs: TIMEOUT_MS }), machine.name !== "v86"));
  const product = await sampleProgram(context);
  const version = v86 === undefined ? files.version : `${files.version}; v86: ${v86.version}`;
  return { version, machines: machines.map(({ name }) => name), samples, failures, product };
}

/**
 * Starts the machine that is to be warm, so that it finds something in each measured round.
 * @param {readonly import("./machines.mjs").Machine[]} machines
 * @param {import("./rounds.mjs").BenchContext} context
 * @param {number} [timeoutMs] of one start
 */
export async function warmUp(machines, { say }, timeoutMs = TIMEOUT_MS) {
  const warm = machines.find(({ name }) => name === OUR_WARM);
  for (let start = 1; warm !== undefined && start <= WARM_STARTS; start++) {
    say(`${warm.name}, start ${start} of ${WARM_STARTS} that is not measured`);
    await measureRun(warm, { timeoutMs });
  }
}

/**
 * @param {import("./measure.mjs").Run} run
 * @param {boolean} canPowerOff
 */
function sampleOf(run, canPowerOff) {
  const init = findMark(run, "init");
  const { instructions, core, pagesTouched, exits } = /** @type {any} */ (init.report ?? {});
  const guestMs = init.threads.size === 0 ? undefined : Math.max(...init.threads.values());
  return {
    initCpuS: seconds(init.processMs), initWallS: seconds(init.wallMs),
    ...(canPowerOff ? { endCpuS: seconds(run.processMs), endWallS: seconds(run.wallMs) } : {}),
    ...(instructions === undefined ? {} : {
      instructions, pagesTouched, exits, core, threadsS: [...init.threads.values()].map((ms) => ms / 1000).sort((a, b) => b - a),
      mips: guestMs === undefined ? undefined : instructions / guestMs / 1000,
    }),
  };
}

/** What a user waits for: our program with its own init, a command that does nothing, and power-off. */
async function sampleProgram(/** @type {import("./rounds.mjs").BenchContext} */ { runs, memoryBytes, say }) {
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
export function formatBoot({ version, machines, samples, failures, product }) {
  const [ours] = machines;
  const columns = /** @type {const} */ ([
    ["to init, CPU s", "initCpuS"], ["to init, wall s", "initWallS"], ["to power-off, CPU s", "endCpuS"], ["to power-off, wall s", "endWallS"],
  ]);
  const header = ["boot, from the start", ...columns.flatMap(([title]) => [title, "ours / it"])];
  const rows = machines.map((name) => [name, ...columns.flatMap(([, key]) => {
    const valuesOf = (/** @type {string} */ machine) => samples[machine].map((sample) => sample[key]);
    return [formatSpread(spreadOf(valuesOf(name))), name === ours ? "" : formatSpread(ratioOf(valuesOf(ours), valuesOf(name)))];
  })]);
  const median = (/** @type {string} */ key) => spreadOf(samples[ours].map((sample) => /** @type {any} */ (sample)[key]))?.median;
  const productMedian = (/** @type {"cpuS" | "wallS" | "readyS"} */ key) => formatSpread(spreadOf(product.map((sample) => sample[key])));
  const core = samples[ours].at(-1)?.core ?? {};
  return [
    formatTable(header, rows), "", `Kernel: ${version}.`,
    `To init: ${millions(median("instructions"))} M guest instructions, ${formatNumber(median("mips"))} M a second of the vCPU thread's CPU time, ` +
      `${median("pagesTouched")} pages touched, ${millions(core.traceLookups)} M trace look-ups, ${millions(core.tlbMisses)} M TLB misses, ` +
      `${core.codeInvalidations} code invalidations.`,
    `By thread, CPU s, the vCPU's first: ${samples[ours].at(-1)?.threadsS?.slice(0, THREADS_SHOWN_MAX).map(formatNumber).join(", ") ?? "-"} (in the last round).`,
    `unpinned run --exec true (our own init, to power-off): CPU ${productMedian("cpuS")} s, wall ${productMedian("wallS")} s, ` +
      `guest ready ${productMedian("readyS")} s after its start.`,
    `"${OUR_WARM}" has been started ${WARM_STARTS} times before with a cache folder of its own; "unpinned" keeps and finds nothing.`,
    ...describeFailures(failures),
  ].join("\n");
}

/** @param {number | undefined} value */
function millions(value) {
  return value === undefined ? "-" : formatNumber(value / 1e6);
}
