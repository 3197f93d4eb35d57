import assert from "node:assert/strict";
import { test } from "node:test";
import { CPU_FEATURES } from "./cpuid-features.js";
import { cpuid, CPUID_TABLE } from "./cpuid-table.js";
import { XEN_PERSONALITY } from "./xen-personality.js";

const caller = { vcpuIndex: 2, vcpuCount: 4, personality: XEN_PERSONALITY };

function text(...words: number[]): string {
  return words.map((word) => String.fromCharCode(word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, word >>> 24)).join("");
}

function bit(leaf: number, register: 0 | 1 | 2 | 3, position: number): boolean {
  return ((cpuid(leaf, 0, caller)[register] >>> position) & 1) === 1;
}

test("the vendor is AuthenticAMD in both leaves that name it", () => {
  for (const leaf of [0, 0x8000_0000]) {
    const [, ebx, ecx, edx] = cpuid(leaf, 0, caller);
    assert.equal(text(ebx, edx, ecx), "AuthenticAMD");
  }
});

test("the last leaves are those of the table", () => {
  assert.equal(cpuid(0, 0, caller)[0], 7);
  assert.equal(cpuid(0x8000_0000, 0, caller)[0], 0x8000_0008);
  const [last, ebx, ecx, edx] = cpuid(0x4000_0000, 0, caller);
  assert.equal(last, 0x4000_0004);
  assert.equal(text(ebx, ecx, edx), "XenVMMXenVMM");
});

test("everything of x86-64-v2 is offered", () => {
  const names = new Set(CPU_FEATURES.map((feature) => feature.name));
  for (const name of [
    "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2", "cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3",
  ]) {
    assert.ok(names.has(name), name);
  }
});

test("what the processor does not have is not offered", () => {
  const absent: [string, number, 0 | 1 | 2 | 3, number][] = [
    ["MONITOR", 1, 2, 3], ["FMA", 1, 2, 12], ["PCID", 1, 2, 17], ["XSAVE", 1, 2, 26], ["OSXSAVE", 1, 2, 27],
    ["AVX", 1, 2, 28], ["DE", 1, 3, 2], ["MCE", 1, 3, 7], ["MTRR", 1, 3, 12], ["MCA", 1, 3, 14], ["PAT", 1, 3, 16], ["HTT", 1, 3, 28],
    ["BMI1", 7, 1, 3], ["AVX2", 7, 1, 5], ["UMIP", 7, 2, 2],
    ["SVM", 0x8000_0001, 2, 2], ["MMXEXT", 0x8000_0001, 3, 22], ["FFXSR", 0x8000_0001, 3, 25],
  ];
  for (const [name, leaf, register, position] of absent) assert.equal(bit(leaf, register, position), false, name);
});

test("each feature of the list is set in the leaf, register and bit it names", () => {
  const registers = ["eax", "ebx", "ecx", "edx"] as const;
  for (const { name, leaf, register, bit: position } of CPU_FEATURES) {
    assert.ok(bit(leaf, registers.indexOf(register) as 0 | 1 | 2 | 3, position), name);
  }
});

test("leaf 1 names the vCPU's APIC id, and Xen's leaf 4 the vCPU", () => {
  assert.equal(cpuid(1, 0, caller)[1] >>> 24, 2);
  const [eax, ebx] = cpuid(0x4000_0004, 0, caller);
  assert.equal(eax & 0x18, 0x18);
  assert.equal(ebx, 2);
  assert.equal(eax & 0x40, 0, "no per-vCPU upcall vector");
});

test("leaves and sub-leaves that are not listed answer zeros", () => {
  for (const leaf of [2, 4, 6, 8, 0xd, 0x4000_0100, 0x4000_ff00, 0x8000_0009, 0x8000_001e, 0xffff_ffff]) {
    assert.deepEqual(cpuid(leaf, 0, caller), [0, 0, 0, 0], leaf.toString(16));
  }
  assert.deepEqual(cpuid(7, 1, caller), [0, 0, 0, 0]);
  assert.deepEqual(cpuid(0x4000_0003, 1, caller), [0, 0, 0, 0]);
});

test("every answer is four unsigned 32-bit numbers, and no leaf is listed twice", () => {
  const seen = new Set<string>();
  for (const { leaf, subleaf, answer } of CPUID_TABLE) {
    for (const value of answer(caller)) assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, leaf.toString(16));
    assert.ok(!seen.has(`${leaf}.${subleaf}`));
    seen.add(`${leaf}.${subleaf}`);
  }
});

test("the brand string is the 48 bytes of leaves 0x80000002 to 0x80000004", () => {
  const words = [2, 3, 4].flatMap((n) => [...cpuid(0x8000_0000 + n, 0, caller)]);
  assert.match(text(...words), /^Unpinned virtual x86-64 processor\0+$/);
});
