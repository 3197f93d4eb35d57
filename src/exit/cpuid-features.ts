/**
 * The processor features offered to the guest, one line each: what CPUID says, the support tables of the documentation
 * and the tests are derived from this list. Bit positions: Intel SDM vol 2 CPUID, AMD APM vol 3 appendix E.
 */

/** A register of a CPUID answer. */
export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** One feature bit that is set. */
export interface CpuFeature {
  /** Name as Linux's /proc/cpuinfo spells it. */
  readonly name: string;
  readonly leaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
}

const BASIC = 1;
const STRUCTURED = 7;
const EXTENDED = 0x8000_0001;

function feature(name: string, leaf: number, register: CpuidRegister, bit: number): CpuFeature {
  return { name, leaf, register, bit };
}

/** Every feature bit that CPUID reports under every personality, all leaves with sub-leaf 0. */
export const CPU_FEATURES: readonly CpuFeature[] = [
  feature("fpu", BASIC, "edx", 0),
  feature("pse", BASIC, "edx", 3),
  feature("tsc", BASIC, "edx", 4),
  feature("msr", BASIC, "edx", 5),
  feature("pae", BASIC, "edx", 6),
  feature("cx8", BASIC, "edx", 8),
  feature("apic", BASIC, "edx", 9),
  feature("sep", BASIC, "edx", 11),
  feature("pge", BASIC, "edx", 13),
  feature("cmov", BASIC, "edx", 15),
  feature("mmx", BASIC, "edx", 23),
  feature("fxsr", BASIC, "edx", 24),
  feature("sse", BASIC, "edx", 25),
  feature("sse2", BASIC, "edx", 26),
  feature("pni", BASIC, "ecx", 0),
  feature("ssse3", BASIC, "ecx", 9),
  feature("cx16", BASIC, "ecx", 13),
  feature("sse4_1", BASIC, "ecx", 19),
  feature("sse4_2", BASIC, "ecx", 20),
  feature("x2apic", BASIC, "ecx", 21),
  feature("movbe", BASIC, "ecx", 22),
  feature("popcnt", BASIC, "ecx", 23),
  feature("rdrand", BASIC, "ecx", 30),
  feature("hypervisor", BASIC, "ecx", 31),
  feature("fsgsbase", STRUCTURED, "ebx", 0),
  feature("smep", STRUCTURED, "ebx", 7),
  feature("erms", STRUCTURED, "ebx", 9),
  feature("smap", STRUCTURED, "ebx", 20),
  feature("fsrm", STRUCTURED, "edx", 4),
  feature("serialize", STRUCTURED, "edx", 14),
  feature("syscall", EXTENDED, "edx", 11),
  feature("nx", EXTENDED, "edx", 20),
  feature("pdpe1gb", EXTENDED, "edx", 26),
  feature("rdtscp", EXTENDED, "edx", 27),
  feature("lm", EXTENDED, "edx", 29),
  feature("lahf_lm", EXTENDED, "ecx", 0),
];

/** Bits of leaf 1 EDX that AMD processors repeat in leaf 0x80000001 EDX. */
export const AMD_REPEATED_BITS = 0x0183_f3ff;

/** The feature bits of one register of one leaf, as an unsigned 32-bit number; `more` are features besides CPU_FEATURES. */
export function featureBits(leaf: number, register: CpuidRegister, more: readonly CpuFeature[] = []): number {
  return [...CPU_FEATURES, ...more].filter((one) => one.leaf === leaf && one.register === register)
    .reduce((bits, one) => (bits | (1 << one.bit)) >>> 0, 0);
}
