/**
 * A load for the whole guest whose every answer is known beforehand: from this host, which runs the same programs and the same busybox.
 *
 * It comes in lanes, each a list of steps that are run one after another; the lanes run side by side (a guest has three slots for commands).
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ENVIRONMENT, runCasesOnHost } from "./busybox.mjs";
import { buildPrograms, describeDifference, hostLacks, listPrograms, runOnHost } from "./programs.mjs";
import { timeLimit } from "./tier.mjs";

/** A step that hangs is told from one that is slow on a busy host; those of the long form have twelve times the work. */
const STEP_TIMEOUT_MS = timeLimit(process.env.UNPINNED_STORM === "long" ? 1_800_000 : 240_000);
const GUEST_PATH = "/usr/bin/programs";
/** What the kernel says when something is wrong with it. */
export const COMPLAINTS = /BUG[: ]|WARNING|Call Trace|soft lockup|rcu.*stall|hung task|blocked for more than|\bOops|general protection|segfault|clocksource.*unstable|Bad page|Bad swap/i;

/** @typedef {import("../../../dist/machine/index.js").VirtualMachine} VirtualMachine */
/** @typedef {{ name: string, script: string, expected: string }} Step */
/** @typedef {{ programs: "all" | "chosen" | "few", files: number, fileMib: number, rounds: number }} LoadSize What is run, and how much of it. */

const folder = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}/`, import.meta.url));

/** Programs of the other suites that have most to do with processors and pages in motion. */
const CHOSEN = /^(processes|threads|code-changes|memory|signals)\//;
/** The programs and what they print on this host. */
export class Load {
  /** @param {LoadSize} size */
  constructor(size) {
    this.size = size;
    const others = listPrograms(folder("programs")).filter(({ name }) => size.programs === "all" || (size.programs === "chosen" && CHOSEN.test(name)));
    this.programs = [...listPrograms(folder("storm/programs")), ...others]
      .filter(({ isCompared, builds }) => isCompared && builds.includes(64))
      // Without what a program needs, the host has no answer to compare with.
      .filter((program) => hostLacks(program, 64) === undefined);
    this.built = buildPrograms(this.programs, 64);
  }

  /** What the guest has to be booted with. */
  get files() {
    return [{ path: GUEST_PATH, mode: 0o755, bytes: this.built.bytes }];
  }

  /** Before the first step. @param {VirtualMachine} vm */
  async prepare(vm) {
    const { exitCode, stderr } = await vm.exec("mount -o remount,size=90% /tmp && dmesg -n 1 && mount -t tracefs none /sys/kernel/tracing");
    assert.equal(exitCode, 0, stderr);
  }

  remove() {
    this.built.remove();
  }

  /** Makes the files of `filesAreRight`. @returns {Step[]} */
  makeFiles() {
    const { files, fileMib } = this.size;
    return Array.from({ length: files }, (_, n) => this.#step(`file ${n} is written`, `${GUEST_PATH} data/pattern write ${n} ${fileMib} >/tmp/file.${n}; echo $?`, "0\n"));
  }

  /** Reads them again; the first of them by another program, compared with node:crypto. @returns {Step[]} */
  filesAreRight() {
    const { files, fileMib } = this.size;
    const sums = Array.from({ length: files }, (_, n) => {
      const { stdout } = runOnHost(this.built.path, "data/pattern", ["expect", `${n}`, `${fileMib}`]);
      return this.#step(`file ${n} is whole`, `${GUEST_PATH} data/pattern sum </tmp/file.${n}`, stdout);
    });
    const part = this.#host("data/pattern", "write", "0", "4");
    const digest = createHash("md5").update(part).digest("hex");
    return [...sums, this.#step("its md5sum is that of node:crypto", "head -c 4194304 /tmp/file.0 | md5sum", `${digest}  -\n`)];
  }

  /** Threads, processes, signals, mappings, code that changes. @returns {Step[]} */
  runPrograms() {
    return this.programs.filter(({ name }) => name !== "data/pattern").map(({ name }) => {
      const { stdout, exitCode } = runOnHost(this.built.path, name);
      return this.#step(name, `${GUEST_PATH} ${name}; echo status $?`, `${stdout}status ${exitCode}\n`);
    });
  }

  /** What a build does: many short processes, pipes and files. @returns {Promise<Step[]>} */
  async build() {
    const scripts = buildScripts(this.size.rounds);
    const answers = await runCasesOnHost("", scripts);
    const words = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`).join(" ");
    return scripts.map(([name, script], index) => {
      const { stdout, exitCode } = /** @type {import("./guest.mjs").Answer} */ (answers.get(name));
      return this.#step(name, `rm -rf /tmp/build.${index}; mkdir /tmp/build.${index}; cd /tmp/build.${index}; export ${words}; (${script}); echo status $?`, `${stdout}status ${exitCode}\n`);
    });
  }

  /** The kernel changes its own code, and processors leave and come back. @param {number} vcpus @returns {Step[]} */
  disturb(vcpus) {
    const last = vcpus - 1;
    const steps = [this.#step(
      "the kernel patches itself",
      "cd /sys/kernel/tracing; for i in $(seq 3); do echo 1 >events/sched/enable; sleep 0.2; echo 0 >events/sched/enable; done; cat events/sched/enable", "0\n",
    )];
    if (vcpus > 1) {
      steps.push(this.#step(
        `processor ${last} leaves and comes back`,
        `cd /sys/devices/system/cpu/cpu${last}; for i in 1 2; do echo 0 >online; sleep 0.2; echo 1 >online; sleep 0.2; done; nproc`, `${vcpus}\n`,
      ));
    }
    return steps;
  }

  /** Output of a command, and of the console, in bulk. @returns {Step[]} */
  output() {
    const text = this.#host("data/pattern", "text", "5", "20000").toString();
    return [this.#step("a long output of a command is whole", `${GUEST_PATH} data/pattern text 5 20000`, text)];
  }

  /** @param {string} name @param {string} script @param {string} expected @returns {Step} */
  #step(name, script, expected) {
    return { name, script, expected };
  }

  /** @param {string[]} words */
  #host(...words) {
    const { status, stdout } = spawnSync(this.built.path, words, { maxBuffer: 64 << 20 });
    assert.equal(status, 0);
    return stdout;
  }
}

