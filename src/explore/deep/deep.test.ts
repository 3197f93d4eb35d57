/** A search in parts finds what the whole search finds, however it is cut and wherever it is stopped. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ALL_CHECKS } from "../checks.js";
import { type MachineOptions, nothingWatched } from "../machine-options.js";
import { makeProgram } from "../testing/programs.js";
import { searchAll } from "../testing/search.js";
import { explorePart, splitSearch } from "./parts.js";
import { SharedStateSet, sharedStates } from "./shared-state-set.raw.js";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "../../../scripts/explore-deep.mjs");
const folder = mkdtempSync(join(tmpdir(), "unpinned-deep-"));
after(() => rmSync(folder, { recursive: true }));

function machineOptions(seed: number): MachineOptions {
  const create = makeProgram(seed, { stepsMax: 3, threadsMax: 3, isTso: false, hasInvariant: false });
  return { create, isTso: false, retriesMax: 3, stepsMax: Infinity, checks: ALL_CHECKS, hasClocks: false, watched: nothingWatched(create().words.length) };
}

/** Whether parts find something, the first `lost` of them begun, killed in the middle, and done again with a new set. */
function partsFind(options: MachineOptions, partsMin: number, lost: number): { readonly finds: boolean; readonly states: number } {
  const split = splitSearch(options, partsMin);
  let finds = split.findings.length > 0;
  let { states } = split.tally;
  const first = new SharedStateSet(sharedStates(1 << 14));
  // A killed part has put states into the set that nobody went on from.
  for (const path of split.parts.slice(0, lost)) explorePart({ ...options, stepsMax: 1 }, path, first, () => false);
  for (const path of split.parts.slice(lost)) {
    const { findings, tally } = explorePart(options, path, first, () => false);
    finds ||= findings.length > 0;
    states += tally.states;
  }
  const second = new SharedStateSet(sharedStates(1 << 14));
  for (const path of split.parts.slice(0, lost)) finds ||= explorePart(options, path, second, () => false).findings.length > 0;
  return { finds, states };
}

test("parts find something where the whole finds something, and nothing where it finds nothing", () => {
  let found = 0;
  for (let seed = 1; seed < 120; seed++) {
    const options = machineOptions(seed);
    const whole = searchAll(options.create, "states").findings.size > 0;
    found += whole ? 1 : 0;
    for (const partsMin of [1, 3, 8]) {
      for (const lost of [0, 1, 2]) assert.equal(partsFind(options, partsMin, lost).finds, whole, `program ${seed}, ${partsMin} parts, ${lost} lost`);
    }
  }
  assert.ok(found > 20 && found < 100, `${found} of 119 programs have a finding`);
});

test("parts that share their states do none twice", () => {
  for (let seed = 1; seed < 120; seed++) {
    const options = machineOptions(seed);
    const whole = searchAll(options.create, "states");
    if (whole.findings.size > 0) continue;
    assert.equal(partsFind(options, 6, 0).states, whole.tally.states, `program ${seed}`);
  }
});

test("a shared set knows what is in it, and is never full of what is not", () => {
  const set = new SharedStateSet(sharedStates(1024));
  const digests = Array.from({ length: 500 }, (_, n) => [Math.imul(n + 1, 0x9e3779b1), Math.imul(n + 1, 0x85ebca6b)] as const);
  for (const [low, high] of digests) assert.equal(set.addDigest(low, high), true);
  for (const [low, high] of digests) assert.equal(set.addDigest(low, high), false);
  for (let n = 0; n < 2000; n++) set.addDigest(n + 7, n + 9);
  assert.equal(set.addDigest(-5, -6), true, "a full set takes every state for a new one");
});

function deep(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [SCRIPT, ...args], { encoding: "utf8", timeout: 60_000 });
}

/** Three threads that meet in one word: some ten thousand states. */
const LARGE = `import { add } from "unpinned/explore";
export const scenario = {
  name: "large", says: "", expected: "holds",
  create: () => ({
    words: [{ name: "count", value: 0 }],
    threads: ["a", "b", "c"].map((name) => ({ name, *run() { for (let step = 0; step < 3; step++) yield add(0, 1); } })),
    atEnd: (view) => (view.value(0) === 9 ? undefined : "an addition is lost"),
  }),
};
`;

test("the program explores in parts, goes on from its file, and refuses another's", () => {
  const path = join(folder, "large.mjs");
  const state = join(folder, "state.json");
  writeFileSync(path, LARGE);
  const stopped = deep(path, "--state", state, "--parts", "40", "--minutes", "0.000001", "--workers", "2");
  assert.equal(stopped.status, 3, stopped.stderr + stopped.stdout);
  assert.match(stopped.stdout, /^not finished: \d+ of \d+ parts are done; the same command goes on from /);
  const before = (JSON.parse(readFileSync(state, "utf8")) as { done: number[] }).done.length;
  const finished = deep(path, "--state", state, "--parts", "40", "--workers", "2");
  assert.equal(finished.status, 0, finished.stderr);
  assert.match(finished.stdout, /^large holds within this bound: 3 threads \(a, b, c\); any number of preemptions/);
  const { done, key } = JSON.parse(readFileSync(state, "utf8")) as { done: number[]; key: string };
  assert.equal(new Set(done).size, (JSON.parse(key) as unknown[])[2]);
  assert.ok(before < done.length);
  const other = deep(path, "--state", state, "--parts", "40", "--retries", "1");
  assert.deepEqual([other.status, /belongs to another/.test(other.stderr)], [2, true], other.stderr);
});

test("the program prints the schedule of what it finds", () => {
  const { status, stdout } = deep("lock-order", "--mutation", "other order", "--parts", "3");
  assert.equal(status, 1);
  assert.match(stdout, /lock-order with "other order" fails: deadlock: they wait for each other/);
  assert.equal(deep("no-such").status, 2);
});
