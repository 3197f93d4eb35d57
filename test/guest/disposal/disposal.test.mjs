/**
 * What is left of VMs that are gone: nothing.
 *
 * What: VMs made and disposed in turn, also two at a time, at different moments of their lives: before the kernel says a word, while it boots,
 *   with commands under way, after power-off.
 * Why: a test runner or a server that makes a VM a request must not run out of threads, handles, address space or memory.
 * How it can tell: threads of this process by /proc/self/task where there is one, handles by process.getActiveResourcesInfo, memory by the
 *   growth of the resident set after the second VM of the test for it, when everything that is loaded once has been loaded.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { askGuest, bootGuest, COMMAND_TIMEOUT_MS } from "../support/guest.mjs";
import { tierOptions } from "../support/tier.mjs";

const MIB = 1 << 20;
/** Each guest touches about 130 MiB here, so two that stay are 260; what is less is the collector's timing. */
const GROWTH_MAX_BYTES = 150 * MIB;

function threadCount() {
  return existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0;
}

/** Handles by kind, without timers: the test runner has its own. */
function handles() {
  return process.getActiveResourcesInfo().filter((name) => name !== "Timeout" && name !== "Immediate").sort();
}

/** Waits until `check` holds: a thread is gone a moment after it has ended. @param {() => boolean} check */
async function holdsSoon(check) {
  for (let i = 0; i < 100; i++) {
    if (check()) return true;
    await wait(20);
  }
  return check();
}

test("no thread and no handle is left of a VM, at whatever moment it was disposed", async () => {
  await (await bootGuest()).dispose();
  await wait(100);
  const threads = threadCount();
  const before = handles();
  const lives = [
    async () => {},
    async () => await wait(300),
    async (/** @type {VirtualMachine} */ vm) => await vm.ready(),
    async (/** @type {VirtualMachine} */ vm) => {
      await vm.ready();
      vm.exec("yes").catch(() => undefined);
      vm.exec("sleep 100").catch(() => undefined);
      await wait(100);
    },
    async (/** @type {VirtualMachine} */ vm) => {
      await vm.ready();
      await vm.shutdown({ timeoutMs: COMMAND_TIMEOUT_MS });
    },
  ];
  for (const [index, live] of lives.entries()) {
    const vm = await VirtualMachine.create({ mode: "exec", ...tierOptions });
    assert.ok(threads === 0 || threadCount() > threads, "a VM has threads");
    await live(vm);
    await vm.dispose();
    assert.ok(await holdsSoon(() => threadCount() <= threads), `${threadCount()} threads after life ${index}, ${threads} before`);
    assert.deepEqual(handles(), before, `handles after life ${index}`);
    await assert.rejects(vm.exec("true"));
  }
});

test("the memory of VMs that are gone comes back", async (context) => {
  const resident = [];
  for (let i = 0; i < 4; i++) {
    const vm = await bootGuest({ memoryBytes: 1024 * MIB });
    await askGuest(vm, "head -c 50000000 /dev/zero >/tmp/zeros");
    await vm.dispose();
    // Shared memory goes when the collector finds that nobody holds it.
    globalThis.gc?.();
    await wait(200);
    resident.push(process.memoryUsage.rss());
  }
  const megabytes = resident.map((bytes) => Math.round(bytes / MIB));
  context.diagnostic(`resident after each VM: ${megabytes.join(", ")} MiB`);
  const [, second = 0, ...later] = resident;
  assert.ok(Math.min(...later) < second + GROWTH_MAX_BYTES, `resident after each VM: ${megabytes.join(", ")} MiB`);
});

test("two VMs at a time have each its own files, memory and end", async () => {
  const [one, two] = await Promise.all([bootGuest({ memoryBytes: 128 * MIB }), bootGuest({ memoryBytes: 256 * MIB })]);
  try {
    const [a, b] = await Promise.all([
      askGuest(one, "echo one >/tmp/name; sleep 0.2; cat /tmp/name; awk '/^MemTotal/ { print ($2 < 131072) }' /proc/meminfo"),
      askGuest(two, "echo two >/tmp/name; sleep 0.2; cat /tmp/name; awk '/^MemTotal/ { print ($2 < 131072) }' /proc/meminfo"),
    ]);
    assert.equal(a, "one\n1");
    assert.equal(b, "two\n0");
    assert.equal((await one.shutdown({ timeoutMs: COMMAND_TIMEOUT_MS })).reason, "power-off");
    assert.equal(await askGuest(two, "cat /tmp/name"), "two");
    await one.dispose();
    assert.equal(await askGuest(two, "cat /tmp/name"), "two");
  } finally {
    await Promise.all([one.dispose(), two.dispose()]);
  }
});
