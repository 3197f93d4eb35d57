/**
 * Seeing and steering the memory of a real guest.
 *
 * What: every command of the control socket once, by the program as an operator would; storm and stall by the library. (Memory limits and ways of
 *   page access: storm/limits and storm/access.)
 * Why: whatever is done to its memory, the guest must go on and compute what it would have computed.
 * How it can tell: the guest sums data that the host can sum, too; the commands' results and the counters say that the pages really moved,
 *   were swapped, shared and taken offline meanwhile.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { sendCommand } from "../../../dist/machine/control/index.js";
import { askGuest, bootGuest } from "../support/guest.mjs";
import { tierOptions, tierWords, timeLimit } from "../support/tier.mjs";

const PROGRAM = fileURLToPath(new URL("../../../bin/unpinned.js", import.meta.url));
const MIB = 2 ** 20;
/** Waits for what has to come; the suite must not hang when it does not. */
const PATIENCE_MS = timeLimit(60_000);

/** Runs the program to its end. @param {string[]} args */
async function unpinned(...args) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (texts[name] += text));
  const status = await new Promise((resolve) => child.once("close", resolve));
  return { status, ...texts };
}

/** Waits until `check` gives something. @template Value @param {() => Value | Promise<Value>} check */
async function eventually(check) {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > endMs) throw new Error(`it did not come about: ${check}`);
    await wait(50);
  }
}

/** What the guest says of `megabytes` MiB of the text of seq, kept in its memory, and what is right. */
function sumCommand(megabytes) {
  return `seq 1 10000000 | head -c ${megabytes * MIB} >/tmp/data; sha256sum </tmp/data`;
}

function rightSum(megabytes) {
  let text = "";
  for (let n = 1; text.length < megabytes * MIB; n++) text += `${n}\n`;
  return `${createHash("sha256").update(text.slice(0, megabytes * MIB)).digest("hex")}  -`;
}

