/**
 * A real guest whose swap file cannot be written, and cannot be read.
 *
 * What: the command line's guest of 256 MiB with a limit of 64 MiB works on a file of 96 MiB. Its swap file first meets the limit that the
 *   process has for the size of files; then every write ends with an input/output error; then every read. Each time the cause is taken away again.
 * Why: a disk that fails for a while is no reason to lose a byte of a guest, nor to end it.
 * How it can tell: the program says what the guest waits for, and the guest does nothing until the cause is gone; then it goes on by itself. Its
 *   sums are those that this process computes, and its kernel has nothing to complain of.
 *
 * The limit is the process's own (RLIMIT_FSIZE, raised by prlimit), the errors come from a library that is loaded before the C library
 * (failing-file.c); neither takes root.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { COMPLAINTS } from "../support/load.mjs";
import { tierWords, timeLimit } from "../support/tier.mjs";

const TIMEOUT_S = timeLimit(300);
const MIB = 1 << 20;
/** Units of `ulimit -f`. */
const LIMIT_BLOCKS = (16 * MIB) / 512;
const PARTS = 48;
/** How long the guest is watched while it waits. */
const STANDSTILL_MS = 1500;

const program = fileURLToPath(new URL("../../../bin/unpinned.js", import.meta.url));

/** Two files of PARTS MiB; a line before each piece of work, and a sum behind it. */
const SCRIPT = [
  "mount -o remount,size=90% /tmp", "seq 1 150000 >/tmp/part",
  "part() { for i in $(seq " + PARTS + "); do cat /tmp/part; done; }",
  "echo first; sleep 1; part >/tmp/first",
  "echo second; sleep 1; part >/tmp/second",
  "echo sums; sleep 1; md5sum </tmp/first; md5sum </tmp/second",
  "dmesg | grep -v 'Command line' >/tmp/log; echo log; cat /tmp/log",
].join("; ");

/** @param {string} folder @returns {{ library: string } | { missing: string }} */
function buildFailingDisk(folder) {
  if (process.platform !== "linux") return { missing: "a process whose files fail is made on Linux only" };
  if (spawnSync("prlimit", ["--version"]).status !== 0) return { missing: "there is no prlimit here" };
  const library = join(folder, "failing-file.so");
  const { status, error } = spawnSync("gcc", ["-shared", "-fPIC", "-O1", "-w", fileURLToPath(new URL("failing-file.c", import.meta.url)), "-o", library, "-ldl"]);
  return status === 0 ? { library } : { missing: error === undefined ? "gcc here cannot build a library" : "there is no gcc here" };
}

/** The guest, with what it and the program have said so far. */
class LimitedGuest {
  stdout = "";
  stderr = "";
  /** @type {number | null | undefined} undefined = it runs. */
  status;

  /** @param {string} folder @param {string} library */
  constructor(folder, library) {
    this.swapFile = join(folder, "swap");
    const words = [program, "run", ...tierWords, "--memory", "256M", "--memory-limit", "64M", "--swap", this.swapFile, "--timeout", String(TIMEOUT_S), "--exec", SCRIPT];
    this.child = spawn("sh", ["-c", `ulimit -S -f ${LIMIT_BLOCKS}; exec "$@"`, "sh", process.execPath, ...words], {
      env: { ...process.env, LD_PRELOAD: library, UNPINNED_FAILING_FILE: this.swapFile },
    });
    this.child.stdout.setEncoding("utf8").on("data", (text) => (this.stdout += text));
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.stderr += text));
    this.child.on("close", (status) => (this.status = status));
  }

  /** Returns when `condition` holds. @param {string} what @param {() => boolean} condition */
  async until(what, condition) {
    while (!condition()) {
      if (this.status !== undefined) assert.fail(`the guest ended (${this.status}) before ${what}:\n${this.stdout.slice(-500)}\n${this.stderr.slice(-2000)}`);
      await wait(20);
    }
  }

  /** Files of the process may be as large as they like. */
  liftLimit() {
    const { status, stderr } = spawnSync("prlimit", ["--pid", String(this.child.pid), "--fsize=unlimited:"], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  }

  /** @param {string} which */
  breakDisk(which) {
    writeFileSync(`${this.swapFile}.${which}`, "");
  }

  /** @param {string} which */
  mendDisk(which) {
    rmSync(`${this.swapFile}.${which}`);
  }

  /** The guest begins to wait for `why`, and does nothing; `mend` has it go on. @param {RegExp} why @param {() => void} mend */
  async standsStill(why, mend) {
    const before = this.stderr.length;
    const said = () => this.stderr.slice(before);
    await this.until(`it waited for ${why}`, () => said().includes("the guest waits"));
    assert.match(said(), why);
    const output = this.stdout;
    await wait(STANDSTILL_MS);
    assert.equal(this.stdout, output);
    assert.doesNotMatch(said(), /the guest goes on/);
    mend();
    await this.until("it went on", () => said().includes("the guest goes on"));
  }
}

test("a guest whose swap file cannot be written or read waits, says why, and loses nothing", { timeout: TIMEOUT_S * 1000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-unwritable-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const disk = buildFailingDisk(folder);
  if ("missing" in disk) return t.skip(disk.missing);
  const guest = new LimitedGuest(folder, disk.library);
  t.after(() => guest.child.kill("SIGKILL"));

  await guest.standsStill(/swap file .*swap is full \(file too large\)/, () => guest.liftLimit());
  await guest.until("the second file", () => guest.stdout.includes("second\n"));
  guest.breakDisk("no-write");
  await guest.standsStill(/swap file .*swap: input\/output error/, () => guest.mendDisk("no-write"));
  await guest.until("the sums", () => guest.stdout.includes("sums\n"));
  guest.breakDisk("no-read");
  await guest.standsStill(/swap file .*swap: input\/output error/, () => guest.mendDisk("no-read"));

  while (guest.status === undefined) await wait(20);
  const part = Array.from({ length: 150_000 }, (_, n) => `${n + 1}\n`).join("");
  const sum = createHash("md5").update(part.repeat(PARTS)).digest("hex");
  const [work, log = ""] = guest.stdout.split("log\n", 2);
  assert.equal(work, `first\nsecond\nsums\n${sum}  -\n${sum}  -\n`);
  assert.doesNotMatch(log, COMPLAINTS);
  assert.equal(guest.status, 0, guest.stderr);
  t.diagnostic(guest.stderr.trim().replaceAll(guest.swapFile, "swap"));
});
