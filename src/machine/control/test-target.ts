/** A VM for the tests of the commands: notes what it is asked, and answers with fixed pictures. */
import { gfnOf, pfnOf } from "../../abi/address.js";
import type { BlockMap, MemoryMap, OfflineOutcome, SlotMap } from "../../host-memory/index.js";
import type { MachineStats } from "../stats.js";
import type { VcpuReport } from "../vcpu-report.js";

const blockMap = (index: number, present: number, shared: number, pinned: number): BlockMap => ({
  index, state: "online", framesTotal: 4096, present, shared, pinned, free: 4096 - present - shared - pinned,
});

const SLOTS: readonly SlotMap[] = [
  { id: 0, baseGfn: gfnOf(0), pageCount: 160, present: 34, shared: 0, swapped: 0, absent: 126 },
  { id: 4096, baseGfn: gfnOf(0x107fff), pageCount: 8096, present: 4000, shared: 96, swapped: 3000, absent: 1000 },
];

/** A picture of three blocks and two memslots. */
export const TEST_MAP: MemoryMap = {
  blocks: [
    blockMap(16, 4096, 0, 0), blockMap(17, 2048, 1, 1), { ...blockMap(18, 0, 0, 0), state: "offline" },
  ],
  slots: SLOTS, frameLimit: 12288, swapSlotsTotal: 65536, swapSlotsUsed: 3000, stall: undefined,
};

/** A block that is held by two pages. */
export const TEST_REFUSAL: OfflineOutcome = {
  result: "refused", reason: "pinned", detail: "block 17 stays online",
  pages: [{ pfn: pfnOf(0x11000), gfn: gfnOf(0x123), users: ["shared_info"] }, { pfn: pfnOf(0x11001), gfn: gfnOf(0x124), users: [] }],
};

/** Two vCPUs. */
export const TEST_VCPUS: readonly VcpuReport[] = [
  { index: 0, mode: "in guest", instructions: 377_386_434, haltedMs: 1234.5678, requests: ["tlb-flush", "event"] },
  { index: 1, mode: "parked", instructions: 0, haltedMs: 0, requests: [] },
];

/** Counters of a VM that has run for a while. */
export const TEST_STATS: MachineStats = {
  uptimeMs: 12_345.6, bootMs: 3028.4, instructions: { interpreter: 77_386_434, translator: 300_000_000 },
  translation: { regions: 130, known: 90, traces: 280, bytes: 249_365, milliseconds: 412.3, longestPauseMs: 1.5, entries: 6_000_000, links: 50_000_000, evictions: 0, samples: 46_000, samplesTranslated: 36_000 },
  addressTranslation: {
    walks: 123_000, walksPerMillionInstructions: 328, walkReads: 60_000, walkWrites: 43_000, walkFetches: 20_000, withheldWrites: 9000, fills: 119_000, pageFaults: 4000,
    nestedLookups: 480_000, nestedMisses: 19_475, flushesAll: 40, flushesNonGlobal: 900, flushesPage: 3000, flushesFrames: 12,
  },
  lockStep: undefined,
  memory: { guestBytes: 2 ** 28, pagesTouched: 19_523, framesInUse: 19_523, framesTotal: 69_632, limitBytes: 2 ** 26, stall: "it is full" },
  pages: {
    counts: { invalidations: 12, invalidationMs: 3.14159, framesMoved: 345 },
    users: { shared_info: { refreshes: 9, revocations: 7 }, "wall clock": { refreshes: 0, revocations: 0 } },
  },
  storm: { rate: 1000, moves: 19_421, movesPerSecond: 999.99, pinned: 3, seed: 42 },
  exits: { hlt: 2, budget: 30, io: 0 }, hypercalls: { EVTCHNOP_send: 249 },
  vcpus: [{ instructions: 377_386_434, haltedMs: 10, timersFired: 1, refusedMsrs: 0, unclaimedPorts: 0, unclaimedMmio: 0 }],
};

/** The VM. */
export class TestTarget {
  readonly calls: string[] = [];
  readonly memory = {
    show: async () => await this.#answer("show", TEST_MAP),
    slots: async () => await this.#answer("slots", SLOTS),
    move: async (gfn: number | "all") => await this.#answer(`move ${gfn}`, { moved: 1, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 }),
    swap: async (percent: number) => await this.#answer(`swap ${percent}`, { swapped: 10, skipped: 2 }),
    merge: async () => await this.#answer("merge", { scanned: 100, merged: 10, framesFreed: 9 }),
    offline: async (block: number) => await this.#answer(`offline ${block}`, TEST_REFUSAL),
    online: async (block: number) => await this.#answer(`online ${block}`, { result: "online" as const }),
    storm: async (rate: number | "max") => await this.#answer(`storm ${rate}`, TEST_STATS.storm),
  };
  /** Answers wait for this. */
  gate: Promise<void> = Promise.resolve();

  vcpus(): readonly VcpuReport[] {
    this.calls.push("vcpus");
    return TEST_VCPUS;
  }

  stats(): MachineStats {
    this.calls.push("stats");
    return TEST_STATS;
  }

  async pause(): Promise<void> {
    await this.#answer("pause", undefined);
  }

  resume(): void {
    this.calls.push("resume");
  }

  async #answer<Result>(call: string, result: Result): Promise<Result> {
    this.calls.push(call);
    await this.gate;
    return result;
  }
}
