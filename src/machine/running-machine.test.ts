import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { buildBoot, loadKernel } from "./boot/index.js";
import { makeElf, makePvhNotes } from "./boot/test-kernel.js";
import { loadCore } from "./kept-code.js";
import { type MachineEnd, RunningMachine } from "./running-machine.js";

const KERNEL_GPA = 0x100_0000;
const MEMORY_BYTES = 32 << 20;
/** x86 code, 32-bit: for ever; and STI, HLT for ever, which never wakes for want of an event. */
const SPINS = [0xeb, 0xfe];
const HALTS = [0xfb, 0xf4, 0xeb, 0xfd];
const TIMEOUT = { timeout: 30_000 };

/** A machine with two vCPUs, of which the second waits for a start-up IPI, in a guest of this code. */
async function start(code: readonly number[]): Promise<{ machine: RunningMachine; ended: Promise<MachineEnd> }> {
  const elf = makeElf({ segments: [{ gpa: KERNEL_GPA, bytes: Uint8Array.from(code) }], notes: makePvhNotes(KERNEL_GPA) });
  const image = buildBoot({ kernel: await loadKernel(elf), commandLine: "", memoryBytes: MEMORY_BYTES, vcpuCount: 2 });
  const { module } = await loadCore(undefined);
  let machine: RunningMachine | undefined;
  const ended = new Promise<MachineEnd>((resolve) => {
    const events = { onOutput() {}, onInputTaken() {}, onDebugOutput() {}, onStall() {}, onEnded: resolve };
    machine = new RunningMachine({
      image, module, vcpuCount: 2, memoryBytes: MEMORY_BYTES, events,
      memoryLimitBytes: undefined, swap: undefined, storm: { rate: 0, seed: 1 }, pageAccess: "revocable", personality: "xen", tier: "both", sampling: undefined, startsStopped: false, lockStep: 0,
    });
  });
  return { machine: machine!, ended };
}

const instructions = (machine: RunningMachine): number => Object.values(machine.stats().instructions).reduce((sum, count) => sum + count);

async function untilRuns(machine: RunningMachine, from: number): Promise<void> {
  while (instructions(machine) === from) await delay(1);
}

async function stop({ machine, ended }: Awaited<ReturnType<typeof start>>): Promise<void> {
  machine.stop();
  assert.deepEqual(await ended, { outcome: { kind: "stopped" } });
}

/** Runs `body` with a machine of its own, which is stopped in the end. */
async function withMachine(code: readonly number[], body: (machine: RunningMachine) => Promise<void>): Promise<void> {
  const guest = await start(code);
  try {
    await body(guest.machine);
  } finally {
    await stop(guest);
  }
}

/** Fifty times: after `pause` nothing runs during `stand`, and after a resume, and one too many, the guest goes on. */
async function standsAndGoesOn(machine: RunningMachine, pause: () => Promise<void>, stand: (round: number) => Promise<unknown>): Promise<void> {
  await untilRuns(machine, 0);
  for (let round = 0; round < 50; round++) {
    await pause();
    const paused = instructions(machine);
    await stand(round);
    assert.equal(instructions(machine), paused);
    machine.resume();
    machine.resume();
    await untilRuns(machine, paused);
  }
}

test("pause holds a running and a parked vCPU, as often as it is asked, and resume lets them go", TIMEOUT, () => withMachine(SPINS, async (machine) => {
  await standsAndGoesOn(machine, () => machine.pause(), async (round) => {
    await Promise.all([machine.pause(), machine.pause()]);
    if (round % 10 === 0) await delay(5);
  });
}));

test("a pause that is taken back, or asked for anew before the vCPU has seen that, settles", TIMEOUT, () => withMachine(SPINS, async (machine) => {
  await standsAndGoesOn(machine, async () => {
    const first = machine.pause();
    machine.resume();
    await first;
    await machine.pause();
    machine.resume();
    await machine.pause();
  }, () => delay(1));
}));

test("a halted vCPU can be paused, and is still halted afterwards", TIMEOUT, () => withMachine(HALTS, async (machine) => {
  while (machine.stats().exits["hlt"] === 0) await delay(1);
  for (let round = 0; round < 20; round++) {
    await machine.pause();
    await machine.pause();
    machine.resume();
  }
  await delay(20);
  assert.equal(machine.stats().exits["hlt"], 1);
}));

for (const code of [SPINS, HALTS]) {
  test(`a paused guest that ${code === SPINS ? "ran" : "was halted"} can be stopped, and a pause that waits then settles`, TIMEOUT, async () => {
    const guest = await start(code);
    await guest.machine.pause();
    guest.machine.resume();
    const last = guest.machine.pause();
    await stop(guest);
    await last;
    await guest.machine.pause();
  });
}

test("the first command starts the memory thread, and many at once find one", TIMEOUT, () => withMachine(SPINS, async (machine) => {
  const answers = await Promise.all(Array.from({ length: 5 }, () => machine.memory.run({ name: "slots" })));
  // Low memory, the area of a BIOS, the rest, and the APIC's page.
  assert.deepEqual(answers.map((slots) => slots.length), [4, 4, 4, 4, 4]);
  const { moved } = await machine.memory.run({ name: "move", gfn: "all" });
  assert.ok(moved > 0);
  await untilRuns(machine, instructions(machine));
}));

test("a machine ends whose memory thread has only just been started", TIMEOUT, async () => {
  const guest = await start(SPINS);
  const unanswered = guest.machine.memory.run({ name: "merge" });
  unanswered.catch(() => undefined);
  await stop(guest);
});

test("the kernel's pages of zeros get no frame", TIMEOUT, async () => {
  const bytes = new Uint8Array(64 * 4096);
  bytes.set(SPINS);
  bytes[bytes.length - 1] = 1;
  await withMachine([...bytes], async (machine) => {
    await untilRuns(machine, 0);
    const { pagesTouched } = machine.stats().memory;
    assert.ok(pagesTouched < 16, `expected the first and the last page of 64 and a few of ours, got ${pagesTouched}`);
  });
});
