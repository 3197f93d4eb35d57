/**
 * The program `unpinned` with a guest in it: statuses, what goes to which output, standard input that is no terminal, and a terminal
 * made by script(1), where there is one.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { instructionsOf, tierWords, timeLimit } from "../support/tier.mjs";

const PROGRAM = fileURLToPath(new URL("../../../bin/unpinned.js", import.meta.url));

/** Runs the program to its end. */
async function unpinned(args, { input = "", signalAfterMs } = {}) {
  const child = spawn(process.execPath, [PROGRAM, "run", ...tierWords, ...args], { stdio: "pipe" });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (texts[name] += text));
  child.stdin.on("error", () => undefined).end(input);
  if (signalAfterMs !== undefined) setTimeout(() => child.kill("SIGTERM"), signalAfterMs);
  const status = await new Promise((resolve) => child.once("close", resolve));
  return { status, ...texts };
}

/** A path for a profile, in a folder that goes with the test. */
async function profilePath(context) {
  const folder = await mkdtemp(join(tmpdir(), "unpinned-program-"));
  context.after(() => rm(folder, { recursive: true }));
  return join(folder, "profile.json");
}

/** Fails unless the file has samples of the guest, as many as a busy host gets to in seconds, most of them with a task's name. */
async function assertProfile(path) {
  const { shared, profiles: [{ samples }] } = JSON.parse(await readFile(path, "utf8"));
  const named = samples.filter((stack) => shared.frames[stack[1]].name !== "(no task)");
  assert.ok(samples.length > 5 && named.length > samples.length / 2, `${samples.length} samples, ${named.length} with a task`);
}

test("--exec passes outputs and status on, and prints nothing else", async () => {
  assert.deepEqual(await unpinned(["--exec", "echo out; echo err >&2; exit 3"]), { status: 3, stdout: "out\n", stderr: "err\n" });
});

test("--json comes last, as one object; --verbose shows the kernel's log on standard error", async () => {
  const { status, stdout, stderr } = await unpinned(["--exec", "uname -s", "--json", "--verbose"]);
  assert.equal(status, 0);
  assert.match(stderr, /Hypervisor detected: Xen HVM/);
  const [first, last, ...rest] = stdout.trimEnd().split("\n");
  assert.equal(first, "Linux");
  assert.deepEqual(rest, []);
  const report = JSON.parse(last);
  assert.equal(report.status, 0);
  assert.ok(report.bootMs > 0 && instructionsOf(report) > 1e8 && report.pagesTouched > 1000);
  assert.ok(report.exits.hypercall > 0 && report.hypercalls.EVTCHNOP_send > 0);
});

test("a command that never ends is ended by --timeout with status 124, and has its --profile", async (context) => {
  const profile = await profilePath(context);
  const beganMs = performance.now();
  // Long enough for the guest to begin the command.
  const seconds = timeLimit(8);
  const { status, stderr } = await unpinned(["--exec", "sleep 4321", "--timeout", `${seconds}`, "--profile", profile]);
  assert.equal(status, 124);
  assert.equal(stderr, `unpinned: not done within ${seconds} s\n`);
  assert.ok(performance.now() - beganMs < (seconds + 7) * 1000);
  await assertProfile(profile);
});

test("a panic is status 70, with the log's end on standard error; --json still prints, and --profile writes", async (context) => {
  const profile = await profilePath(context);
  const { status, stdout, stderr } = await unpinned(["--exec", "true", "--append", "rdinit=/nonexistent", "--json", "--profile", profile]);
  assert.equal(status, 70);
  assert.match(stderr, /^unpinned: Kernel panic - not syncing: VFS: Unable to mount root fs/);
  assert.match(stderr, /Call Trace:/);
  assert.doesNotMatch(stderr, /\.js:\d+/);
  assert.equal(JSON.parse(stdout).error.code, "ERR_GUEST_PANIC");
  await assertProfile(profile);
});

test("a panic without restart ends the run, too", async () => {
  const { status } = await unpinned(["--exec", "true", "--append", "rdinit=/nonexistent panic=0"]);
  assert.equal(status, 70);
});

test("lines of standard input go to the shell, however many, and their end powers the guest off", async () => {
  const text = Array.from({ length: 4000 }, (_, n) => `text ${n} ${"x".repeat(n % 60)}\n`).join("");
  const input = `echo one\nfor i in 1 2; do echo line $i; done\nread x\nthe answer\ncat >/tmp/in <<'END'\n${text}END\nmd5sum </tmp/in\necho got $x`;
  const { status, stdout, stderr } = await unpinned([], { input });
  assert.equal(status, 0, stderr);
  const lines = stdout.split(/\r?\n/).filter((line) => /^(one|line|[0-9a-f]{32}|got)/.test(line));
  assert.deepEqual(lines, ["one", "line 1", "line 2", `${createHash("md5").update(text).digest("hex")}  -`, "got the answer"]);
});

test("a program in the guest that reads to the end of its input does not keep the guest from ending", async () => {
  const { status, stdout } = await unpinned([], { input: "wc -l\na\nb\nc\n" });
  assert.equal(status, 0);
  assert.match(stdout, /^3\r?$/m);
});

test("SIGTERM ends the run with status 143", async () => {
  const { status } = await unpinned(["--exec", "sleep 4321"], { signalAfterMs: 2500 });
  assert.equal(status, 143);
});

