/**
 * Which scenario over the source that ships shows which planted fault, and with how many preemptions. Most faults are those that the tests on
 * real threads plant (guest-page/testing/page-mutations.ts, hypercall/testing/event-mutations.ts); a few of the list's have no
 * line there, and are planted here alone.
 */
import { edit } from "../guest-page/testing/mutation.js";
import { PAGE_MUTATIONS } from "../guest-page/testing/page-mutations.js";
import type { Edit } from "../guest-page/testing/mutant-tree.js";
import { EVENT_MUTATIONS } from "../hypercall/testing/event-mutations.js";

/** A fault: its number in the list, where it is planted, and who shows it. */
export interface ShippedFault {
  readonly id: string;
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly scenario: string;
  /** Preemptions with which it is found; with fewer it is not. */
  readonly preemptions: number;
  /** Nothing can come of it: the scenario holds, within so many preemptions. */
  readonly isHarmless: boolean;
  /** Why it is harmless. */
  readonly why?: string;
}

const INVALIDATION = "host-memory/invalidation.js";
const MOVES = "host-memory/migration.js";

const VCPU_OP = "hypercall/vcpu/vcpu-op.js";
const NO_EVENT_LOCK = edit(VCPU_OP, "return state.withEventLock(() => {", "return ((move) => move())(() => {");
const SET_OFFSET = "state.setU32(vcpuField(vcpu, XEN_VCPU.vcpuInfoOffset), offset);";
const SET_GFN = "state.setU32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn), gfn + 1);";

/** Faults of the list that the tests on real threads do not plant. */
const OWN: readonly { readonly id: string; readonly what: string; readonly edits: readonly Edit[]; readonly why?: string }[] = [
  {
    id: "M28", what: "wait for sections whose holders sleep",
    edits: [
      edit(INVALIDATION, "assert(!this.#slot.isInside,", "assert(true,"),
      edit("guest-page/page-access.js", "        this.#invalidations.leave();\n        this.#sequenceIndex = NEVER_MAPPED;", "        this.#sequenceIndex = NEVER_MAPPED;"),
    ],
  },
  {
    id: "M29", what: "wait for vCPUs with a lock held",
    edits: [edit(MOVES, "changes.cutLocked(name, journey.source));\n        });\n        changes.flushVcpuTlbs();", "changes.cutLocked(name, journey.source));\n            changes.flushVcpuTlbs();\n        });")],
  },
  { id: "M31", what: "a change that must not sleep begins and does not end", edits: [edit("host-memory/page-changes.js", "        invalidations.end(ranges);", "        if (!mustNotSleep) invalidations.end(ranges);")] },
  {
    id: "M35", what: "words that belong together, a vcpu_info and its place, change without their lock, and nothing is marked pending",
    edits: [NO_EVENT_LOCK, edit(VCPU_OP, "info.bytes[vcpu_info.evtchn_upcall_pending] = 1;", ""), edit(VCPU_OP, "info.setU64(vcpu_info.evtchn_pending_sel, (1n << 64n) - 1n);", "")],
  },
  {
    id: "M35a", what: "a vcpu_info and its place change without their lock, and the gfn before the offset",
    edits: [NO_EVENT_LOCK, edit(VCPU_OP, SET_OFFSET, ""), edit(VCPU_OP, SET_GFN, `${SET_GFN}\n        ${SET_OFFSET}`)],
    why: "a registration marks everything pending, so the guest looks at all ports behind it",
  },
];

