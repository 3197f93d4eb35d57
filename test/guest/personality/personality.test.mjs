/**
 * The default guest under KVM's personality.
 *
 * What: Debian's kernel takes us for KVM and uses what we offer: clock, steal time, TLB flush, deadline timer, serial ports; commands run as under Xen, with output
 *   and error output apart and whole; several vCPUs; every way to end.
 * Why: other devices and another hypervisor on the same processor; each of them is found by the kernel in another way than Xen's.
 * How it can tell: the kernel's log and its files under /sys and /proc; checksums against node:crypto; the guest's date between two dates of the host.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { askGuest, bootGuest, COMMAND_TIMEOUT_MS, runInGuest } from "../support/guest.mjs";
import { buildPrograms, listPrograms, missingForPrograms } from "../support/programs.mjs";
import { tierOptions, timeLimit } from "../support/tier.mjs";

const TIMEOUT_MS = timeLimit(300_000);
const MIB = 1 << 20;
/** What no kernel of a healthy machine says. */
const COMPLAINT = /BUG:|WARNING:|Oops|Call Trace|rcu.*stall|lockup|general protection fault[,:]|Kernel panic|nobody cared|unchecked MSR/i;

const lacksPrograms = missingForPrograms(64);

/** The programs of this folder, to be put into a guest. */
function programFiles() {
  if (lacksPrograms !== undefined) return [];
  const built = buildPrograms(listPrograms(fileURLToPath(new URL("programs/", import.meta.url))), 64);
  built.remove();
  return [{ path: "/usr/bin/programs", mode: 0o755, bytes: built.bytes }];
}

/** @param {Uint8Array | string} bytes */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** @param {import("../../../dist/machine/index.js").VirtualMachineOptions} [options] */
async function bootKvm(options = {}) {
  return await bootGuest({ personality: "kvm", ...options });
}

/** Threads that do nothing but be busy, as many as the host has processors. */
function startHogs() {
  return Array.from({ length: availableParallelism() }, () => new Worker("for (;;);", { eval: true }));
}

/** @param {Worker[]} hogs */
async function stopHogs(hogs) {
  await Promise.all(hogs.map((hog) => hog.terminate()));
}

/**
 * Stolen time of all CPUs, in ticks of 10 ms: the eighth number of /proc/stat.
 * @param {VirtualMachine} vm
 */
async function stealTicks(vm) {
  return Number((await askGuest(vm, "head -1 /proc/stat")).split(/\s+/)[8]);
}