/** @param {number} rounds @returns {[name: string, script: string][]} */
function buildScripts(rounds) {
  return [
    ["many short processes", `n=0; for i in $(seq ${25 * rounds}); do n=$((n + $(echo $i | sed 's/^/1/' | cut -c 2-))); done; echo $n`],
    ["text through awk, sed, sort and uniq", `for i in $(seq ${rounds}); do awk -v n=$i 'BEGIN { for (k = 0; k < 3000; k++) print (k * 7919 + n) % 1000, k }' >list.$i; `
      + "sed 's/ /:/' list.$i | sort -t : -n | cut -d : -f 1 | uniq -c | md5sum; done"],
    ["archives there and back", `for i in $(seq ${rounds}); do mkdir -p d.$i/e; seq $((i * 100)) 9000 >d.$i/numbers; awk 'BEGIN { for (k = 0; k < 4000; k++) printf \"%d%d\\n\", k * k, k % 13 }' >d.$i/e/squares; `
      + "tar cf - d.$i | gzip >a.$i; mkdir o.$i; gunzip <a.$i | tar xf - -C o.$i; cmp d.$i/numbers o.$i/d.$i/numbers && cmp d.$i/e/squares o.$i/d.$i/e/squares; md5sum o.$i/d.$i/e/squares; done"],
    ["a build in parallel", `for j in 1 2 3; do (for i in $(seq ${6 * rounds}); do echo \"unit $j $i\" | sed 's/u/U/' | tr a-z A-Z >unit.$j.$i; done) & done; wait; cat unit.* | sort | md5sum`],
  ];
}

/**
 * Runs steps in turn, while `goesOn` says so; a wrong answer throws.
 * @param {VirtualMachine} vm
 * @param {readonly Step[]} steps
 * @param {{ timeoutMs?: number, goesOn?: () => boolean }} [options] how long one step may take
 */
export async function runSteps(vm, steps, { timeoutMs = STEP_TIMEOUT_MS, goesOn = () => true } = {}) {
  for (const { name, script, expected } of steps) {
    if (!goesOn()) return;
    const { exitCode, stdout, stderr } = await vm.exec(script, { timeoutMs }).catch((error) => {
      throw new Error(`${name}: ${error.message}\n${vm.log().slice(-2000)}`, { cause: error });
    });
    if (stdout !== expected) assert.fail(`${name} (status ${exitCode}):\n${describeDifference(stdout, expected)}\n${stderr}`);
    assert.equal(exitCode, 0, `${name}: ${stderr}`);
  }
}

/** What the guest's kernel has to complain of. @param {VirtualMachine} vm */
export async function assertQuietKernel(vm) {
  const { stdout } = await vm.exec("dmesg");
  // Some of the programs run into faults on purpose.
  const line = stdout.split("\n").find((text) => COMPLAINTS.test(text) && !text.includes("programs["));
  assert.equal(line, undefined, `the kernel complains: ${line}\n${stdout.slice(-3000)}`);
}
