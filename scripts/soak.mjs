/**
 * `npm run soak -- [--minutes N] [--vcpus N] [--storm RATE] [--lock-step N] [--tier NAME] [--memory MIB]`: one guest works for so long, and nothing may go
 * wrong: C programs, busybox scripts, hashes, processes, mappings, threads, code that changes, processors that leave, all with answers known from this
 * host; while its pages move, and its translated code is checked against the interpreter. Prints a line a minute, and a verdict at the end.
 *
 * Exit status: 0 all was right and the memory of this process did not grow, 1 something was wrong, 2 wrong use. Needs what the guest tests need.
 */
import { parseArgs } from "node:util";
import { giveUp, prepare, say } from "./prepare.mjs";
import { provideTools } from "./test-tools.mjs";

const MIB = 1 << 20;
const MINUTE_MS = 60_000;
/** A step may take this long on a host that is busy, with checks on. */
const STEP_TIMEOUT_MS = 30 * MINUTE_MS;
/** The fitted growth over the second half that is taken for a leak: more than the collector's coming and going. */
const GROWTH_MAX_BYTES = 64 * MIB;
const DEFAULTS = { minutes: "60", vcpus: "2", storm: "1000", "lock-step": "50", tier: "both", memory: "256" };

function readArguments() {
  try {
    const { values } = parseArgs({ options: Object.fromEntries(Object.entries(DEFAULTS).map(([name, text]) => [name, { type: /** @type {const} */ ("string"), default: text }])) });
    const numbers = Object.fromEntries(["minutes", "vcpus", "storm", "lock-step", "memory"].map((name) => [name, Number(values[name])]));
    const bad = Object.entries(numbers).find(([, value]) => !Number.isFinite(value) || value < 0);
    if (bad !== undefined) giveUp(`soak: --${bad[0]}: "${values[bad[0]]}" is no number`);
    return { minutes: numbers.minutes, vcpus: numbers.vcpus, storm: numbers.storm, lockStep: numbers["lock-step"], memoryBytes: numbers.memory * MIB, tier: String(values.tier) };
  } catch (error) {
    giveUp(`soak: ${/** @type {Error} */ (error).message}`);
  }
}

/** Slope of the line that fits `points` best, in units of y for each of x. @param {readonly (readonly [x: number, y: number])[]} points */
function slopeOf(points) {
  const mean = (/** @type {(point: readonly [number, number]) => number} */ pick) => points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [mean(([one]) => one), mean(([, one]) => one)];
  const spread = points.reduce((sum, [one]) => sum + (one - x) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0) / spread;
}

/** What is looked at each minute. */
class Journal {
  #begunMs = Date.now();
  /** @type {[minute: number, residentBytes: number][]} */
  #resident = [];
  #rounds = 0;

  get minutes() { return (Date.now() - this.#begunMs) / MINUTE_MS; }

  roundDone() { this.#rounds++; }

  /** @param {import("../dist/machine/index.js").VirtualMachine} vm */
  write(vm) {
    const { lockStep, translation, storm, instructions } = vm.stats();
    const resident = process.memoryUsage.rss();
    this.#resident.push([this.minutes, resident]);
    const checked = lockStep === undefined ? "no lock step" : `${lockStep.differences} differences in ${lockStep.checked} stretches of ${lockStep.instructions} instructions`;
    const retired = (instructions.interpreter + instructions.translator) / 1e9;
    say(`${this.minutes.toFixed(1)} min: ${checked}; resident ${(resident / MIB).toFixed(0)} MiB; ${translation.regions} regions, given up ${translation.evictions} times; `
      + `${storm.moves} moves; ${retired.toFixed(1)} thousand million instructions; ${this.#rounds} rounds of the load`);
  }

  /** Fitted growth of the resident memory over the second half, in bytes. */
  get growth() {
    const second = this.#resident.slice(Math.floor(this.#resident.length / 2));
    if (second.length < 2) return 0;
    return slopeOf(second) * (second[second.length - 1][0] - second[0][0]);
  }
}

/** Runs the load again and again until the time is over. */
async function work(vm, load, runSteps, journal, { minutes, vcpus }) {
  const build = await load.build();
  const lanes = [
    [...load.makeFiles(), ...load.filesAreRight(), ...load.output()],
    load.runPrograms(),
    [...build.slice(0, 2), ...load.disturb(vcpus), ...build.slice(2)],
  ];
  while (journal.minutes < minutes) {
    await Promise.all(lanes.map((steps) => runSteps(vm, steps, { timeoutMs: STEP_TIMEOUT_MS, goesOn: () => journal.minutes < minutes })));
    journal.roundDone();
  }
}

async function main() {
  const options = readArguments();
  prepare();
  provideTools();
  const { bootGuest } = await import("../test/guest/support/guest.mjs");
  const { assertQuietKernel, Load, runSteps } = await import("../test/guest/support/load.mjs");
  const load = new Load({ programs: "all", files: 2, fileMib: 16, rounds: 4 });
  const { vcpus, storm, lockStep, tier, memoryBytes } = options;
  const vm = await bootGuest({ vcpus, storm, lockStep, tier, memoryBytes, files: load.files });
  const journal = new Journal();
  const timer = setInterval(() => journal.write(vm), MINUTE_MS);
  try {
    await load.prepare(vm);
    await work(vm, load, runSteps, journal, options);
    await assertQuietKernel(vm);
    journal.write(vm);
  } finally {
    clearInterval(timer);
    load.remove();
    await vm.dispose();
  }
  const growth = `fitted growth over the second half ${(journal.growth / MIB).toFixed(1)} MiB`;
  if (journal.growth > GROWTH_MAX_BYTES) throw new Error(`the memory of this process grows: ${growth}, more than ${GROWTH_MAX_BYTES / MIB} MiB`);
  say(`verdict: no difference, every answer right, ${growth}`);
}

await main().catch((error) => {
  // A step's error has the guest's in it, which knows the registers and what differs.
  const describe = (/** @type {any} */ failure) => failure?.describe?.() ?? [];
  say([`verdict: ${error.message}`, ...describe(error), ...describe(error.cause)].join("\n"));
  process.exitCode = 1;
});
