/**
 * The library as a program uses it: commands side by side, streams, limits, the console, the end of a VM. Everything runs in
 * the default guest; what counts is that each promise settles with the right value, that no byte is lost, and that nothing is
 * left of a VM that is gone.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { BOOT_TIMEOUT_MS, COMMAND_TIMEOUT_MS } from "../support/guest.mjs";
import { idleLoadLimit, instructionsOf, tierOptions, timeLimit } from "../support/tier.mjs";

/** @type {VirtualMachine} */
let vm;

before(async () => {
  vm = await VirtualMachine.create({ mode: "exec", ...tierOptions });
  await vm.ready({ signal: AbortSignal.timeout(BOOT_TIMEOUT_MS) });
});
after(async () => await vm.dispose());

test("a command's status and both its outputs come back", async () => {
  assert.deepEqual(await vm.exec("echo out; echo err >&2; exit 7"), { exitCode: 7, stdout: "out\n", stderr: "err\n" });
});

test("more commands than there are slots all run, each with its own output", async () => {
  const results = await Promise.all(Array.from({ length: 10 }, (_, n) => vm.exec(`sleep 0.$((RANDOM % 3)); echo out ${n}; echo err ${n} >&2; exit ${n}`)));
  for (const [n, result] of results.entries()) assert.deepEqual(result, { exitCode: n, stdout: `out ${n}\n`, stderr: `err ${n}\n` });
});

test("a quoted command arrives as it is", async () => {
  const text = "a 'b' \"c\" \\d $e `f` *\n\tgr\u00fc\u00df \u20ac";
  assert.equal((await vm.exec(`cat <<'END'\n${text}\nEND`)).stdout, `${text}\n`);
});

test("binary output is streamed without a byte changed", async () => {
  const command = vm.exec("head -c 500000 /dev/urandom | tee /tmp/random; sha256sum </tmp/random >&2", { buffer: false });
  const hash = createHash("sha256");
  let lengthBytes = 0;
  let chunkCount = 0;
  let sum = "";
  for await (const { source, bytes } of command) {
    if (source === "stderr") sum += new TextDecoder().decode(bytes);
    else {
      hash.update(bytes);
      lengthBytes += bytes.length;
      chunkCount++;
    }
  }
  assert.equal(lengthBytes, 500_000);
  assert.equal(sum.split(" ")[0], hash.digest("hex"));
  assert.ok(chunkCount < lengthBytes / 100, `${chunkCount} chunks`);
  assert.deepEqual(await command, { exitCode: 0, stdout: "", stderr: "" });
});

test("an aborted command rejects with the signal's reason, and is gone from the guest", async () => {
  const abort = new AbortController();
  const command = vm.exec("exec sleep 4321", { signal: abort.signal });
  const reason = new Error("changed my mind");
  setTimeout(() => abort.abort(reason), 200);
  await assert.rejects(command, reason);
  assert.equal((await vm.exec("for i in 1 2 3 4 5 6 7 8 9; do pgrep -f 'sleep 432[1]' || exit 0; usleep 200000; done; exit 1")).exitCode, 0);
});

test("a command that takes too long rejects with ERR_EXEC_TIMEOUT, a killed one gives the signal's status", async () => {
  await assert.rejects(vm.exec("sleep 4321", { timeoutMs: 200 }), { code: "ERR_EXEC_TIMEOUT" });
  const command = vm.exec("sleep 4321");
  setTimeout(() => command.kill(), 200);
  assert.equal((await command).exitCode, 137);
});

test("a reader that is slow gets everything in the end", async () => {
  const command = vm.exec("yes | head -c 9500000", { buffer: false });
  const reader = command.stdout.getReader();
  let lengthBytes = (await reader.read()).value.length;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  for (let read = await reader.read(); !read.done; read = await reader.read()) lengthBytes += read.value.length;
  assert.equal(lengthBytes, 9_500_000);
  assert.equal((await command).exitCode, 0);
});

test("a paused guest runs no instruction, and goes on when it is resumed", async () => {
  await vm.pause();
  const before = instructionsOf(vm.stats());
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(instructionsOf(vm.stats()), before);
  vm.resume();
  assert.equal((await vm.exec("echo on")).stdout, "on\n");
});

test("a halted guest uses under 2 % of a core", async () => {
  // The quietest of several spans: a busy host makes the same work dearer, and this process has more threads than the guest's.
  const shareMax = idleLoadLimit(0.02);
  let share = Infinity;
  for (let span = 0; span < 15 && share >= shareMax; span++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = process.cpuUsage();
    const beganMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const { user, system } = process.cpuUsage(before);
    share = Math.min(share, (user + system) / 1000 / (performance.now() - beganMs));
  }
  assert.ok(share < shareMax, `${(share * 100).toFixed(2)} %`);
});

