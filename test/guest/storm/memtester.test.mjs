/**
 * memtester (Debian's package) in a guest whose pages do not keep still.
 *
 * What: it locks 16 MiB of the guest's memory and fills and compares them with patterns, with 2 and with 4 processors, while pages move as fast
 *   as the host can and every block of memory goes offline and comes back.
 * Why: it was written by others, to find memory that does not hold what was stored; a page that is left behind by one store, or read from its old
 *   frame, is such memory.
 * How it can tell: it says of every pattern whether it held, and the same binary says the same on this host; the kernel has nothing
 *   to complain of.
 *
 * The binary, the C library and its loader are taken out of Debian's packages by apt; where they cannot be had, the test skips and says why.
 * The long form: UNPINNED_STORM=long, 64 MiB and all patterns.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { before, describe, test } from "node:test";
import { bootGuest } from "../support/guest.mjs";
import { assertQuietKernel } from "../support/load.mjs";
import { fileOfPackage } from "../support/packages.mjs";
import { timeLimit } from "../support/tier.mjs";

const MIB = 1 << 20;
const IS_LONG = process.env.UNPINNED_STORM === "long";
const TESTED_MIB = IS_LONG ? 64 : 16;
/** A bit for each of its tests, 0 = all. The short form leaves out those that go over the memory 64 times and more, and some of those that are alike. */
const TEST_MASK = IS_LONG ? 0 : 0b1_1000_0000_1100_0011;
const TIMEOUT_MS = timeLimit(IS_LONG ? 3_600_000 : 300_000);

/** Where the guest looks for each file. */
const FILES = [
  { package: "memtester", inside: "usr/sbin/memtester", path: "/usr/bin/memtester" },
  { package: "libc6", inside: "lib/x86_64-linux-gnu/libc.so.6", path: "/lib/x86_64-linux-gnu/libc.so.6" },
  { package: "libc6", inside: "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", path: "/lib64/ld-linux-x86-64.so.2" },
];

/** @typedef {{ path: string, mode: number, bytes: Uint8Array }} GuestFile */

/** The files of the packages, or why one cannot be had. @returns {Promise<{ files: GuestFile[], missing?: string }>} */
async function fetchFiles() {
  const files = [];
  for (const { package: name, inside, path } of FILES) {
    const found = await fileOfPackage(name, inside);
    if ("missing" in found) return { files: [], missing: found.missing };
    files.push({ path, mode: 0o755, bytes: found.bytes });
  }
  return { files };
}

/** What it said of each pattern: without the head, which tells of the machine, and the progress that it draws over itself. @param {string} output */
function verdictsIn(output) {
  const lines = output.slice(output.indexOf("Loop 1/1")).split("\n");
  return lines.map((line) => line.replace(/^( {2}[^:]*):.*?(ok|FAILURE.*)?$/s, "$1: $2")).join("\n");
}

/** The same binary on this host, or undefined where it cannot run. @param {readonly GuestFile[]} files */
function runOnHost(files) {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const folder = mkdtempSync(join(tmpdir(), "unpinned-memtester-"));
  try {
    for (const { path, mode, bytes } of files) writeFileSync(join(folder, basename(path)), bytes, { mode });
    const { status, stdout } = spawnSync(join(folder, "ld-linux-x86-64.so.2"), ["--library-path", folder, join(folder, "memtester"), `${TESTED_MIB}M`, "1"], {
      encoding: "utf8", env: environment(), timeout: TIMEOUT_MS, maxBuffer: 64 * MIB,
    });
    return status === 0 ? verdictsIn(stdout) : undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function environment() {
  return TEST_MASK === 0 ? {} : { MEMTESTER_TEST_MASK: `0x${TEST_MASK.toString(16)}` };
}

describe("memtester", () => {
  /** @type {Awaited<ReturnType<typeof fetchFiles>>} */
  let fetched;
  /** @type {string | undefined} */
  let onHost;
  before(async () => {
    fetched = await fetchFiles();
    if (fetched.missing === undefined) onHost = runOnHost(fetched.files);
  });

  for (const vcpus of [2, 4]) {
    test(`finds no fault in the memory of a guest with ${vcpus} vCPUs while all of it moves`, { timeout: TIMEOUT_MS }, async (t) => {
      if (fetched.missing !== undefined) return t.skip(fetched.missing);
      const vm = await bootGuest({ vcpus, memoryBytes: 160 * MIB, storm: "max", files: fetched.files });
      t.after(() => vm.dispose());
      const variables = Object.entries(environment()).map(([name, value]) => `${name}=${value} `).join("");
      let isTesting = true;
      const testing = vm.exec(`${variables}memtester ${TESTED_MIB}M 1`, { timeoutMs: TIMEOUT_MS }).finally(() => (isTesting = false));
      let blocksTaken = 0;
      for (const { index } of (await vm.memory.show()).blocks) {
        if (!isTesting) break;
        assert.equal((await vm.memory.offline(index)).result, "offline");
        assert.deepEqual(await vm.memory.online(index), { result: "online" });
        blocksTaken++;
      }
      const { exitCode, stdout, stderr } = await testing;
      assert.equal(exitCode, 0, `${stdout.slice(-2000)}\n${stderr}`);
      const verdicts = verdictsIn(stdout);
      assert.match(verdicts, /^ {2}Stuck Address {7}: ok$/m);
      assert.doesNotMatch(verdicts, /: $|FAILURE/m);
      assert.match(stdout, /locked\.$/m);
      if (onHost === undefined) t.diagnostic("not compared: it does not run on this host");
      else assert.equal(verdicts, onHost);
      await assertQuietKernel(vm);
      const { storm } = vm.stats();
      t.diagnostic(`${verdicts.match(/: ok$/gm)?.length} patterns, ${blocksTaken} blocks went and came back, ${storm.moves} moves`);
      assert.ok(storm.moves > 100_000 && storm.pinned === 0, JSON.stringify(storm));
    });
  }
});
