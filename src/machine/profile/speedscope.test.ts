import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProfiledKernel } from "./profiled-kernel.js";
import type { SampledCode, VcpuSamples } from "./samples.js";
import { type SpeedscopeFile, speedscopeFile } from "./speedscope.js";
import { parseSystemMap, SymbolTable } from "./symbol-table.js";

const SYSCALL = 0xffff_ffff_8110_0000n;
const KERNEL: ProfiledKernel = {
  symbols: new SymbolTable(parseSystemMap("ffffffff81000000 T startup_64\nffffffff81100000 T entry_SYSCALL_64\nffffffff81100200 t copy\n")!),
  segments: [{ gpa: 0x100_0000, linkedAddress: 0xffff_ffff_8100_0000n, bytes: new Uint8Array(16), memoryBytes: 0x20_0000 }],
  tasks: undefined,
};

const kernel = (rip: bigint, task = "cat"): SampledCode => ({ isKernel: true, task, rip });
const samplesOf = (codes: readonly SampledCode[], syscallEntry = SYSCALL, samples = codes.map((_, index) => index)): VcpuSamples =>
  ({ codes, samples: Uint32Array.from(samples), weights: Float64Array.from(samples, (_, index) => 100 + index), syscallEntry });

/** The stacks of a file's profile, as names. */
const stacks = ({ shared, profiles }: SpeedscopeFile, profile = 0): string[] =>
  profiles[profile]!.samples.map((stack) => stack.map((index) => shared.frames[index]!.name).join(" > "));

test("a file has what the schema of speedscope asks for, and a profile for each vCPU that left samples", () => {
  const file = speedscopeFile([samplesOf([kernel(SYSCALL), kernel(SYSCALL + 0x201n)], SYSCALL, [0, 1, 1]), undefined, samplesOf([])], KERNEL);
  // https://www.speedscope.app/file-format-schema.json: required members, and those of FileFormat.SampledProfile.
  assert.equal(file.$schema, "https://www.speedscope.app/file-format-schema.json");
  assert.deepEqual(Object.keys(file).sort(), ["$schema", "activeProfileIndex", "exporter", "name", "profiles", "shared"]);
  assert.deepEqual(file.shared.frames, [{ name: "kernel" }, { name: "cat" }, { name: "entry_SYSCALL_64", file: "kernel" }, { name: "copy", file: "kernel" }]);
  assert.deepEqual(file.profiles, [
    { type: "sampled", name: "vCPU 0", unit: "none", startValue: 0, endValue: 303, samples: [[0, 1, 2], [0, 1, 3], [0, 1, 3]], weights: [100, 101, 102] },
    { type: "sampled", name: "vCPU 2", unit: "none", startValue: 0, endValue: 0, samples: [], weights: [] },
  ]);
  assert.deepEqual(JSON.parse(JSON.stringify(file)), file);
});

test("kernel and user are apart, and a task that is not told is said to be none", () => {
  const file = speedscopeFile([samplesOf([kernel(SYSCALL, ""), { isKernel: false, task: "sh", rip: 0x40_1000n }])], KERNEL);
  assert.deepEqual(stacks(file), ["kernel > (no task) > entry_SYSCALL_64", "user > sh > 0x401000"]);
});

test("a kernel that KASLR has shifted is named by where SYSCALL leads", () => {
  const shift = 0x1240_0000n;
  const file = speedscopeFile([samplesOf([kernel(SYSCALL + shift + 0x300n)], SYSCALL + shift)], KERNEL);
  assert.deepEqual(stacks(file), ["kernel > cat > copy"]);
});

test("an entry that is none of this kernel's shifts nothing, nor does one that is not set yet", () => {
  for (const entry of [0n, SYSCALL + 0x1000n, 0xffff_ffff_f000_0000n]) {
    assert.deepEqual(stacks(speedscopeFile([samplesOf([kernel(SYSCALL + 0x300n)], entry)], KERNEL)), ["kernel > cat > copy"], entry.toString(16));
  }
});

test("code at physical addresses, before the kernel's page tables, has its names", () => {
  assert.deepEqual(stacks(speedscopeFile([samplesOf([kernel(0x110_0204n, "")], SYSCALL + (1n << 22n))], KERNEL)), ["kernel > (no task) > copy"]);
});

test("code of modules is told by its page", () => {
  assert.deepEqual(stacks(speedscopeFile([samplesOf([kernel(0xffff_ffff_c012_3456n)])], KERNEL)), ["kernel > cat > 0xffffffffc0123000"]);
});