/** Scenario, preemptions, numbers of faults. */
const SHOWN: readonly (readonly [string, number, readonly string[]])[] = [
  ["shipped-move-and-use", 0, ["M1", "M3", "M19"]],
  ["shipped-move-and-use", 1, ["M10", "M16", "M28", "M40", "P1", "P2", "P3"]],
  ["shipped-move-and-use", 2, ["M2", "M4", "M8", "M9"]],
  ["shipped-move-and-use", 3, ["M7"]],
  ["shipped-two-movers-and-use", 1, ["M5"]],
  ["shipped-move-and-guest", 1, ["M26", "M26a", "M27a", "M29", "P4"]],
  ["shipped-move-and-warm-guest", 2, ["M27"]],
  ["shipped-move-and-reference", 1, ["P7"]],
  ["shipped-discard-without-sleep", 0, ["M31"]],
  ["shipped-discard-without-sleep", 1, ["M30"]],
  ["shipped-discard-and-guest", 1, ["M20"]],
  ["shipped-slot-and-use", 1, ["P10"]],
  ["shipped-use-and-exchange", 1, ["M21", "M33"]],
  ["shipped-move-and-slots", 1, ["M32"]],
  ["shipped-search-and-slots", 1, ["M39"]],
  ["shipped-swap-in", 1, ["M18", "P5"]],
  ["shipped-swap-in-and-out", 1, ["P9"]],
  ["shipped-swap-out-and-slots", 1, ["M18a"]],
  ["shipped-two-senders", 0, ["M34"]],
  ["shipped-two-senders", 1, ["M24", "E5"]],
  ["shipped-notes", 1, ["M23", "E1", "E2"]],
  ["shipped-event-and-move", 1, ["E4"]],
  ["shipped-event-and-vcpu-info", 0, ["E3"]],
  ["shipped-registration-and-sender", 1, ["M35"]],
  ["shipped-event-and-poll", 0, ["E6"]],
  ["shipped-runstate-and-reader", 1, ["M25", "M25a"]],
  ["shipped-runstate-and-registration", 1, ["M22"]],
];

/** The same of faults of which nothing can come. */
const HARMLESS: readonly (readonly [string, number, readonly string[]])[] = [
  ["shipped-move-and-use", 2, ["M1a", "M6"]],
  ["shipped-event-and-vcpu-info", 1, ["M23a"]],
  ["shipped-registration-and-sender", 2, ["M35a"]],
  ["shipped-event-and-poll", 2, ["M38"]],
];

/** Of the list: what is not planted in the shipped source, and why not. */
export const NOT_PLANTED: Readonly<Record<string, string>> = {
  M11: "a GuestPage is one thread's: nobody can use it while its own thread looks it up",
  M12: "a GuestPage is one thread's: two look-ups of one object cannot meet",
  M13: "a GuestPage is one thread's, and holds nothing that could be unmapped under another",
  M14: "a GuestPage has no lock",
  M15: "no interleaving: one thread alone refreshes what it has deactivated, and is stopped by an assertion (page-checks.ts)",
  M17: "no interleaving: a view that is kept behind its access is dead to the thread that kept it (page-checks.ts)",
  M36: "no interleaving: the length is checked before the call does anything (event-checks.ts)",
  M37: "pages have no locks; a run state's two pages are accessed one after the other, under the run state's own lock",
};

/** All that are planted in the shipped source, and shown. */
export const SHIPPED_FAULTS: readonly ShippedFault[] = SHOWN.flatMap(([scenario, preemptions, ids]) => ids.map((id) => ({ ...planted(id), scenario, preemptions, isHarmless: false })));
/** All that are planted and do no harm. */
export const HARMLESS_FAULTS: readonly ShippedFault[] = HARMLESS.flatMap(([scenario, preemptions, ids]) => ids.map((id) => ({ ...planted(id), scenario, preemptions, isHarmless: true })));

function planted(id: string): Pick<ShippedFault, "id" | "what" | "edits" | "why"> {
  const own = OWN.find((fault) => fault.id === id);
  if (own !== undefined) return own;
  const mutation = [...PAGE_MUTATIONS, ...EVENT_MUTATIONS].find((candidate) => candidate.id === id);
  if (mutation === undefined || mutation.fate.kind === "impossible") throw new Error(`expected ${id} to be a fault that can be planted`);
  const { fate, what } = mutation;
  return { id, what, edits: fate.edits, ...(fate.kind === "harmless" ? { why: fate.why } : {}) };
}

/** The faults that can be planted in a scenario. */
export function faultsOf(scenario: string): ShippedFault[] {
  return [...SHIPPED_FAULTS, ...HARMLESS_FAULTS].filter((fault) => fault.scenario === scenario);
}
