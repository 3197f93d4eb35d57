/** The table of breakpoints and watchpoints in host memory, from which the cores read it (abi/layout.ts, DEBUG_TABLE_BASE). */
import {
  DEBUG_ENTRIES_MAX, DEBUG_ENTRY_KIND, DEBUG_ENTRY_LENGTH, DEBUG_ENTRY_SIZE, DEBUG_TABLE_BASE, DEBUG_TABLE_BREAKPOINTS, DEBUG_TABLE_ENTRIES,
  DEBUG_TABLE_WATCHPOINTS,
} from "../abi/layout.js";

/** Breakpoints and watchpoints at most, together. */
export const BREAKPOINTS_MAX = DEBUG_ENTRIES_MAX;

/** A range of linear addresses that accesses are looked for in. */
export interface Watchpoint {
  readonly address: bigint;
  readonly lengthBytes: number;
  /** WATCH_* bits. */
  readonly kind: number;
}

/** What the debugger looks for. */
export interface DebugTable {
  /** Linear addresses. */
  readonly breakpoints: readonly bigint[];
  readonly watchpoints: readonly Watchpoint[];
}

/** Puts `table` in place of what is there. Precondition: no vCPU is in guest mode, nor will be before it has been told. At most BREAKPOINTS_MAX entries. */
export function writeDebugTable(memory: WebAssembly.Memory, { breakpoints, watchpoints }: DebugTable): void {
  const view = new DataView(memory.buffer, DEBUG_TABLE_BASE, DEBUG_TABLE_ENTRIES + DEBUG_ENTRIES_MAX * DEBUG_ENTRY_SIZE);
  const entries: readonly Watchpoint[] = [...breakpoints.map((address) => ({ address, lengthBytes: 1, kind: 0 })), ...watchpoints];
  entries.forEach(({ address, lengthBytes, kind }, index) => {
    const at = DEBUG_TABLE_ENTRIES + index * DEBUG_ENTRY_SIZE;
    view.setBigUint64(at, address, true);
    view.setUint32(at + DEBUG_ENTRY_LENGTH, lengthBytes, true);
    view.setUint32(at + DEBUG_ENTRY_KIND, kind, true);
  });
  view.setUint32(DEBUG_TABLE_BREAKPOINTS, breakpoints.length, true);
  view.setUint32(DEBUG_TABLE_WATCHPOINTS, watchpoints.length, true);
}