describe("the control socket of a program", { skip: process.platform === "win32" }, () => {
  let folder = "";
  let socket = "";
  /** @type {import("node:child_process").ChildProcess} */
  let run;
  let output = "";
  const ctl = async (...words) => await unpinned("ctl", socket, ...words);
  /** The result of a command that has to succeed: by the program when it is the first of its words, else by what the program calls, which costs no process. */
  const asked = new Set();
  const result = async (...words) => {
    if (asked.has(words.join(" "))) return await sendCommand(socket, words);
    asked.add(words.join(" "));
    const { status, stdout, stderr } = await ctl(...words, "--json");
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "unpinned-control-"));
    socket = join(folder, "socket");
    run = spawn(process.execPath, [PROGRAM, "run", ...tierWords, "--memory", "128M", "--control", socket, "--exec", "echo up; while :; do date +%s; sleep 0.1; done",
      "--timeout", `${timeLimit(300)}`], { stdio: ["ignore", "pipe", "inherit"] });
    run.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    await eventually(() => output.startsWith("up\n"));
  });
  after(async () => {
    if (run.exitCode === null) {
      run.kill("SIGTERM");
      await new Promise((resolve) => run.once("close", resolve));
    }
    await rm(folder, { recursive: true });
  });

  /** The guest has written more since now. */
  const goesOn = async () => {
    const { length } = output;
    await eventually(() => output.length > length);
  };

  test("memory show draws the blocks, and its numbers add up", async () => {
    const { stdout } = await ctl("memory", "show");
    assert.match(stdout, /^block {2}state {3}map .*\n +16 {2}online {2}[#=!.]{32} /);
    const map = await result("memory", "show");
    for (const { framesTotal, present, shared, pinned, free } of map.blocks) assert.equal(present + shared + pinned + free, framesTotal);
    for (const { pageCount, present, shared, swapped, absent } of map.slots) assert.equal(present + shared + swapped + absent, pageCount);
    assert.ok(map.slots.reduce((sum, slot) => sum + slot.present, 0) > 1000);
    assert.deepEqual((await result("memory", "slots")).map(({ id }) => id), map.slots.map(({ id }) => id));
  });

  test("pages move, one or all, and the guest goes on", async () => {
    assert.match((await ctl("memory", "move", "0x1000")).stdout, /^moved 1 page\n$/);
    assert.ok((await result("memory", "move", "all")).moved > 1000);
    await goesOn();
  });

  test("a share of the pages is swapped out, and comes back as the guest needs it", async () => {
    const { swapped } = await result("memory", "swap", "50");
    assert.ok(swapped > 1000, `${swapped}`);
    await goesOn();
    const { pages } = await result("stats");
    assert.ok(pages.counts.pagesSwappedOut >= swapped && pages.counts.pagesSwappedIn > 0);
  });

  test("equal pages come to share frames", async () => {
    const { scanned, merged, framesFreed } = await result("memory", "merge");
    assert.ok(scanned > merged && merged > framesFreed && framesFreed > 0, `${scanned} ${merged} ${framesFreed}`);
    assert.ok((await result("memory", "show")).slots.some(({ shared }) => shared > 0));
    await goesOn();
  });

  test("a block goes offline and comes online again; what cannot be is refused with the reason", async () => {
    const inUse = (await result("memory", "show")).blocks.find(({ present }) => present > 0).index;
    const { stdout } = await ctl("memory", "offline", `${inUse}`);
    assert.match(stdout, /^offline; \d+ frames moved\n$/);
    const block = (await result("memory", "show")).blocks.find(({ index }) => index === inUse);
    assert.deepEqual([block.state, block.free], ["offline", block.framesTotal]);
    assert.match((await ctl("memory", "show")).stdout, new RegExp(`${inUse} {2}offline {2}-{32} `));
    const again = await ctl("memory", "offline", `${inUse}`);
    assert.deepEqual([again.status, again.stdout], [1, ""]);
    assert.match(again.stderr, /^unpinned: memory offline: refused: [^\n]*offline already[^\n]*\n$/);
    const asJson = await ctl("memory", "offline", "--json", `${inUse}`);
    assert.equal(asJson.status, 1);
    assert.equal(JSON.parse(asJson.stdout).reason, "offline-already");
    assert.equal((await ctl("memory", "online", `0x${inUse.toString(16)}`)).stdout, "online\n");
    assert.equal((await ctl("memory", "online", `${inUse}`)).status, 1);
    assert.match((await ctl("memory", "offline", "200")).stderr, /refused: there is no block 200/);
    await goesOn();
  });

  test("a paused guest says nothing, and goes on when it is resumed", async () => {
    assert.equal((await ctl("pause")).stdout, "paused\n");
    const [{ mode, requests, instructions }] = await result("vcpu", "show");
    // It may have been caught asleep.
    assert.ok(["outside", "halted"].includes(mode) && requests.includes("pause"), `${mode} ${requests}`);
    // What it wrote before is on its way still.
    await wait(200);
    const { length } = output;
    assert.ok((await result("memory", "move", "all")).moved > 1000);
    await wait(500);
    assert.equal(output.length, length);
    assert.equal((await result("vcpu", "show"))[0].instructions, instructions);
    assert.equal((await ctl("resume")).stdout, "running\n");
    await goesOn();
  });

  test("a storm comes and goes", async () => {
    assert.equal((await result("storm", "1000")).rate, 1000);
    await eventually(async () => (await result("stats")).storm.moves > 500);
    await goesOn();
    const { rate, moves } = await result("storm", "off");
    assert.equal(rate, 0);
    await goesOn();
    assert.equal((await result("stats")).storm.moves, moves);
    assert.match((await ctl("stats")).stdout, new RegExp(`\nstorm moves +${moves}, \\d+ a second\n`));
  });

  test("help lists the commands; wrong words are one line and status 2", async () => {
    assert.match((await ctl("help")).stdout, /^memory show .*\n[^]*\nmemory offline BLOCK .*\n[^]*\nhelp .*\n$/);
    // One of each kind: no such command, a word or an argument too few, wrong or too much, nothing at all. The others are those of parse.test.ts.
    for (const words of [["jump"], ["memory"], ["memory", "swap", "101"], ["pause", "now"], []]) {
      const { status, stdout, stderr } = await ctl(...words);
      assert.deepEqual([status, stdout], [2, ""], words.join(" "));
      assert.match(stderr, /^unpinned: [^\n]+\n$/);
    }
  });

  test("two clients are served at once, one of them in the language of the socket", async () => {
    const client = createConnection(socket);
    const answers = createInterface(client)[Symbol.asyncIterator]();
    client.write('{"id":1,"command":["memory","move","all"]}\nnonsense\n{"id":2,"command":["vcpu","show"]}\n');
    const [stats] = await Promise.all([result("stats"), result("memory", "merge"), result("memory", "move", "all")]);
    assert.ok(stats.uptimeMs > 0);
    const received = [];
    for (let n = 0; n < 3; n++) received.push(JSON.parse((await answers.next()).value));
    assert.deepEqual(received.map(({ id, ok }) => [id, ok]), [[1, true], [null, false], [2, true]]);
    client.destroy();
  });

  test("a second program does not take the socket away", async () => {
    const second = await unpinned("run", "--control", socket, "--exec", "true");
    assert.deepEqual(second, { status: 2, stdout: "", stderr: `unpinned: ${socket}: another virtual machine listens there\n` });
    await result("stats");
  });

  test("the end of the program ends its clients and takes the socket with it", async () => {
    run.kill("SIGTERM");
    await new Promise((resolve) => run.once("close", resolve));
    assert.equal(existsSync(socket), false);
    assert.deepEqual(await ctl("stats"), { status: 1, stdout: "", stderr: `unpinned: ${socket}: no such file or folder\n` });
  });
});

