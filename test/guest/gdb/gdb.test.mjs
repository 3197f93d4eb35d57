/**
 * A guest under the host's own gdb.
 *
 * What: gdb finds the guest before its first instruction (gdbWait), lets it boot, and later stops a kernel of two vCPUs under a storm of page moves: at a
 * breakpoint with a condition, behind a write to a kernel variable, by Ctrl-C. It steps, reads and writes registers and memory, detaches, and
 * the guest goes on as if it had not been there.
 * How it can tell: what gdb prints; what the guest's programs answer meanwhile and afterwards; the kernel's log; how the guest ends.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { makeSymbolFile, parseKallsyms } from "../../../scripts/gdb-symbols.mjs";
import { askGuest, COMMAND_TIMEOUT_MS } from "../support/guest.mjs";
import { tierOptions, timeLimit } from "../support/tier.mjs";

const TIMEOUT_MS = timeLimit(300_000);
const COMPLAINTS = /BUG|WARNING|Oops|segfault/;
const SYMBOLS = ["do_filp_open", "jiffies_64", "linux_banner", "init_task", "__x64_sys_getpid"];
const PREAMBLE = ["set pagination off", "set confirm off", `set remotetimeout ${timeLimit(60)}`, "set architecture i386:x86-64"];

const skip = spawnSync("gdb", ["-nx", "-batch", "-ex", "python pass"]).status === 0 ? false : "no gdb with Python is installed (Debian: gdb)";

/**
 * Runs gdb with a script and resolves with what it printed. It is interrupted, as by Ctrl-C, some time after it has printed "interrupt me".
 * @param {string} folder
 * @param {readonly string[]} commands
 * @param {readonly string[]} files
 * @returns {Promise<string>}
 */
async function runGdb(folder, commands, files = []) {
  const script = join(folder, "script.gdb");
  writeFileSync(script, `${[...PREAMBLE, ...commands].join("\n")}\n`);
  const gdb = spawn("gdb", ["-nx", "-batch", "-x", script, ...files], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  let isInterrupted = false;
  for (const stream of [gdb.stdout, gdb.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (piece) => {
      text += piece;
      if (isInterrupted || !text.includes("interrupt me")) return;
      isInterrupted = true;
      setTimeout(() => gdb.kill("SIGINT"), 500);
    });
  }
  const timer = setTimeout(() => gdb.kill("SIGKILL"), TIMEOUT_MS / 2);
  await new Promise((resolve) => gdb.once("close", resolve));
  clearTimeout(timer);
  return text;
}

/**
 * What `pattern` finds in gdb's output.
 * @param {string} text
 * @param {RegExp} pattern
 */
function found(text, pattern) {
  const match = pattern.exec(text);
  assert.ok(match, `expected ${String(pattern)} in what gdb printed:\n${text}`);
  return match;
}

test("gdb finds a guest at its first instruction, stops, steps and changes its kernel, and leaves it as it was", { skip, timeout: TIMEOUT_MS }, async (t) => {
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "unpinned-gdb-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const vm = await VirtualMachine.create({ mode: "exec", vcpus: 2, storm: "max", gdb: 0, gdbWait: true, ...tierOptions });
  t.after(() => vm.dispose());
  const remote = `target remote ${vm.gdbAddress}`;

  const first = await runGdb(folder, [remote, "printf \"begins at %lx, cr0 %lx\\n\", $rip, $cr0", "stepi", "printf \"then %lx\\n\", $rip", "info threads", "detach"]);
  const [, entry = ""] = found(first, /begins at ([0-9a-f]+), cr0 11\n/);
  assert.equal(BigInt(`0x${found(first, /then ([0-9a-f]+)\n/)[1]}`), BigInt(`0x${entry}`) + 1n, "CLD has one byte");
  found(first, /Thread 2 \(vCPU 1: parked\)/);

  await vm.ready();
  t.diagnostic(`ready after ${Math.round(performance.now() - begun)} ms`);
  const kallsyms = await askGuest(vm, `grep -wE '${SYMBOLS.join("|")}' /proc/kallsyms`);
  const symbols = join(folder, "kernel.elf");
  writeFileSync(symbols, makeSymbolFile(parseKallsyms(kallsyms)));
  const address = new Map(parseKallsyms(kallsyms).map((symbol) => [symbol.name, symbol.address]));

  const work = vm.exec("until [ -e /stop ]; do cat /etc/passwd; done | sort -u; echo done");
  const second = await runGdb(folder, [
    remote,
    "printf \"%s\", (char *) &linux_banner",
    "break *do_filp_open if $_streq(*(char **) $rsi, \"/etc/passwd\")",
    "continue",
    "printf \"opens %s at %lx\\n\", *(char **) $rsi, $rip",
    "set $kept = $rax", "set $rax = 0x1234", "printf \"rax %lx\\n\", $rax", "set $rax = $kept",
    "set *(long *) ($rsp - 4096) = 0x5a5a5a5a", "x/gx $rsp - 4096",
    "set $at = $rip", "stepi", "printf \"stepped %d\\n\", $rip - $at",
    "delete",
    "watch *(unsigned long *) &jiffies_64",
    "continue",
    "delete",
    "info threads",
    "hbreak *__x64_sys_getpid",
    "delete",
    "monitor memory move all",
    `monitor gva2gpa 0x${address.get("linux_banner")?.toString(16)}`,
    "echo interrupt me\\n",
    "continue",
    "printf \"stands at %lx\\n\", $rip",
    "detach",
  ], [symbols]);

  t.diagnostic(`debugged after ${Math.round(performance.now() - begun)} ms`);
  found(second, /Linux version /);
  const [, opened = ""] = found(second, /hit Breakpoint 1[^]*opens \/etc\/passwd at ([0-9a-f]+)/);
  assert.equal(BigInt(`0x${opened}`), address.get("do_filp_open"));
  found(second, /rax 1234/);
  found(second, /0x000000005a5a5a5a/);
  assert.ok(Number(found(second, /stepped (\d+)/)[1]) <= 15);
  const [, before = "", after = ""] = found(second, /hit (?:Hardware w|W)atchpoint 2[^]*Old value = (\d+)\s+New value = (\d+)/);
  assert.ok(BigInt(after) > BigInt(before), `expected jiffies to go on, got ${before} and ${after}`);
  found(second, /Thread 1 \(vCPU 0: (?:outside|halted)\)[^]*Thread 2 \(vCPU 1: (?:outside|halted)\)/);
  found(second, /Hardware assisted breakpoint 3[^]*moved [1-9]\d* pages[^]*\n0x[0-9a-f]{8}\n[^]*received signal SIGINT[^]*stands at [0-9a-f]+\n[^]*detached/);

  await askGuest(vm, "touch /stop");
  const { exitCode, stdout } = await work;
  assert.equal(exitCode, 0);
  assert.match(stdout, /^root:.*\ndone\n$/);
  assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINTS);
  assert.equal((await vm.shutdown({ timeoutMs: COMMAND_TIMEOUT_MS })).reason, "power-off");
});
