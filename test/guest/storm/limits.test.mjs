/**
 * A real guest with less host memory than it uses, and one whose swap file is full.
 *
 * What: a guest of 256 MiB that works on 112 MiB of files with a limit of 64 MiB, while pages move; then one whose swap file lies on a file system that is filled
 *   up by others, until there is room again.
 * Why: pages go out and come back in the middle of whatever the guest does; and a host that has no room may keep a guest waiting, but not lose
 *   a byte of it.
 * How it can tell: sums known from the host; the counters say that pages went out and came in; the guest says that it waits, and why, and
 *   goes on by itself.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bootGuest } from "../support/guest.mjs";
import { assertQuietKernel, Load, runSteps } from "../support/load.mjs";
import { missingForPrograms } from "../support/programs.mjs";
import { timeLimit } from "../support/tier.mjs";

const MIB = 1 << 20;
const IS_LONG = process.env.UNPINNED_STORM === "long";
const SIZE = { programs: IS_LONG ? "all" : "few", files: 4, fileMib: 28, rounds: 1 };
const TIMEOUT_MS = timeLimit(400_000);
const skip = missingForPrograms(64);

/** @type {Load} */
let load;
before(() => void (skip === undefined && (load = new Load(SIZE))));
after(() => load?.remove());

test("a guest that uses more memory than it may have goes on, out of its swap file", { skip, timeout: TIMEOUT_MS }, async (t) => {
  const vm = await bootGuest({ vcpus: 2, memoryBytes: 256 * MIB, memoryLimitBytes: 64 * MIB, storm: 200, files: load.files });
  t.after(() => vm.dispose());
  await load.prepare(vm);
  await Promise.all([runSteps(vm, [...load.makeFiles(), ...load.filesAreRight()]), runSteps(vm, load.runPrograms())]);
  await assertQuietKernel(vm);
  const { pages, memory } = vm.stats();
  const { frameLimit = 0, swapSlotsUsed } = await vm.memory.show();
  t.diagnostic(`${pages.counts.pagesSwappedOut} pages out, ${pages.counts.pagesSwappedIn} in, ${swapSlotsUsed} are out now`);
  assert.equal(frameLimit, (64 * MIB) / 4096);
  // A move has its target on top for a moment.
  assert.ok(memory.framesInUse <= frameLimit + 64 && swapSlotsUsed > 1000, `${memory.framesInUse} frames of ${frameLimit}, ${swapSlotsUsed} slots`);
  assert.ok(pages.counts.pagesSwappedOut > 10_000 && pages.counts.pagesSwappedIn > 10_000, JSON.stringify(pages.counts));
});

/** A small file system, or why there is none. */
function mountSmall() {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return { missing: "a file system of its own takes Linux and root" };
  const path = mkdtempSync(join(tmpdir(), "unpinned-small-"));
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=160m", "unpinned-test", path], { encoding: "utf8" });
  if (status !== 0) {
    rmSync(path, { recursive: true });
    return { missing: `no file system could be mounted: ${stderr.trim()}` };
  }
  return { path };
}

test("a guest whose swap file is full waits, says why, and goes on when there is room", { skip, timeout: TIMEOUT_MS }, async (t) => {
  const { path, missing } = mountSmall();
  if (path === undefined) return t.skip(missing);
  t.after(() => {
    spawnSync("umount", ["-l", path]);
    rmSync(path, { recursive: true });
  });
  /** @type {(string | undefined)[]} */
  const stalls = [];
  let tell = () => {};
  const stalled = new Promise((resolve) => (tell = () => resolve(undefined)));
  const vm = await bootGuest({
    vcpus: 2, memoryBytes: 256 * MIB, memoryLimitBytes: 64 * MIB, swapFile: join(path, "swap"), files: load.files,
    onStall: (reason) => {
      stalls.push(reason);
      tell();
    },
  });
  t.after(() => vm.dispose());
  await load.prepare(vm);
  // Others take the room: 24 MiB are left to the swap file.
  const { bavail, bsize } = statfsSync(path);
  writeFileSync(join(path, "others"), Buffer.alloc(bavail * bsize - 24 * MIB, 1));
  const working = runSteps(vm, [...load.makeFiles(), ...load.filesAreRight()]);
  // Whichever comes first: without a stall the work would be done.
  await Promise.race([stalled, working]);
  assert.match(String(stalls[0]), /swap file .*swap is full \(no space left on device\)/);
  assert.equal((await vm.memory.show()).stall, stalls[0]);
  rmSync(join(path, "others"));
  await working;
  await assertQuietKernel(vm);
  assert.equal((await vm.memory.show()).stall, undefined);
  t.diagnostic(`told: ${JSON.stringify(stalls)}`);
});
