import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTROL_COMMANDS } from "../machine/control/index.js";
import { parseArguments, parseMemory, parseVcpus } from "./arguments.js";
import { STATUS_TABLE } from "./exit-status.js";
import { parseStorm } from "./memory-arguments.js";

const parse = (...args: string[]): unknown => parseArguments(args, "1.2.3");

test("every option arrives", () => {
  assert.deepEqual(
    parse("run", "--kernel", "k", "--append", "a b", "--memory", "1G", "--vcpus", "2", "--personality", "kvm", "--tier", "interpreter", "--exec", "true", "--timeout", "1.5",
      "--json", "--verbose"),
    { run: { kernel: "k", append: "a b", memoryBytes: 2 ** 30, vcpus: 2, personality: "kvm", tier: "interpreter", exec: "true", timeoutMs: 1500, json: true, verbose: true } });
  assert.deepEqual(parse("run"), { run: { memoryBytes: 2 ** 28, vcpus: 1, personality: "xen", tier: "both", json: false, verbose: false } });
  assert.deepEqual(parse("run", "--append", "-x --y", "--initrd=i"), {
    run: { append: "-x --y", initrd: "i", memoryBytes: 2 ** 28, vcpus: 1, personality: "xen", tier: "both", json: false, verbose: false },
  });
});

test("the options about memory arrive", () => {
  const { run } = parse("run", "--memory", "128M", "--memory-limit", "64M", "--swap", "/s", "--swap-size", "1G", "--storm", "1000", "--storm-seed", "7",
    "--page-access", "pinned", "--control", "/c") as { run: object };
  assert.deepEqual(run, {
    memoryBytes: 2 ** 27, memoryLimitBytes: 2 ** 26, swapFile: "/s", swapBytes: 2 ** 30, storm: 1000, stormSeed: 7, pageAccess: "pinned", control: "/c",
    vcpus: 1, personality: "xen", tier: "both", json: false, verbose: false,
  });
  assert.equal(parseStorm("max"), "max");
  assert.equal(parseStorm("0"), 0);
});

test("where gdb connects arrives, and whether the guest waits for it", () => {
  const { run } = parse("run", "--gdb", ":1234", "--gdb-wait") as { run: { gdb: string; gdbWait: boolean } };
  assert.deepEqual([run.gdb, run.gdbWait], [":1234", true]);
  assert.throws(() => parse("run", "--gdb-wait"), { code: "ERR_USAGE" });
});

test("a command for a running guest arrives with its words, --json anywhere", () => {
  assert.deepEqual(parse("ctl", "/c", "memory", "move", "all"), { ctl: { socket: "/c", words: ["memory", "move", "all"], json: false } });
  assert.deepEqual(parse("ctl", "/c", "--json", "stats"), parse("ctl", "/c", "stats", "--json"));
  assert.deepEqual(parse("ctl", "/c"), { ctl: { socket: "/c", words: [], json: false } });
  const { text } = parse("ctl", "--help") as { text: string };
  for (const { words } of CONTROL_COMMANDS) assert.ok(text.includes(`\n  ${words}`), words);
});

test("the options about the profile arrive", () => {
  const { run } = parse("run", "--profile", "p.json", "--system-map", "m") as { run: object };
  assert.deepEqual(run, {
    profile: true, profileFile: "p.json", systemMap: "m", memoryBytes: 2 ** 28, vcpus: 1, personality: "xen", tier: "both", json: false, verbose: false,
  });
  assert.throws(() => parse("run", "--system-map", "m"), { message: "--system-map goes with --profile" });
  assert.throws(() => parse("run", "--profile", ""), { message: "--profile needs a file" });
});

test("where unpacked kernels are kept arrives, and that they are not to be", () => {
  const cacheOf = (...args: string[]) => (parse("run", ...args) as { run: { cache?: unknown } }).run.cache;
  assert.deepEqual(cacheOf("--cache", "c"), { directory: "c" });
  assert.equal(cacheOf("--no-cache"), false);
  assert.equal(cacheOf(), undefined);
  assert.throws(() => cacheOf("--cache", ""), { message: "--cache needs the path of a folder" });
});

