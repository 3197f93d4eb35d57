/**
 * What CPUID answers: a family 6 AMD processor (the guest then uses VMMCALL, and touches few model-specific registers) and
 * the leaves of the personality. Leaves that are not listed answer zeros, as on AMD processors.
 */
import { AMD_REPEATED_BITS, featureBits } from "./cpuid-features.js";
import type { Personality } from "./personality.js";

/** EAX, EBX, ECX, EDX, each an unsigned 32-bit number. */
export type CpuidAnswer = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** What an answer may depend on. */
export interface CpuidCaller {
  readonly vcpuIndex: number;
  readonly vcpuCount: number;
  readonly personality: Personality;
}

/** One leaf of the table. */
export interface CpuidLeaf {
  readonly leaf: number;
  /** undefined: the leaf does not look at ECX. */
  readonly subleaf?: number;
  readonly says: string;
  readonly answer: (caller: CpuidCaller) => CpuidAnswer;
}

const ZEROS: CpuidAnswer = [0, 0, 0, 0];
const LAST_BASIC_LEAF = 7;
const FIRST_EXTENDED_LEAF = 0x8000_0000;
const LAST_EXTENDED_LEAF = 0x8000_0008;
/** "AuthenticAMD" in the order EBX, ECX, EDX. */
const VENDOR = [0x6874_7541, 0x444d_4163, 0x6974_6e65] as const;
/** Family 6, model 6, stepping 3. */
const SIGNATURE = 0x663;
const CACHE_LINE_QUADWORDS = 8;
const BRAND = "Unpinned virtual x86-64 processor";
/** Frequency of the TSC, in kHz. */
export const TSC_KHZ = 1_000_000;

/** Every leaf that answers anything but zeros, apart from the personality's. */
export const CPUID_TABLE: readonly CpuidLeaf[] = [
  { leaf: 0, says: "last basic leaf, vendor", answer: () => [LAST_BASIC_LEAF, VENDOR[0], VENDOR[1], VENDOR[2]] },
  { leaf: 1, says: "signature, APIC id, features", answer: answerFeatures },
  { leaf: 6, says: "thermal and power features", answer: (caller) => [featureBits(6, "eax", caller.personality.features), 0, 0, 0] },
  {
    leaf: 7, subleaf: 0, says: "structured features",
    answer: () => [0, featureBits(7, "ebx"), featureBits(7, "ecx"), featureBits(7, "edx")],
  },
  {
    leaf: FIRST_EXTENDED_LEAF, says: "last extended leaf, vendor",
    answer: () => [LAST_EXTENDED_LEAF, VENDOR[0], VENDOR[1], VENDOR[2]],
  },
  { leaf: FIRST_EXTENDED_LEAF + 1, says: "extended features", answer: answerExtendedFeatures },
  { leaf: FIRST_EXTENDED_LEAF + 2, says: "brand string, bytes 0..15", answer: () => brandPart(0) },
  { leaf: FIRST_EXTENDED_LEAF + 3, says: "brand string, bytes 16..31", answer: () => brandPart(16) },
  { leaf: FIRST_EXTENDED_LEAF + 4, says: "brand string, bytes 32..47", answer: () => brandPart(32) },
  // C libraries size their copy loops by these: 64 KiB two-way first level caches, 512 KiB 16-way second level.
  { leaf: FIRST_EXTENDED_LEAF + 5, says: "first level caches", answer: () => [0, 0, 0x4002_0140, 0x4002_0140] },
  { leaf: FIRST_EXTENDED_LEAF + 6, says: "second level cache", answer: () => [0, 0, 0x0200_8140, 0] },
  { leaf: FIRST_EXTENDED_LEAF + 7, says: "power management features", answer: answerPowerFeatures },
  { leaf: FIRST_EXTENDED_LEAF + 8, says: "40 physical, 48 linear address bits", answer: () => [0x3028, 0, 0, 0] },
];

/** What CPUID with EAX = `leaf` and ECX = `subleaf` answers on the vCPU `caller`. */
export function cpuid(leaf: number, subleaf: number, caller: CpuidCaller): CpuidAnswer {
  const isAsked = (one: CpuidLeaf): boolean => one.leaf === leaf && (one.subleaf ?? subleaf) === subleaf;
  const entry = CPUID_TABLE.find(isAsked) ?? caller.personality.leaves.find(isAsked);
  return entry === undefined ? ZEROS : entry.answer(caller);
}

function answerFeatures(caller: CpuidCaller): CpuidAnswer {
  const ebx = ((caller.vcpuIndex << 24) | (CACHE_LINE_QUADWORDS << 8)) >>> 0;
  const { features } = caller.personality;
  return [SIGNATURE, ebx, featureBits(1, "ecx", features), featureBits(1, "edx", features)];
}

function answerPowerFeatures({ personality }: CpuidCaller): CpuidAnswer {
  return [0, 0, 0, featureBits(0x8000_0007, "edx", personality.features)];
}

function answerExtendedFeatures(): CpuidAnswer {
  const repeated = featureBits(1, "edx") & AMD_REPEATED_BITS;
  const edx = (featureBits(0x8000_0001, "edx") | repeated) >>> 0;
  return [SIGNATURE, 0, featureBits(0x8000_0001, "ecx"), edx];
}

function brandPart(offset: number): CpuidAnswer {
  const word = (at: number): number => {
    let value = 0;
    for (let i = 3; i >= 0; i--) value = ((value << 8) | (BRAND.charCodeAt(offset + at + i) || 0)) >>> 0;
    return value;
  };
  return [word(0), word(4), word(8), word(12)];
}
