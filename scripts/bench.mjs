/**
 * Benchmarks: our machine and, where it is installed, QEMU's TCG on the same kernel, initial RAM disk and programs, in turn.
 * Prints tables; judges nothing by its time. Needs a built tree. How to read it: bench/README.md.
 *
 * Usage: npm run bench [-- [boot] [cpu] [pages] [profile] [explore] [--runs N] [--json] [--smoke]]
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** Parts of benchmark "pages"; here by name, since its code needs a built tree. */
const PAGE_PARTS = ["pages/access", "pages/send", "pages/host", "pages/guest"];
const RUNS_DEFAULT = 3;
const MEMORY_BYTES = 256 << 20;
const USAGE = `Usage: npm run bench [-- [boot] [cpu] [pages] [profile] [explore] [--runs N] [--json] [--smoke]]

  boot       start to init and to power-off
  cpu        programs and integer kernels in the guest
  pages      no comparison: what it costs that pages move; pages/access, pages/send, pages/host and pages/guest are its parts
             (not done unless asked for)
  profile    no comparison: where the time of our own boot goes (not done unless asked for)
  explore    our explorer and Spin on the same protocols (not done unless asked for)
  --runs N   rounds in which each machine runs once (default ${RUNS_DEFAULT})
  --json     print one JSON object with every sample instead of tables
  --smoke    small sizes and one round: shows that everything works, not how fast
`;

/** @returns {{ names: string[], runs: number, isJson: boolean, isSmoke: boolean } | { problem: string }} */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { runs: { type: "string" }, json: { type: "boolean" }, smoke: { type: "boolean" }, help: { type: "boolean" } },
    });
    if (values.help) return { problem: "" };
    const runs = Number(values.runs ?? (values.smoke ? 1 : RUNS_DEFAULT));
    if (!Number.isInteger(runs) || runs < 1) return { problem: `--runs: "${values.runs}" is no number of rounds` };
    const unknown = positionals.find((name) => !["boot", "cpu", "profile", "pages", "explore", ...PAGE_PARTS].includes(name));
    if (unknown !== undefined) return { problem: `there is no benchmark "${unknown}"` };
    return { names: positionals.length === 0 ? ["boot", "cpu"] : positionals, runs, isJson: values.json ?? false, isSmoke: values.smoke ?? false };
  } catch (error) {
    return { problem: /** @type {Error} */ (error).message };
  }
}

/** Says what is being done, on one line that is written over, and only to a person. */
function say(/** @type {string} */ progress) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${progress}`);
}

function describeHost(/** @type {string | undefined} */ qemuVersion) {
  return {
    date: new Date().toISOString().slice(0, 10), processor: cpus()[0]?.model ?? process.arch, processors: availableParallelism(),
    load: loadavg()[0], node: process.version, qemu: qemuVersion ?? null,
  };
}

/**
 * @param {number} runs
 * @param {string | undefined} qemuVersion
 */
function describeComparison(runs, qemuVersion) {
  const figures = `${runs} ${runs === 1 ? "round" : "rounds"}, median (least-most).`;
  if (qemuVersion === undefined) return `${figures} There is no qemu-system-x86_64 here: our machine alone.`;
  return `QEMU ${qemuVersion}, TCG, one vCPU. ${figures} Ratio: ours / QEMU's, round by round.`;
}

async function main() {
  const args = readArguments();
  if ("problem" in args) {
    process.stderr.write(args.problem === "" ? USAGE : `bench: ${args.problem}\n${USAGE}`);
    process.exitCode = args.problem === "" ? 0 : 2;
    return;
  }
  if (!existsSync(new URL("../dist/cpu/core.wasm", import.meta.url))) {
    process.stderr.write("bench: not built yet, run: npm install && npm run build\n");
    process.exitCode = 2;
    return;
  }
  const [{ benchBoot, formatBoot }, { benchCpu, formatCpu }, { benchPages, formatPages }, { profileBoot, formatProfiles }, { findQemu }] = await Promise.all([
    import("../bench/boot.mjs"), import("../bench/cpu.mjs"), import("../bench/pages.mjs"), import("../bench/profile.mjs"), import("../bench/machines.mjs"),
  ]);
  const qemuVersion = findQemu();
  const host = describeHost(qemuVersion);
  const print = (/** @type {string} */ text) => process.stdout.write(args.isJson ? "" : `${text}\n\n`);
  print(`${host.date}, ${host.processors} x ${host.processor}, load ${host.load.toFixed(1)}, Node.js ${host.node}.`);
  if (args.names.some((name) => name === "boot" || name === "cpu")) print(describeComparison(args.runs, qemuVersion));

  const folder = mkdtempSync(join(tmpdir(), "unpinned-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  const context = { folder, runs: args.runs, memoryBytes: MEMORY_BYTES, qemuVersion, isSmoke: args.isSmoke, say };
  /** @type {Record<string, unknown>} */
  const results = { host };
  if (args.names.includes("boot")) {
    const result = await benchBoot(context);
    say("");
    print(formatBoot(result));
    results.boot = result;
  }
  if (args.names.includes("cpu")) {
    const result = await benchCpu(context);
    say("");
    print(formatCpu(result));
    results.cpu = result;
    if (result.differences.length > 0) process.exitCode = 1;
  }
  if (args.names.some((name) => name.startsWith("pages"))) {
    const result = await benchPages(context, args.names);
    say("");
    print(formatPages(result));
    print(`Load at the end: ${loadavg()[0].toFixed(1)}.`);
    results.pages = result;
  }
  if (args.names.includes("profile")) {
    const result = await profileBoot(context);
    print(formatProfiles(result));
    results.profile = result;
  }
  if (args.names.includes("explore")) {
    const { benchExplore, formatExplore } = await import("../bench/explore/explore.mjs");
    const result = await benchExplore(context);
    say("");
    print(formatExplore(result));
    results.explore = result;
  }
  if (args.isJson) process.stdout.write(`${JSON.stringify(results)}\n`);
}

await main().catch((/** @type {Error} */ error) => {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