test("--lock-step is a whole number from 1", () => {
  assert.equal((parse("run", "--lock-step", "50") as { run: { lockStep?: number } }).run.lockStep, 50);
  assert.throws(() => parse("run", "--lock-step", "0"), { message: /--lock-step/ });
  assert.throws(() => parse("run", "--lock-step", "often"), { message: /--lock-step/ });
});

test("a tier is one of three", () => {
  assert.throws(() => parse("run", "--tier", "fast"), { message: '--tier: "fast" is none of both, interpreter, translator' });
});

test("the number of vCPUs is a whole number from 1 to 8", () => {
  assert.equal(parseVcpus("8", "x64"), 8);
  for (const text of ["", "0", "9", "-1", "1.5", "two", "1e0"]) {
    assert.throws(() => parseVcpus(text), { code: "ERR_USAGE" }, text);
  }
});

test("only hosts with x86's memory order give a guest more than one vCPU", () => {
  for (const architecture of ["x64", "ia32"]) assert.equal(parseVcpus("2", architecture), 2);
  for (const architecture of ["arm64", "riscv64"]) {
    assert.equal(parseVcpus("1", architecture), 1);
    assert.throws(() => parseVcpus("2", architecture), { code: "ERR_USAGE", message: new RegExp(architecture) });
  }
});

test("sizes have K, M or G, and lie between 64M and 3G", () => {
  assert.equal(parseMemory("65536K"), 2 ** 26);
  assert.equal(parseMemory("3g"), 3 * 2 ** 30);
  assert.equal(parseMemory("1.5G"), 1.5 * 2 ** 30);
  assert.equal(parseMemory("268435456"), 2 ** 28);
  for (const text of ["", "M", "12X", "-1G", "1e9", "63M", "3073M", "4G", "64.5", "0x100M"]) {
    assert.throws(() => parseMemory(text), { code: "ERR_USAGE" }, text);
  }
});

test("wrong use is one line", () => {
  for (const args of [
    [], ["jump"], ["run", "--unknown"], ["run", "extra"], ["run", "--kernel"], ["run", "--timeout", "0"], ["run", "--timeout", "soon"],
    ["run", "--exec", " "], ["run", "--exec", "true", "--initrd", "i"], ["run", "--memory", "5T"], ["run", "--personality", "hyperv"], ["--unknown"],
    ["run", "--memory-limit", "256M"], ["run", "--memory-limit", "15M"], ["run", "--memory-limit", "x"], ["run", "--swap", ""], ["run", "--swap-size", "1"],
    ["run", "--swap-size", "5G"], ["run", "--storm", "-1"], ["run", "--storm", "1.5"], ["run", "--storm", "10000001"], ["run", "--storm", "fast"],
    ["run", "--storm-seed", "4294967296"], ["run", "--page-access", "loose"], ["ctl"], ["ctl", "/c", "--unknown"],
  ]) {
    assert.throws(() => parse(...args), (error: Error & { code?: string }) => error.code === "ERR_USAGE" && !error.message.includes("\n"),
      args.join(" "));
  }
});

test("help names every option and every status", () => {
  const { text } = parseArguments(["run", "--help"], "1.2.3") as { text: string };
  for (const option of ["kernel", "initrd", "append", "memory", "exec", "timeout", "json", "verbose", "memory-limit", "swap", "swap-size",
    "storm", "storm-seed", "page-access", "control"]) assert.match(text, new RegExp(`--${option}\\b`));
  for (const { status, says } of STATUS_TABLE) assert.match(text, new RegExp(`${status}  ${says}`));
  assert.match(text, /Ctrl-A x/);
  assert.equal((parseArguments(["--version"], "1.2.3") as { text: string }).text.trim(), "1.2.3");
});
