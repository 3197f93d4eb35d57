/** The program from outside: what is wrong is said in one line, with status 2, at once. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./main.js", import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = "";
before(async () => (folder = await mkdtemp(join(tmpdir(), "unpinned-cli-"))));
after(async () => await rm(folder, { recursive: true }));

async function unpinned(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].setEncoding("utf8").on("data", (text: string) => (texts[name] += text));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, ...texts };
}

async function expectRefusal(message: RegExp, ...args: string[]): Promise<void> {
  const ended = await unpinned(...args);
  assert.equal(ended.status, 2, ended.stderr);
  assert.equal(ended.stdout, "");
  assert.match(ended.stderr, /^unpinned: [^\n]+\n$/);
  assert.match(ended.stderr, message);
}

test("an unknown option is refused", () => expectRefusal(/--frobnicate/, "run", "--frobnicate"));
test("no command is refused", () => expectRefusal(/unpinned run/));
test("too little memory is refused", () => expectRefusal(/64M/, "run", "--memory", "1M"));
test("a missing kernel is refused", () => expectRefusal(/no such file/, "run", "--kernel", "/nonexistent", "--exec", "true"));
test("a folder as kernel is refused", () => expectRefusal(/directory/, "run", "--kernel", "/"));
test("a missing initrd is refused before anything is fetched", () => expectRefusal(/initrd.*no such file/, "run", "--initrd", "/nonexistent"));

test("a file that is no kernel is refused", async () => {
  const path = join(folder, "text");
  await writeFile(path, "I am no kernel.\n".repeat(1000));
  await expectRefusal(/kernel/, "run", "--kernel", path);
});

test("a profile that cannot be written is refused before anything is booted", () => expectRefusal(/cannot write the profile .*: it is a directory/, "run", "--profile", folder, "--exec", "true"));
test("a missing system map is refused", () => expectRefusal(/system map.*no such file/, "run", "--profile", join(folder, "p"), "--system-map", "/nonexistent", "--exec", "true"));

test("an unreadable kernel is refused", async (context) => {
  if (process.getuid?.() === 0) return context.skip("root may read everything");
  const path = join(folder, "secret");
  await writeFile(path, "");
  await chmod(path, 0);
  await expectRefusal(/permission denied/, "run", "--kernel", path);
});

test("--json prints one object for a refused input, too", async () => {
  const { status, stdout, stderr } = await unpinned("run", "--kernel", "/nonexistent", "--json");
  assert.equal(status, 2);
  assert.match(stderr, /^unpinned: [^\n]+\n$/);
  const report = JSON.parse(stdout) as { status: number; error: { code: string } };
  assert.equal(report.status, 2);
  assert.equal(report.error.code, "ERR_INPUT_FILE");
});

test("a swap file that cannot be used is refused", () => expectRefusal(/swap file .*no such folder/, "run", "--swap", "/nonexistent/x"));
test("a control socket that cannot be made is refused before the guest is", () => expectRefusal(/no such folder/, "run", "--control", "/nonexistent/x"));
test("an address where gdb cannot connect is refused before the guest is fetched", () => expectRefusal(/gdb: .*no such folder/, "run", "--gdb", "/nonexistent/x"));
test("a port that is none is refused", () => expectRefusal(/65536/, "run", "--gdb", "65536"));
test("waiting for a gdb that cannot connect is refused", () => expectRefusal(/--gdb-wait needs --gdb/, "run", "--gdb-wait"));
test("a wrong command for a running guest is refused without asking it", () => expectRefusal(/memory show\|/, "ctl", "/nonexistent", "memory"));

test("a guest that is not there is one line and status 1", async () => {
  const { status, stdout, stderr } = await unpinned("ctl", join(folder, "none"), "stats");
  assert.deepEqual([status, stdout, stderr], [1, "", `unpinned: ${join(folder, "none")}: no such file or folder\n`]);
});

test("--help and --version print and end with status 0", async () => {
  const help = await unpinned("run", "--help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--memory/);
  assert.match((await unpinned("--version")).stdout, /^\d+\.\d+\.\d+\n$/);
});
