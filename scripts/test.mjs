/**
 * `npm test`: from a fresh checkout to a verdict. Installs and builds what is missing, then runs every suite with Node's test
 * runner (run-tests.mjs), the fast ones first. Usage: npm test, or npm test -- SUITE... (unit, stress, differential, guest).
 * The status is 0 when all suites passed, 1 when a test failed or a suite took too long.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { giveUp, prepare, root, say } from "./prepare.mjs";
import { provideTools } from "./test-tools.mjs";

/** On two quiet processors all of it takes less than a quarter of an hour; what takes this long hangs. Longer where UNPINNED_TIER names a slow tier. */
const TOTAL_MINUTES_MAX = 45;
const DIFFERENTIAL = join("dist", "cpu", "differential");
/** Tests that keep all processors busy by themselves. */
const STRESS = ["guest-page", "hypercall", "kvm"].map((room) => join("dist", room, "testing"));

/** Guest tests that have the host to themselves: several vCPUs in a storm, which keep all processors busy, or clocks and loads that are measured. */
const ALONE = ["gdb/gdb", "storm/disposal", "storm/memtester", "storm/storm", "time/time"].map((name) => join("test", "guest", `${name}.test.mjs`));

/** Files that take half a minute and more, by the end of their paths, longest first. A suite begins with them, so that none is left to run alone at its end. */
const LONG = [
  "control.test.mjs", "program.test.mjs", "boot.test.mjs", "library.test.mjs", "cache.test.mjs", "personality.test.mjs", "programs.test.mjs", "disposal.test.mjs", "busybox.test.mjs",
  "shipped.test.js", "translated.test.js",
];

/** Every suite: its files, how many of them run at once, and whether it needs tools of the host. One name may stand for two. */
const SUITES = [
  { name: "unit", concurrency: 2, files: () => builtTests().filter((file) => !file.startsWith(DIFFERENTIAL) && !isStress(file)) },
  { name: "stress", concurrency: 1, files: () => builtTests().filter(isStress) },
  { name: "differential", concurrency: 2, files: () => builtTests().filter((file) => file.startsWith(DIFFERENTIAL)) },
  // Most of these guests have one vCPU, and nothing is measured of them that a busy host changes.
  { name: "guest", concurrency: 2, needsTools: true, files: () => guestTests().filter((file) => !ALONE.includes(file)) },
  { name: "guest", concurrency: 1, needsTools: true, files: () => guestTests().filter((file) => ALONE.includes(file)) },
];

function guestTests() {
  return filesBelow("test/guest", ".test.mjs");
}

/** Where a file stands in the order in which its suite begins them. */
function placeOf(file) {
  const place = LONG.findIndex((name) => file.endsWith(`${sep}${name}`));
  return place < 0 ? LONG.length : place;
}

function isStress(file) {
  return STRESS.some((folder) => file.startsWith(folder));
}

function filesBelow(folder, ending) {
  const full = join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full, { recursive: true }).filter((name) => name.endsWith(ending)).map((name) => join(folder, name)).sort();
}

/** Compiled tests whose source is still there (dist keeps what was compiled from files that are gone). */
function builtTests() {
  return filesBelow("dist", ".test.js").filter((file) => existsSync(join(root, "src", relative("dist", file).replace(/\.js$/, ".ts"))));
}

/** The test runner at work. */
let running;

/** Ends the test runner with all processes that its tests have started. */
function endRunning() {
  if (running === undefined) return;
  try {
    process.kill(-running.pid, "SIGKILL");
  } catch {
    // It ended by itself just now.
  }
}

/** Runs one suite; true = every test passed. */
async function runSuite({ name, concurrency, files }, deadlineMs) {
  const paths = files().sort((a, b) => placeOf(a) - placeOf(b));
  if (paths.length === 0) {
    say(`test: ${name}: no files`);
    return false;
  }
  say(`\ntest: ${name}, ${paths.length} files`);
  const beganMs = Date.now();
  const command = ["--enable-source-maps", join(root, "scripts/run-tests.mjs"), String(concurrency)];
  // A process group of its own: whoever ends the runner ends the tests' processes with it.
  const child = spawn(process.execPath, [...command, ...paths], { cwd: root, detached: true, stdio: ["ignore", "inherit", "inherit"] });
  running = child;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    endRunning();
  }, Math.max(0, deadlineMs - beganMs));
  const status = await new Promise((resolve) => child.once("close", resolve));
  running = undefined;
  clearTimeout(timer);
  const verdict = isLate ? `not done within ${minutesMax} minutes of all suites` : status === 0 ? "passed" : "FAILED";
  say(`test: ${name}: ${verdict} in ${((Date.now() - beganMs) / 1000).toFixed(0)} s`);
  return status === 0 && !isLate;
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !SUITES.some((suite) => suite.name === name));
if (unknown !== undefined) giveUp(`there is no suite "${unknown}": ${SUITES.map(({ name }) => name).join(", ")}`);
const suites = SUITES.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const beganMs = Date.now();
prepare();
// It asks what has just been built.
const { timeLimit } = await import("../test/guest/support/tier.mjs").catch((error) => giveUp(error.message));
const minutesMax = timeLimit(TOTAL_MINUTES_MAX);
if (suites.some(({ needsTools }) => needsTools)) provideTools();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    endRunning();
    process.exit(1);
  });
}
const failed = [];
for (const suite of suites) {
  if (!(await runSuite(suite, beganMs + minutesMax * 60_000))) failed.push(suite.name);
}
say(`\ntest: ${failed.length === 0 ? "all suites passed" : `FAILED: ${[...new Set(failed)].join(", ")}`}`);
process.exitCode = failed.length === 0 ? 0 : 1;
