/** What a VM tells about itself. */
import { EXIT_NAMES } from "../abi/layout.js";
import type { AddressTranslationFigures, LockStepFigures, TranslationFigures, VcpuState } from "../cpu/index.js";
import type { StormStats } from "./memory/index.js";

/** A snapshot of a VM's counters; a stopped VM keeps its last one. */
export interface MachineStats {
  /** Milliseconds since the start of the vCPUs. */
  readonly uptimeMs: number;
  /** Milliseconds from the start of the vCPUs until the default guest's init was ready; undefined before that. */
  readonly bootMs: number | undefined;
  /** Guest instructions retired, by the tier that ran them: the sum is counted, their shares are those of samples. */
  readonly instructions: Readonly<Record<"interpreter" | "translator", number>>;
  /** What the translator has done, for all vCPUs. */
  readonly translation: TranslationFigures;
  /** How often an address was not in the TLB, and what became of it, for all vCPUs. */
  readonly addressTranslation: AddressTranslationStats;
  /** What the lock-step check has compared; undefined = there is none. */
  readonly lockStep: LockStepFigures | undefined;
  readonly memory: {
    /** Size of guest memory. */
    readonly guestBytes: number;
    /** Guest pages that have a frame now, alone or shared. */
    readonly pagesTouched: number;
    /** Frames in use. */
    readonly framesInUse: number;
    readonly framesTotal: number;
    /** Most host memory for the guest's pages; undefined = no limit below the guest's size. */
    readonly limitBytes: number | undefined;
    /** Why the guest waits for memory; undefined = it does not. */
    readonly stall: string | undefined;
  };
  /** What has happened to guest pages, who noticed, and what was asked of the vCPUs for it. */
  readonly pages: PageStats;
  readonly storm: StormStats;
  /** Exits from guest mode, by reason. */
  readonly exits: Readonly<Record<string, number>>;
  /** Hypercalls, by name. */
  readonly hypercalls: Readonly<Record<string, number>>;
  readonly vcpus: readonly VcpuStats[];
}

/** Counters of address translation. What the TLB answers is not counted: that would be a count in each load and store. */
export interface AddressTranslationStats extends AddressTranslationFigures {
  /** walkReads, walkWrites and walkFetches together. */
  readonly walks: number;
  readonly walksPerMillionInstructions: number;
}

/** Counters of one vCPU. */
export interface VcpuStats {
  readonly instructions: number;
  /** Milliseconds spent in HLT. */
  readonly haltedMs: number;
  readonly timersFired: number;
  /** Accesses to registers, ports and addresses that nothing answers for. */
  readonly refusedMsrs: number;
  readonly unclaimedPorts: number;
  readonly unclaimedMmio: number;
}

/** Adds up per-vCPU exit counters. */
export function sumExits(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  return Object.fromEntries(EXIT_NAMES.map((name) => [name, parts.reduce((sum, part) => sum + (part[name] ?? 0), 0)]));
}

/** Counters of one user of guest pages, by name. */
export type PageUserStats = Readonly<Record<string, number>>;

/** Counters by cause; those of time end in "Ms". */
export interface PageStats {
  readonly counts: Readonly<Record<string, number>>;
  /** By the user's name, such as "shared_info": lookups, mappings found revoked, lookups that had to begin again. */
  readonly users: Readonly<Record<string, PageUserStats>>;
}

/** Makes the printed shape of counters: times, whose names end in "Ns", become milliseconds. */
export function pageStatsFrom({ users, ...counters }: Readonly<Record<string, unknown>> & { readonly users: PageStats["users"] }): PageStats {
  const counts: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters) as [string, number][]) {
    if (name.endsWith("Ns")) counts[`${name.slice(0, -2)}Ms`] = value / 1e6;
    else counts[name] = value;
  }
  return { counts, users };
}

/** How much the vCPUs have executed, by tier, and what was translated for them. */
export function tierStats(vcpus: readonly VcpuState[]): Pick<MachineStats, "instructions" | "translation"> {
  const figures = vcpus.map((vcpu) => vcpu.translation);
  const translation = { ...sumFigures(figures), longestPauseMs: Math.max(...figures.map(({ longestPauseMs }) => longestPauseMs)) };
  const translated = vcpus.reduce((sum, vcpu, index) => sum + translatedInstructions(vcpu.instructionsRetired, figures[index]!), 0);
  const all = vcpus.reduce((sum, vcpu) => sum + vcpu.instructionsRetired, 0);
  return { instructions: { interpreter: all - translated, translator: translated }, translation };
}

function translatedInstructions(retired: number, { samples, samplesTranslated }: TranslationFigures): number {
  return samples === 0 ? 0 : Math.round(retired * (samplesTranslated / samples));
}

/** The sums of figures that are of one kind, member by member. */
function sumFigures<Figures extends { readonly [Name in keyof Figures]: number }>(all: readonly Figures[]): Figures {
  const names = Object.keys(all[0]!) as (keyof Figures)[];
  return Object.fromEntries(names.map((name) => [name, all.reduce((sum, figures) => sum + figures[name], 0)])) as Figures;
}

/** How the addresses of all vCPUs' accesses were translated. */
export function addressTranslationStats(vcpus: readonly VcpuState[]): AddressTranslationStats {
  const figures = sumFigures(vcpus.map((vcpu) => vcpu.addressTranslation));
  const retired = vcpus.reduce((sum, vcpu) => sum + vcpu.instructionsRetired, 0);
  const walks = figures.walkReads + figures.walkWrites + figures.walkFetches;
  return { ...figures, walks, walksPerMillionInstructions: retired === 0 ? 0 : (walks / retired) * 1e6 };
}
