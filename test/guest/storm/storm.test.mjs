/**
 * A real guest on pages that do not keep still.
 *
 * What: Debian's kernel with 2 and with 4 processors, and from its first instruction on pages are moved as fast as the host can. Under a load
 *   (files of many MiB, threads, processes, signals, mappings, pipes, packing; see support/load.mjs) every block of memory is taken
 *   offline once and brought back, equal pages are merged, a third is swapped out; the kernel patches its code, a processor leaves and
 *   comes back.
 * Why: whoever keeps a frame in his hand for longer than he may, guest, processor or hypervisor, reads or writes what is another's.
 * How it can tell: every answer is known from the host, where nothing moves; a block that is offline has no frame in use; the kernel has
 *   nothing to complain of.
 *
 * The long form: UNPINNED_STORM=long, with files of 768 MiB in all, all programs, and each block more often.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { bootGuest } from "../support/guest.mjs";
import { assertQuietKernel, Load, runSteps } from "../support/load.mjs";
import { missingForPrograms } from "../support/programs.mjs";
import { timeLimit } from "../support/tier.mjs";

const MIB = 1 << 20;
const IS_LONG = process.env.UNPINNED_STORM === "long";
const SIZE = IS_LONG ? { programs: "all", files: 8, fileMib: 96, rounds: 12 } : { programs: "chosen", files: 3, fileMib: 32, rounds: 1 };
const MEMORY_BYTES = (IS_LONG ? 1280 : 256) * MIB;
const TIMEOUT_MS = timeLimit(IS_LONG ? 3_600_000 : 420_000);
const PASSES = IS_LONG ? 5 : 1;

const skip = missingForPrograms(64);

/** @typedef {import("../../../dist/machine/index.js").VirtualMachine} VirtualMachine */

/** @type {Load} */
let load;
before(() => void (skip === undefined && (load = new Load(SIZE))));
after(() => load?.remove());

/** Every block goes and comes back; merging and swapping in between. @param {VirtualMachine} vm @param {(text: string) => void} say */
async function takeEverythingAway(vm, say) {
  const sums = { framesMoved: 0, merged: 0, swapped: 0 };
  const { blocks } = await vm.memory.show();
  assert.ok(blocks.length >= MEMORY_BYTES / (16 * MIB), `${blocks.length} blocks`);
  for (const [place, { index }] of blocks.entries()) {
    const outcome = await vm.memory.offline(index);
    assert.equal(outcome.result, "offline", JSON.stringify(outcome));
    sums.framesMoved += outcome.framesMoved ?? 0;
    const empty = (await vm.memory.show()).blocks.find((block) => block.index === index);
    assert.deepEqual(empty, { index, state: "offline", framesTotal: 4096, present: 0, shared: 0, pinned: 0, free: 4096 });
    assert.deepEqual(await vm.memory.online(index), { result: "online" });
    if (place === blocks.length >> 1) sums.merged += (await vm.memory.merge()).merged;
    if (place === (blocks.length >> 2) * 3) {
      const { swapped, failure } = await vm.memory.swap(30);
      assert.equal(failure, undefined);
      sums.swapped += swapped;
    }
  }
  say(`${blocks.length} blocks went offline and came back: ${JSON.stringify(sums)}`);
  for (const [name, sum] of Object.entries(sums)) assert.ok(sum > 0, `expected ${name} to be some pages`);
}

/** Text to the console, hvc0, arrives as it was written. @param {VirtualMachine} vm */
async function assertConsoleWhole(vm) {
  const reader = vm.console.readable.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const reading = (async () => {
    while (!text.includes("<<<end")) {
      const { value, done } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
    }
  })();
  const { exitCode, stderr } = await vm.exec("exec 3<>/dev/hvc0; stty raw -echo <&3; seq 1 30000 >/tmp/text; (echo '>>>'; cat /tmp/text; echo '<<<end') >&3; sleep 1");
  assert.equal(exitCode, 0, stderr);
  await reading;
  reader.releaseLock();
  const expected = Array.from({ length: 30_000 }, (_, n) => `${n + 1}\n`).join("");
  const digest = (/** @type {string} */ of) => createHash("sha256").update(of).digest("hex");
  const inside = text.slice(text.indexOf(">>>\n") + 4, text.indexOf("<<<end"));
  assert.equal(digest(inside), digest(expected), `the console lost or changed something: ${inside.length} of ${expected.length} bytes`);
}

for (const vcpus of [2, 4]) {
  test(`a guest with ${vcpus} vCPUs works as ever while every page moves and every block goes`, { skip, timeout: TIMEOUT_MS }, async (t) => {
    const begun = Date.now();
    const say = (/** @type {string} */ text) => t.diagnostic(`${((Date.now() - begun) / 1000).toFixed(1)} s: ${text}`);
    const vm = await bootGuest({ vcpus, memoryBytes: MEMORY_BYTES, storm: "max", files: load.files });
    t.after(() => vm.dispose());
    say("booted");
    await load.prepare(vm);

    const build = await load.build();
    let isLoaded = true;
    const lanes = [
      [...load.makeFiles(), ...load.filesAreRight(), ...load.output()],
      load.runPrograms(),
      [...build.slice(0, 2), ...load.disturb(vcpus), ...build.slice(2)],
    ];
    const loaded = Promise.all(lanes.map(async (steps, lane) => {
      await runSteps(vm, steps);
      say(`lane ${lane} is done`);
    })).finally(() => (isLoaded = false));
    const taken = (async () => {
      for (let pass = 0; pass < PASSES; pass++) await takeEverythingAway(vm, say);
    })();
    await Promise.all([loaded, taken]);
    assert.equal(isLoaded, false);

    await runSteps(vm, [...load.filesAreRight(), ...build.slice(0, 1)]);
    await assertConsoleWhole(vm);
    await assertQuietKernel(vm);
    say("all is right afterwards");
    const { storm } = vm.stats();
    say(`${storm.moves} moves by the storm, ${Math.round(storm.movesPerSecond)} a second`);
    assert.ok(storm.moves > 100_000 && storm.pinned === 0, JSON.stringify(storm));
  });
}
