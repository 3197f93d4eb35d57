/** The one table of hypercalls: dispatch, names and counters are derived from it. */
import { HYPERCALL_NAMES } from "../abi/xen/index.js";
import { HYPERCALL_COUNT_COLUMNS, HYPERCALL_COUNT_ROWS, XEN_DOMAIN } from "../abi/xen-block.js";
import type { HypercallFamily } from "./context.js";
import { eventChannelOp } from "./event-channel/event-channel-op.js";
import { grantTableOp } from "./grant-table/grant-table-op.js";
import { hvmOp } from "./hvm/hvm-op.js";
import { memoryOp } from "./memory/memory-op.js";
import { setTimerOp, vmAssist } from "./misc/misc.js";
import { schedOp } from "./sched/sched-op.js";
import type { DomainState } from "./state/domain-state.js";
import { vcpuOp } from "./vcpu/vcpu-op.js";
import { xenVersion } from "./version/xen-version.js";

const FAMILIES: readonly HypercallFamily[] = [
  memoryOp, setTimerOp, xenVersion, grantTableOp, vmAssist, vcpuOp, schedOp, eventChannelOp, hvmOp,
];

/** Families by hypercall number; what is not here answers -ENOSYS. */
export const HYPERCALLS: ReadonlyMap<number, HypercallFamily> = new Map(FAMILIES.map((family) => [family.number, family]));

/** Bumps the counter of a call. */
export function countHypercall(state: DomainState, number: number, subOperation: number): void {
  const row = Math.min(number, HYPERCALL_COUNT_ROWS - 1);
  const column = Math.min(subOperation, HYPERCALL_COUNT_COLUMNS - 1);
  state.addU32(XEN_DOMAIN.counts + (row * HYPERCALL_COUNT_COLUMNS + column) * 4, 1);
}

/** Calls so far by name, in the order of the numbers; unknown sub-operations appear as `family.number`. */
export function readHypercallCounts(state: DomainState): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let row = 0; row < HYPERCALL_COUNT_ROWS; row++) {
    for (let column = 0; column < HYPERCALL_COUNT_COLUMNS; column++) {
      const count = state.u32(XEN_DOMAIN.counts + (row * HYPERCALL_COUNT_COLUMNS + column) * 4);
      if (count !== 0) counts[hypercallName(row, column)] = count;
    }
  }
  return counts;
}

function hypercallName(row: number, column: number): string {
  if (row === HYPERCALL_COUNT_ROWS - 1) return "hypercalls from 63 on";
  const family = HYPERCALLS.get(row);
  const familyName = HYPERCALL_NAMES[row] ?? `hypercall_${row}`;
  if (family === undefined) return familyName;
  const last = HYPERCALL_COUNT_COLUMNS - 1;
  return family.names[column] ?? `${familyName}.${column === last ? `${last} and above` : column}`;
}
