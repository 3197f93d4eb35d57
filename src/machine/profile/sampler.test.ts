import assert from "node:assert/strict";
import { test } from "node:test";
import { SEGMENT_GS, VCPU, VCPU_AREA_BASE } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/index.js";
import { VcpuSampler } from "./sampler.js";
import { SampleList } from "./samples.js";

const GS = 0xffff_8880_0f60_0000n;
const CURRENT = 0x1fb80n;
const TASK = 0xffff_8880_0123_4000n;
const COMM = 0xb40;
const WORDS_OF_PAGE = 0x1_0000;
/** The instructions that are "executed" between looks. */
const PERIOD = 1000;

/** A vCPU in the kernel, whose task is `comm`; `run` has it execute so many instructions and stop at `rip`. */
function makeVcpu(comm: string) {
  const pages = VCPU_AREA_BASE / WORDS_OF_PAGE + 1;
  const state = new VcpuState(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), 0);
  state.reset();
  state.setSegmentBase(SEGMENT_GS, GS);
  const memory = new Map([[GS + CURRENT, bytesOf(TASK)], [TASK + BigInt(COMM), new TextEncoder().encode(comm.padEnd(16, "\0"))]]);
  const sampler = new VcpuSampler({
    state, random: () => 0.5, periodInstructions: PERIOD, samplesMax: 4,
    tasks: { currentOffset: CURRENT, commOffset: COMM },
    linear: { read: (gva, lengthBytes) => memory.get(gva)?.slice(0, lengthBytes) },
  });
  const run = (rip: bigint, cpl: number): number => {
    const budget = sampler.beforeRun(600);
    state.writeU64(VCPU.instructionsRetired, BigInt(state.instructionsRetired + budget));
    state.writeU32(VCPU.cpl, cpl);
    state.rip = rip;
    return budget;
  };
  return { state, sampler, run };
}

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(index * 8)) & 0xffn));
}

test("a sample is taken at the instruction that is due, and stands for those since the last", () => {
  const { state, sampler, run } = makeVcpu("sha256sum");
  state.writeU64(VCPU.lstar, 0x1234n);
  assert.deepEqual([run(0x10n, 0), state.readU32(VCPU.exactBudget)], [600, 0]);
  assert.deepEqual([run(0xffff_ffff_8100_1234n, 0), state.readU32(VCPU.exactBudget)], [400, 1]);
  assert.equal(run(0x20n, 0), 600);
  assert.deepEqual(sampler.result(), {
    codes: [{ isKernel: true, task: "sha256sum", rip: 0xffff_ffff_8100_1234n }], samples: Uint32Array.of(0), weights: Float64Array.of(1000), syscallEntry: 0x1234n,
  });
});

test("code of user space is told by its page, and its task found behind SWAPGS", () => {
  const { state, sampler, run } = makeVcpu("sh");
  state.setSegmentBase(SEGMENT_GS, 0x7f00_0000_1000n);
  state.writeU64(VCPU.kernelGsBase, GS);
  for (const rip of [1n, 0x40_1234n, 3n]) run(rip, 3);
  assert.deepEqual(sampler.result().codes, [{ isKernel: false, task: "sh", rip: 0x40_1000n }]);
});

test("without a kernel's GS base, or where it leads nowhere, there is no task", () => {
  for (const base of [0n, GS + 8n]) {
    const { state, sampler, run } = makeVcpu("sh");
    state.setSegmentBase(SEGMENT_GS, base);
    for (const rip of [1n, 2n, 3n]) run(rip, 0);
    assert.deepEqual(sampler.result().codes, [{ isKernel: true, task: "", rip: 2n }]);
  }
});

test("an exception that is to be raised comes before the sample", () => {
  const { state, sampler, run } = makeVcpu("sh");
  for (const rip of [1n, 2n]) run(rip, 0);
  state.injectException(13, 0);
  assert.equal(run(3n, 0), 1);
  assert.equal(sampler.result().samples.length, 0);
  state.writeU32(VCPU.exceptionVector, 0xffff_ffff);
  run(4n, 0);
  assert.deepEqual(sampler.result().weights, Float64Array.of(1001));
});

test("when the list is full, the period doubles and no instruction is lost", () => {
  const { sampler, run } = makeVcpu("sh");
  let done = 0;
  while (sampler.result().samples.length < 4) done += run(BigInt(done), 0);
  const retired = 4 * PERIOD;
  while (sampler.result().samples.length !== 3) run(7n, 0);
  const { weights } = sampler.result();
  assert.deepEqual(weights, Float64Array.of(2 * PERIOD, 2 * PERIOD, PERIOD));
  while (sampler.result().samples.length !== 4) run(7n, 0);
  assert.equal(sampler.result().weights[3], 2 * PERIOD);
  assert.ok(done >= retired);
});

test("thinning keeps each code's share of the weight, about", () => {
  let seed = 1;
  // Numerical Recipes' generator: the same numbers each time.
  const list = new SampleList(256, () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32);
  const [a, b] = [1n, 2n].map((rip) => ({ isKernel: true, task: "", rip })) as [{ isKernel: boolean; task: string; rip: bigint }, { isKernel: boolean; task: string; rip: bigint }];
  for (let index = 0; index < 1000; index++) list.add(index % 2 === 0 ? a : b, 10);
  const { samples, weights } = list.result(0n);
  const of = (code: number): number => weights.reduce((sum, weight, index) => sum + (samples[index] === code ? weight : 0), 0);
  assert.equal(of(0) + of(1), 10_000);
  assert.ok(Math.abs(of(0) - of(1)) <= 1500, `${of(0)} and ${of(1)}`);
});
