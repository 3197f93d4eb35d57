/**
 * What one start leaves for the next: the unpacked kernel, and compiled code.
 *
 * What: the same command with a fresh cache folder, again, with a damaged file, without a cache; and two vCPUs that do the same work.
 * Why: code that was compiled from other instructions, or by another version, would compute something else without a word.
 * How it can tell: the guest's answers are the host's each time. Regions that were there already are counted (`translation.known`): few at first, most of them at the
 *   second start, few again when the file they came from has a changed byte, which is made anew.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../../bin/unpinned.js", import.meta.url));
/** A flag of V8 under which it takes no machine code that was made without: that of the build. */
const OTHER_FLAGS = "--no-flush-bytecode";
const ZEROS = 8 << 20;
const TIMEOUT_MS = 600_000;
const SCRIPT = `head -c ${ZEROS} /dev/zero | sha256sum; i=0; sum=0; while [ $i -lt 20000 ]; do i=$((i + 1)); sum=$(((sum + i * 7) & 65535)); done; echo $sum`;
const ANSWER = `${createHash("sha256").update(new Uint8Array(ZEROS)).digest("hex")}  -\n${sumOnHost()}\n`;

const folder = mkdtempSync(join(tmpdir(), "unpinned-cache-"));
after(() => rmSync(folder, { recursive: true }));

function sumOnHost() {
  let sum = 0;
  for (let i = 1; i <= 20_000; i++) sum = (sum + i * 7) & 65_535;
  return sum;
}

/**
 * Runs the program, by an engine that has to compile the processor core itself, with these options; its answer has to be `answer`.
 * @param {readonly string[]} options
 * @returns {{ regions: number, known: number }} Figures of its translator.
 */
function run(options, script = SCRIPT, answer = ANSWER) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [OTHER_FLAGS, PROGRAM, "run", "--json", ...options, "--exec", script], { encoding: "utf8", timeout: TIMEOUT_MS });
  assert.equal(status, 0, stderr);
  const end = stdout.trimEnd().lastIndexOf("\n") + 1;
  assert.equal(stdout.slice(0, end), answer);
  return JSON.parse(stdout.slice(end)).translation;
}

/** @param {string} kind */
function fileOf(kind) {
  const name = readdirSync(folder).find((file) => file.startsWith(`${kind}-`));
  assert.ok(name !== undefined, `expected a file of the kind ${kind} in the cache, got ${readdirSync(folder)}`);
  return join(folder, name);
}

/**
 * Some regions are there already at any first start: of code that lies in two pages, or whose page was written to.
 * @param {{ regions: number, known: number }} figures
 */
const isCold = ({ regions, known }) => known < regions / 4;

test("a second start begins with what the first has compiled, and computes the same; a damaged file is made anew", { timeout: TIMEOUT_MS }, (t) => {
  const first = run(["--cache", folder]);
  assert.ok(isCold(first), `expected regions to be made, got ${first.known} of ${first.regions} that were there`);
  for (const kind of ["kernel", "core", "regions"]) fileOf(kind);
  const second = run(["--cache", folder]);
  assert.ok(second.known > second.regions / 2, `expected most regions to be there already, got ${second.known} of ${second.regions}`);
  for (const kind of ["core", "regions"]) {
    const path = fileOf(kind);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(path, bytes);
  }
  assert.ok(isCold(run(["--cache", folder])));
  const mended = run(["--cache", folder]);
  assert.ok(!isCold(mended));
  t.diagnostic(`regions there already: ${first.known} of ${first.regions}, ${second.known} of ${second.regions}, mended ${mended.known} of ${mended.regions}`);
});

test("nothing is known without a cache, but what another vCPU has had translated", { timeout: TIMEOUT_MS }, (t) => {
  assert.equal(run(["--no-cache"], "echo", "\n").known, 0);
  const both = run(["--no-cache", "--vcpus", "2"], "f() { i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done; echo $i; }; f & f; wait", "60000\n60000\n");
  assert.ok(both.known > 0, `expected the vCPUs to share regions, got ${both.known} of ${both.regions}`);
  t.diagnostic(`regions shared by two vCPUs: ${both.known} of ${both.regions}`);
});