test("a closed standard output ends the run without a word", async () => {
  const child = spawn(process.execPath, [PROGRAM, "run", ...tierWords, "--exec", "yes"], { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdout.once("data", () => child.stdout.destroy());
  const status = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(status, 141);
  assert.equal(stderr, "");
});

/** A kernel of a few instructions: an ELF file with one segment at 1 MiB, entered at its start, and the note that names the entry. */
function tinyKernel(code) {
  const file = Buffer.alloc(0x1000 + 0x100);
  file.write("\x7fELF", "latin1");
  file.set([2, 1, 1], 4);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(0x10_0000n, 24);
  file.writeBigUInt64LE(64n, 32);
  for (const [offset, value] of [[52, 64], [54, 56], [56, 2]]) file.writeUInt16LE(value, offset);
  const header = (at, type, offset, gpa, size) => {
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(7, at + 4);
    for (const [place, value] of [[8, offset], [16, gpa], [24, gpa], [32, size], [40, size], [48, 4]]) file.writeBigUInt64LE(BigInt(value), at + place);
  };
  header(64, 1, 0x1000, 0x10_0000, 0x100);
  header(120, 4, 0x200, 0, 20);
  for (const [at, value] of [[0x200, 4], [0x204, 4], [0x208, 18], [0x210, 0x10_0000]]) file.writeUInt32LE(value, at);
  file.write("Xen\0", 0x20c, "latin1");
  file.set(code, 0x1000);
  return file;
}

async function runTinyKernel(context, code) {
  const folder = await mkdtemp(join(tmpdir(), "unpinned-kernel-"));
  context.after(async () => await rm(folder, { recursive: true }));
  const kernel = join(folder, "kernel");
  const initrd = join(folder, "initrd");
  await writeFile(kernel, tinyKernel(code));
  await writeFile(initrd, "none");
  return await unpinned(["--kernel", kernel, "--initrd", initrd, "--json", "--timeout", `${timeLimit(20)}`]);
}

test("a triple fault is status 71, with rip, mode and bytes", async (context) => {
  // ud2, with an interrupt table of zeros
  const { status, stdout, stderr } = await runTinyKernel(context, [0x90, 0x0f, 0x0b]);
  assert.equal(status, 71, stderr);
  assert.match(stderr, /^unpinned: triple fault at rip 0x100001\nrip=0x100001 mode=32-bit cpl=0\nbytes at rip: 0f 0b /);
  const { error } = JSON.parse(stdout);
  assert.equal(error.code, "ERR_TRIPLE_FAULT");
  assert.equal(error.guest.rip, "0x100001");
});

test("what the processor lacks is status 72", async (context) => {
  // mov dword [0x34], 0x8500: vector 6 becomes a task gate; ud2
  const { status, stdout } = await runTinyKernel(context, [0xc7, 0x05, 0x34, 0, 0, 0, 0, 0x85, 0, 0, 0x0f, 0x0b]);
  assert.equal(status, 72);
  assert.equal(JSON.parse(stdout).error.code, "ERR_UNSUPPORTED_INSTRUCTION");
});

test("a guest's own CLI and HLT is power-off, and REP OUTSB reaches the debug port", async (context) => {
  // mov esi, 0x100014; mov ecx, 3; mov edx, 0xe9; rep outsb; cli; hlt; "ok\n"
  const code = [0xbe, 0x14, 0, 0x10, 0, 0xb9, 3, 0, 0, 0, 0xba, 0xe9, 0, 0, 0, 0xf3, 0x6e, 0xfa, 0xf4, 0x90, 0x6f, 0x6b, 0x0a];
  const { status, stdout } = await runTinyKernel(context, code);
  assert.equal(status, 0);
  const [first, last] = stdout.split("\n");
  assert.equal(first, "ok");
  assert.equal(JSON.parse(last).exits.hlt, 1);
});

const hasScript = spawnSync("script", ["--version"]).status === 0;

/** Runs the program on a terminal; `steps` are [text to wait for, what to type then]. */
async function onTerminal(steps) {
  const command = `stty -g; '${process.execPath}' '${PROGRAM}' run ${tierWords.join(" ")}; echo "status $?"; stty -g`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, TERM: "xterm" } });
  let seen = "";
  let from = 0;
  const queue = [...steps];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    seen += text;
    for (let step = queue[0]; step !== undefined && seen.indexOf(step[0], from) >= 0; step = queue[0]) {
      from = seen.indexOf(step[0], from) + step[0].length;
      queue.shift();
      setTimeout(() => child.stdin.write(step[1]), 300);
    }
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeLimit(60_000));
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  assert.deepEqual(queue, [], seen);
  const lines = seen.trim().split(/\r?\n/);
  assert.equal(lines.at(-1), lines[0], "the terminal is as it was");
  return seen;
}

test("on a terminal: a shell, Ctrl-C for the guest, poweroff ends with status 0", { skip: !hasScript }, async () => {
  const seen = await onTerminal([
    ["# ", "sleep 4321\r"], ["sleep 4321", "\x03"], ["# ", "echo $((6 * 7))\r"], ["42\r\n", "poweroff\r"],
  ]);
  assert.match(seen, /status 0/);
});

test("on a terminal: help, monitor and quit behind Ctrl-A", { skip: !hasScript }, async () => {
  const seen = await onTerminal([
    ["# ", "\x01h"], ["Ctrl-A x", "\x01c"], ["(unpinned) ", "info\r"], ["(unpinned) ", "console\r"],
    ["console\r\n", "printf '\\033[?1049hfull'\r"], ["hfull", ""], ["full", "\x01x"],
  ]);
  assert.match(seen, /MiB touched of 256 MiB/);
  assert.match(seen, /\x1b\[\?1049l[^]*status 0/);
});