test("a guest in a storm from its first instruction on computes what it should", async () => {
  const vm = await bootGuest({ storm: 1000, stormSeed: 7 });
  try {
    assert.equal(await askGuest(vm, sumCommand(4)), rightSum(4));
    const { storm, pages, uptimeMs } = vm.stats();
    assert.equal(storm.seed, 7);
    assert.ok(storm.moves > 500 && storm.moves <= uptimeMs, `${storm.moves} moves in ${uptimeMs} ms`);
    assert.ok(pages.counts.framesMoved >= storm.moves);
    assert.ok(pages.users.shared_info.revocations > 0 && pages.users.vcpu_info.refreshes > 1);
  } finally {
    await vm.dispose();
  }
});

test("--storm and --json tell of the storm", async () => {
  const { status, stdout } = await unpinned("run", ...tierWords, "--storm", "max", "--exec", "echo right", "--json", "--timeout", `${timeLimit(120)}`);
  const [first, last] = stdout.trimEnd().split("\n");
  assert.deepEqual([status, first], [0, "right"]);
  const { storm, pages } = JSON.parse(last);
  assert.equal(storm.rate, "max");
  assert.ok(storm.moves > 1000 && pages.counts.framesMoved >= storm.moves, `${storm.moves}`);
});

test("a guest that finds no memory waits, is told of, and goes on when there is some", { timeout: timeLimit(180_000) }, async () => {
  const told = [];
  const vm = await bootGuest({ memoryBytes: 128 * MIB, swapBytes: 4096, onStall: (reason) => told.push(reason) });
  try {
    const offline = [];
    for (const { index } of (await vm.memory.show()).blocks) {
      if ((await vm.memory.offline(index)).result === "offline") offline.push(index);
    }
    assert.ok(offline.length > 2, `${offline}`);
    const sum = askGuest(vm, `head -c ${40 * MIB} /dev/zero >/tmp/zero; wc -c </tmp/zero; ${sumCommand(4)}`);
    await eventually(() => told.length > 0);
    assert.match(told[0], /swap file/);
    assert.equal(vm.stats().memory.stall, told[0]);
    for (const index of offline) assert.deepEqual(await vm.memory.online(index), { result: "online" });
    assert.equal(await sum, `${40 * MIB}\n${rightSum(4)}`);
    await eventually(() => told.length > 1);
    assert.deepEqual(told.slice(1), [undefined]);
  } finally {
    await vm.dispose();
  }
});

test("a stalled guest can be stopped, and nothing is left of it", { timeout: timeLimit(120_000) }, async () => {
  const descriptors = async () => (existsSync("/proc/self/fd") ? (await readdir("/proc/self/fd")).length : 0);
  const open = await descriptors();
  const told = [];
  const { VirtualMachine } = await import("../../../dist/machine/index.js");
  const vm = await VirtualMachine.create({ mode: "exec", ...tierOptions, memoryLimitBytes: 48 * MIB, swapBytes: 4 * MIB, onStall: (reason) => told.push(reason) });
  await eventually(() => told.length > 0);
  await vm.dispose();
  assert.equal((await vm.ended).reason, "stopped");
  await assert.rejects(vm.memory.show(), { code: "ERR_GUEST_ENDED" });
  assert.deepEqual(vm.vcpus(), []);
  await eventually(async () => (await descriptors()) <= open);
});

test("a limit and a swap file without room for what is booted are refused", async () => {
  const { status, stdout, stderr } = await unpinned("run", "--memory-limit", "16M", "--swap-size", "4K", "--exec", "true");
  assert.deepEqual([status, stdout], [2, ""]);
  assert.match(stderr, /^unpinned: the memory limit and the swap file have no room for what is booted: the swap file is full[^\n]*\n$/);
});
