/**
 * VMs that end in the middle of a storm.
 *
 * What: VMs with 1 to 4 processors, some with a memory limit, under the fastest storm and with merging, swapping and blocks going offline at the
 *   same time, are disposed of at moments drawn at random: while they boot, and while they work.
 * Why: a thread that waits for another at that moment must not wait for ever, and nothing may be left.
 * How it can tell: each disposal comes to an end in time, the number of threads is what it was, the resident memory has no trend.
 *
 * Moments follow from a number that is told; UNPINNED_STORM_SEED=<number> draws the same again. The long form: UNPINNED_STORM=long.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { BOOT_TIMEOUT_MS } from "../support/guest.mjs";
import { tierOptions, timeLimit } from "../support/tier.mjs";

const MIB = 1 << 20;
const IS_LONG = process.env.UNPINNED_STORM === "long";
const COUNT = IS_LONG ? 200 : 16;
/** Four of five VMs end while they boot. */
const BOOT_MS_MAX = 1200;
const WORK_MS_MAX = 1500;
const DISPOSAL_MS_MAX = 30_000;
const GROWTH_MAX_BYTES = 200 * MIB;
const TIMEOUT_MS = timeLimit(IS_LONG ? 3_600_000 : 400_000);

const seed = Number(process.env.UNPINNED_STORM_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Numbers from 0 to below 1 that follow from `seed` (mulberry32). @param {number} state */
function drawnFrom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function threadCount() {
  return existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0;
}

/** Operations on the memory, without end; they reject when the VM ends. @param {VirtualMachine} vm @param {() => number} draw */
async function disturb(vm, draw) {
  for (;;) {
    const { blocks } = await vm.memory.show();
    const { index } = blocks[Math.floor(draw() * blocks.length)];
    const outcome = await vm.memory.offline(index);
    await vm.memory.swap(30);
    await vm.memory.merge();
    if (outcome.result === "offline") await vm.memory.online(index);
  }
}

test("VMs that are disposed of at random moments of a storm leave nothing, and none hangs", { timeout: TIMEOUT_MS }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const draw = drawnFrom(seed);
  const resident = [];
  let threads = 0;
  for (let round = 0; round < COUNT; round++) {
    const vcpus = 1 + Math.floor(draw() * 4);
    const isLimited = draw() < 0.3;
    const vm = await VirtualMachine.create({
      mode: "exec", ...tierOptions, vcpus, memoryBytes: 128 * MIB, storm: "max", stormSeed: Math.floor(draw() * 2 ** 32), ...(isLimited ? { memoryLimitBytes: 48 * MIB } : {}),
    });
    const disturbing = disturb(vm, draw).catch(() => undefined);
    if (round % 5 === 4) {
      await vm.ready({ signal: AbortSignal.timeout(BOOT_TIMEOUT_MS) });
      vm.exec("while :; do head -c 3000000 /dev/zero | gzip | md5sum; done").catch(() => undefined);
      vm.exec("while :; do (true | true); done").catch(() => undefined);
      await wait(draw() * WORK_MS_MAX);
    } else {
      await wait(draw() * BOOT_MS_MAX);
    }
    const isLate = wait(DISPOSAL_MS_MAX, true, { ref: false });
    const ended = vm.dispose().then(() => false);
    assert.equal(await Promise.race([ended, isLate]), false, `round ${round} (seed ${seed}): the VM has not ended in ${DISPOSAL_MS_MAX} ms`);
    await disturbing;
    for (let look = 0; round > 0 && threadCount() > threads && look < 200; look++) await wait(20);
    if (round === 0) {
      await wait(200);
      threads = threadCount();
    }
    assert.ok(threadCount() <= threads, `round ${round} (seed ${seed}): ${threadCount()} threads, ${threads} before`);
    globalThis.gc?.();
    resident.push(process.memoryUsage.rss());
  }
  const mean = (/** @type {number[]} */ sizes) => sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const third = Math.floor(COUNT / 3);
  const [middle, last] = [mean(resident.slice(third, 2 * third)), mean(resident.slice(-third))];
  t.diagnostic(`resident: ${resident.map((size) => Math.round(size / MIB)).join(" ")} MiB`);
  assert.ok(last < middle + GROWTH_MAX_BYTES, `resident memory grew from ${Math.round(middle / MIB)} to ${Math.round(last / MIB)} MiB`);
});
