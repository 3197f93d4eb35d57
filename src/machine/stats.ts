/** What a VM tells about itself. */
import { EXIT_NAMES } from "../abi/layout.js";
import type { StormStats } from "./memory/index.js";

/** A snapshot of a VM's counters; a stopped VM keeps its last one. */
export interface MachineStats {
  /** Milliseconds since the start of the vCPUs. */
  readonly uptimeMs: number;
  /** Milliseconds from the start of the vCPUs until the default guest's init was ready; undefined before that. */
  readonly bootMs: number | undefined;
  /** Guest instructions retired, by the tier that ran them. */
  readonly instructions: Readonly<Record<"interpreter", number>>;
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