describe("one vCPU", { timeout: TIMEOUT_MS }, () => {
  /** @type {VirtualMachine} */
  let vm;
  before(async () => (vm = await bootKvm({ files: programFiles() })));
  after(async () => await vm?.dispose());

  test("the kernel finds KVM, its clock and the deadline timer, and has nothing to complain of", async () => {
    const log = await askGuest(vm, "dmesg");
    assert.match(log, /Hypervisor detected: KVM/);
    assert.match(log, /Booting paravirtualized kernel on KVM/);
    assert.match(log, /kvm-clock: Using msrs 4b564d01 and 4b564d00/);
    assert.match(log, /TSC deadline timer available/);
    assert.match(log, /Detected 1000\.000 MHz processor/);
    assert.doesNotMatch(log, /Xen/);
    assert.doesNotMatch(log, COMPLAINT);
    assert.match(await askGuest(vm, "cat /proc/cpuinfo"), /^flags.*\btsc_deadline_timer\b.*\bhypervisor\b/m);
    assert.equal(await askGuest(vm, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource"), "kvm-clock");
  });

  test("it has registered clock, steal time and EOI, and refuses no register that it asked for", async () => {
    const { exits, vcpus } = vm.stats();
    assert.ok(exits.wrmsr > 0, "registers were written");
    assert.equal(vcpus[0].unclaimedMmio, 0);
    // Each timer interrupt costs the write of the next deadline. Without EOI in memory it would cost a second write, by x2APIC.
    const count = async () => Number(/LOC: +(\d+)/.exec(await askGuest(vm, "cat /proc/interrupts"))?.[1]);
    const before = { interrupts: await count(), writes: vm.stats().exits.wrmsr };
    await askGuest(vm, "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done");
    const timers = await count() - before.interrupts;
    const writes = vm.stats().exits.wrmsr - before.writes;
    assert.ok(timers > 20, `${timers} timer interrupts`);
    assert.ok(writes < timers * 1.7 + 100, `${writes} register writes for ${timers} timer interrupts`);
  });

  test("a guest that has nothing to do does not tick", async () => {
    const count = async () => Number(/LOC: +(\d+)/.exec(await askGuest(vm, "cat /proc/interrupts"))?.[1]);
    const before = await count();
    await askGuest(vm, "sleep 3");
    const timers = await count() - before;
    // With ticks there would be 750.
    assert.ok(timers < 400, `${timers} timer interrupts in 3 s`);
    assert.match(await askGuest(vm, "cat /proc/timer_list"), /\.hres_active +: 1/);
  });

  test("the date is the host's", async () => {
    const before = Date.now();
    const guest = Number(await askGuest(vm, "date +%s")) * 1000;
    assert.ok(guest > before - 3000 && guest < Date.now() + 3000, `guest ${guest}, host ${before}`);
  });

  test("time that the vCPU's thread waits for a processor is stolen time, where the host counts it", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux tells how long a thread has waited");
    const before = await stealTicks(vm);
    const hogs = startHogs();
    try {
      await askGuest(vm, "i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done");
    } finally {
      await stopHogs(hogs);
    }
    const stolen = await stealTicks(vm) - before;
    context.diagnostic(`${stolen} ticks stolen`);
    assert.ok(stolen > 0, "with more busy threads than processors the vCPU has to wait");
  });

  test("output and error output arrive apart and whole, with the command's status", async () => {
    const answer = await runInGuest(vm, "echo out; echo err >&2; echo out2; exit 7");
    assert.deepEqual(answer, { exitCode: 7, stdout: "out\nout2\n", stderr: "err\n" });
  });

  test("a megabyte of any bytes comes out as it is", async (context) => {
    const bytes = randomBytes(0x1_0000);
    const text = await askGuest(vm, `echo ${bytes.subarray(0, 3000).toString("base64")} | base64 -d >/tmp/seed; while [ $(stat -c %s /tmp/seed) -lt ${MIB} ]; do cat /tmp/seed /tmp/seed >/tmp/more; mv /tmp/more /tmp/seed; done; sha256sum </tmp/seed`);
    const begun = Date.now();
    const running = vm.exec("cat /tmp/seed", { timeoutMs: COMMAND_TIMEOUT_MS, buffer: false });
    const hash = createHash("sha256");
    let length = 0;
    for await (const chunk of running.stdout) {
      hash.update(chunk);
      length += chunk.length;
    }
    assert.equal((await running).exitCode, 0);
    context.diagnostic(`${length} bytes in ${Date.now() - begun} ms`);
    assert.ok(length >= MIB, `${length} bytes`);
    assert.equal(`${hash.digest("hex")}  -`, text);
  });

  test("what is typed arrives whole, however fast it comes", async () => {
    const input = Buffer.alloc(200_000, "the quick brown fox jumps over the lazy dog\n");
    const receiving = vm.exec(`exec 3<>/dev/ttyS0; stty raw -echo <&3; echo go; head -c ${input.length} <&3 | sha256sum`, { timeoutMs: COMMAND_TIMEOUT_MS });
    const reader = receiving.stdout.getReader();
    await reader.read();
    const writer = vm.console.writable.getWriter();
    await writer.write(input);
    writer.releaseLock();
    await reader.cancel();
    assert.equal((await receiving).stdout, `go\n${sha256(input)}  -\n`);
  });

  test("a program that sends without a look at the port's state loses nothing", { skip: lacksPrograms }, async () => {
    const count = 100_000;
    await askGuest(vm, "dmesg -n 1");
    const reader = vm.console.readable.getReader();
    const sending = askGuest(vm, `programs serial/flood ${count}`);
    let received = "";
    const decoder = new TextDecoder();
    while (received.length < 2 * count) {
      const { value, done } = await Promise.race([reader.read(), sending.then(() => new Promise((resolve) => setTimeout(resolve, 5000, { done: true })))]);
      if (done) break;
      received += decoder.decode(value, { stream: true });
    }
    reader.releaseLock();
    assert.equal(await sending, "sent");
    const letters = Array.from({ length: 26 }, (_, n) => String.fromCharCode(97 + n)).join("").repeat(count / 26 + 1).slice(0, count);
    assert.equal(received.length, 2 * count);
    assert.equal(sha256(received), sha256(letters + letters));
  });

  test("three commands run side by side, and more of them queue", async () => {
    const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => runInGuest(vm, `sleep 0.2; seq ${n} ${n + 2000} | sha256sum; echo ${n} >&2; exit ${n}`)));
    for (const [index, { exitCode, stdout, stderr }] of answers.entries()) {
      const n = index + 1;
      const lines = Array.from({ length: 2001 }, (_, i) => `${n + i}\n`).join("");
      assert.deepEqual([exitCode, stdout, stderr], [n, `${sha256(lines)}  -\n`, `${n}\n`]);
    }
  });

  test("a guest that was paused goes on, and its watchdogs say nothing", async () => {
    await vm.pause();
    await new Promise((resolve) => setTimeout(resolve, 500));
    vm.resume();
    assert.equal(await askGuest(vm, "echo on"), "on");
    assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINT);
  });
});

