/**
 * Which scenario over the source that ships shows which planted fault. The faults are those that the tests on real threads plant
 * (guest-page/testing/page-mutations.ts); not all of them can be seen by these scenarios.
 */
import { PAGE_MUTATIONS } from "../guest-page/testing/page-mutations.js";
import type { Edit } from "../guest-page/testing/mutant-tree.js";

/** A fault: its number in the list, and where it is planted. */
export interface ShippedFault {
  readonly id: string;
  readonly what: string;
  readonly edits: readonly Edit[];
}

/** Numbers of the faults by the scenario that shows them. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  "shipped-move-and-use": ["M1", "M3", "M10", "M16", "M40", "P1", "P2", "P3"],
  "shipped-two-movers-and-use": ["M5"],
  "shipped-move-and-guest": ["M26", "M26a", "M27a", "P4"],
  "shipped-discard-without-sleep": ["M19", "M30"],
};

/** The faults that a scenario shows. */
export function faultsOf(scenario: string): ShippedFault[] {
  return (SHOWN[scenario] ?? []).map((wanted) => {
    const { id, what, fate } = PAGE_MUTATIONS.find((mutation) => mutation.id === wanted)!;
    return { id, what, edits: fate.kind === "impossible" ? [] : fate.edits };
  });
}