test("stats count what has happened", () => {
  const stats = vm.stats();
  assert.ok(stats.bootMs > 0 && stats.bootMs < stats.uptimeMs);
  assert.ok(instructionsOf(stats) > 1e8);
  assert.ok(stats.memory.pagesTouched > 1000 && stats.memory.pagesTouched <= stats.memory.guestBytes / 4096);
  assert.ok(stats.memory.framesInUse >= stats.memory.pagesTouched && stats.memory.framesInUse <= stats.memory.framesTotal);
  for (const reason of ["budget", "nested-page-fault", "hypercall", "hlt", "cpuid"]) assert.ok(stats.exits[reason] > 0, reason);
  assert.ok(stats.hypercalls.VCPUOP_set_singleshot_timer > 0);
  assert.equal(stats.vcpus.length, 1);
  // At least one span of the test before was spent halted.
  assert.ok(stats.vcpus[0].haltedMs > 2000, `${stats.vcpus[0].haltedMs} ms`);
});

test("the console is a shell, and Ctrl-O reaches it", { timeout: timeLimit(60_000) }, async () => {
  const shell = await VirtualMachine.create({ ...tierOptions, shell: { rows: 20, columns: 70 } });
  const writer = shell.console.writable.getWriter();
  const decoder = new TextDecoder();
  const type = async (text) => await writer.write(new TextEncoder().encode(text));
  let seen = "";
  const reader = shell.console.readable.getReader();
  const readUntil = async (text) => {
    while (!seen.includes(text)) {
      const { value, done } = await reader.read();
      assert.ok(!done, seen);
      seen += decoder.decode(value, { stream: true });
    }
    seen = seen.slice(seen.indexOf(text) + text.length);
  };
  // Before its first prompt the shell drops what was typed.
  await readUntil("# ");
  await type("stty size; cat -v\r");
  await readUntil("20 70\r\n");
  await type("<\x0f>\r");
  await readUntil("<^O>\r\n<^O>\r\n");
  // Ctrl-C drops what is typed behind it, too, until the shell is back.
  await type("\x03");
  await readUntil("# ");
  await type("echo $((6 * 7)); poweroff\r");
  await readUntil("42\r\n");
  assert.equal((await shell.ended).reason, "power-off");
});

test("pending and later commands reject when the guest ends; stats and log stay", async () => {
  const short = await VirtualMachine.create({ mode: "exec", ...tierOptions });
  const pending = short.exec("sleep 4321");
  await short.ready();
  const exit = await short.shutdown({ timeoutMs: COMMAND_TIMEOUT_MS });
  assert.equal(exit.reason, "power-off");
  await assert.rejects(pending, { code: "ERR_GUEST_ENDED" });
  await assert.rejects(short.exec("true"), { code: "ERR_GUEST_ENDED" });
  assert.ok(instructionsOf(short.stats()) > 1e8);
  assert.deepEqual(await short.shutdown(), exit);
});

test("a signal ends a VM, and its reason is what pending commands get", async () => {
  const abort = new AbortController();
  const doomed = await VirtualMachine.create({ mode: "exec", ...tierOptions, signal: abort.signal });
  const pending = doomed.exec("true");
  const reason = new Error("enough");
  abort.abort(reason);
  await assert.rejects(pending, reason);
  assert.equal((await doomed.ended).reason, "stopped");
});

test("a panic is an error with the kernel's words", async () => {
  const broken = await VirtualMachine.create({ ...tierOptions, append: "rdinit=/nonexistent" });
  await assert.rejects(broken.ready(), { code: "ERR_GUEST_PANIC", message: /Unable to mount root fs/ });
  assert.match(broken.log(), /Call Trace/);
});

test("a command whose line arrives while another one ends is not lost", { timeout: timeLimit(240_000) }, async () => {
  // Lines come in pieces, 16 bytes each, and in between the agent may have to wait. One in forty was lost.
  const lane = async () => {
    for (let n = 0; n < 40; n++) {
      const command = `echo $((6 * 7)) # ${"long ".repeat((n % 7) * 17)}`;
      assert.equal((await vm.exec(command, { timeoutMs: COMMAND_TIMEOUT_MS })).stdout, "42\n");
    }
  };
  await Promise.all([lane(), lane(), lane()]);
});