test("two vCPUs come up, leave and come back, and flush each other's TLBs", { timeout: TIMEOUT_MS }, async (context) => {
  const vm = await bootKvm({ vcpus: 2 });
  context.after(() => vm.dispose());
  assert.equal(await askGuest(vm, "nproc"), "2");
  assert.match(await askGuest(vm, "dmesg"), /KVM setup pv remote TLB flush/);
  // Processes that share no memory, and mappings that come and go on both.
  const total = await askGuest(vm, "for j in 1 2 3 4; do (n=0; for i in $(seq 60); do n=$((n + $(echo $i))); done; echo $n) & done; wait");
  assert.deepEqual(total.split("\n"), new Array(4).fill("1830"));
  const expected = sha256(Buffer.alloc(4 * MIB));
  const sums = await askGuest(vm, "for i in 1 2 3 4; do (dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum) & done; wait");
  assert.deepEqual(sums.split("\n"), new Array(4).fill(`${expected}  -`));
  await askGuest(vm, "echo 0 >/sys/devices/system/cpu/cpu1/online");
  assert.equal(await askGuest(vm, "nproc"), "1");
  await askGuest(vm, "echo 1 >/sys/devices/system/cpu/cpu1/online");
  assert.equal(await askGuest(vm, "nproc"), "2");
  await askGuest(vm, "taskset 2 sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'");
  assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINT);
});

test("the pages of steal time and EOI are found anew while they are moved all the time", { timeout: TIMEOUT_MS }, async (context) => {
  const vm = await bootKvm({ vcpus: 2, storm: 2000 });
  context.after(() => vm.dispose());
  const { pages } = vm.stats();
  if (pages === undefined) return context.skip("this build moves no pages");
  const expected = sha256(Buffer.alloc(2 * MIB));
  for (let round = 0; round < 3; round++) {
    const sums = await askGuest(vm, "for i in 1 2 3 4; do (dd if=/dev/zero bs=1M count=2 2>/dev/null | sha256sum; sleep 0.3) & done; wait");
    assert.deepEqual(sums.split("\n"), new Array(4).fill(`${expected}  -`));
  }
  assert.equal(await askGuest(vm, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource"), "kvm-clock");
  assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINT);
  const { users } = vm.stats().pages;
  for (const user of ["steal time", "PV EOI"]) assert.ok(users[user].revocations > 0, `${user}: ${JSON.stringify(users[user])}`);
});

describe("the end", { timeout: TIMEOUT_MS, concurrency: 2 }, () => {
  for (const [command, reason] of [["poweroff -f", "power-off"], ["reboot -f", "reboot"], ["echo c >/proc/sysrq-trigger", "panic"]]) {
    test(`${command} ends the guest by ${reason}`, async () => {
      const vm = await bootKvm();
      void vm.exec(command).catch(() => undefined);
      const exit = await Promise.race([vm.ended, new Promise((resolve) => setTimeout(resolve, COMMAND_TIMEOUT_MS).unref())]);
      await vm.dispose();
      assert.equal(exit?.reason, reason);
    });
  }

  test("shutdown() lets it power itself off", async () => {
    const vm = await bootKvm();
    assert.equal((await vm.shutdown({ timeoutMs: COMMAND_TIMEOUT_MS })).reason, "power-off");
  });

  test("the last words on the console are not lost", async () => {
    const vm = await VirtualMachine.create({ ...tierOptions, personality: "kvm", shell: { echo: false } });
    const writer = vm.console.writable.getWriter();
    await writer.write(new TextEncoder().encode("seq 1 3000; exit\n"));
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of vm.console.readable) text += decoder.decode(chunk, { stream: true });
    assert.equal((await vm.ended).reason, "power-off");
    const numbers = text.split(/\r?\n/).filter((line) => /^\d+$/.test(line)).map(Number);
    assert.deepEqual(numbers, Array.from({ length: 3000 }, (_, i) => i + 1));
  });
});
