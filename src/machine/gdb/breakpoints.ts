/** The breakpoints and watchpoints that gdb has set (packets Z and z), by type, address and length. */
import { WATCH_READ, WATCH_WRITE } from "../../abi/layout.js";
import { BREAKPOINTS_MAX, type DebugTable, type Watchpoint } from "../../cpu/index.js";

/** Type in the packets -> WATCH_* bits; 0 = a breakpoint. Software and hardware breakpoints are the same here: neither is in guest memory. */
const KINDS: readonly number[] = [0, 0, WATCH_WRITE, WATCH_READ, WATCH_WRITE | WATCH_READ];
const HARDWARE_BREAKPOINT = 1;
/** Watchpoints of whole pages and more are asked for by mistake only. */
const WATCH_BYTES_MAX = 4096;

/** One of them. */
export interface Breakpoint {
  /** 0 software, 1 hardware breakpoint; 2 write, 3 read, 4 access watchpoint. */
  readonly type: number;
  readonly address: bigint;
  /** Watchpoints: bytes. Breakpoints: how gdb would have it, which says nothing here. */
  readonly size: number;
}

/** All that are set. */
export class Breakpoints {
  readonly #set = new Map<string, Breakpoint>();

  /** Sets one; setting it again changes nothing. Answers why it cannot be set, if so. */
  insert(breakpoint: Breakpoint): "unsupported" | "invalid" | "full" | undefined {
    const { type, size } = breakpoint;
    const kind = KINDS[type];
    if (kind === undefined) return "unsupported";
    if (kind !== 0 && (size < 1 || size > WATCH_BYTES_MAX)) return "invalid";
    if (this.#set.size >= BREAKPOINTS_MAX && !this.#set.has(keyOf(breakpoint))) return "full";
    this.#set.set(keyOf(breakpoint), breakpoint);
    return undefined;
  }

  /** Takes one away, if it is there. False = there is no such type. */
  remove(breakpoint: Breakpoint): boolean {
    this.#set.delete(keyOf(breakpoint));
    return KINDS[breakpoint.type] !== undefined;
  }

  clear(): void {
    this.#set.clear();
  }

  /** What the cores have to look for. */
  get table(): DebugTable {
    const all = [...this.#set.values()];
    return {
      breakpoints: [...new Set(all.filter(({ type }) => KINDS[type] === 0).map(({ address }) => address))],
      watchpoints: all.filter(({ type }) => KINDS[type] !== 0).map(({ type, address, size }) => ({ address, lengthBytes: size, kind: KINDS[type]! })),
    };
  }

  /** Whether the watchpoint at `address` for accesses of `kind` is set. */
  hasWatchpoint({ address, kind }: Pick<Watchpoint, "address" | "kind">): boolean {
    return this.table.watchpoints.some((one) => one.address === address && one.kind === kind);
  }

  /** Whether nothing but a hardware breakpoint is at `address`: gdb wants to be told by which it was stopped. */
  isHardware(address: bigint): boolean {
    const here = [...this.#set.values()].filter((one) => one.address === address && KINDS[one.type] === 0);
    return here.length > 0 && here.every(({ type }) => type === HARDWARE_BREAKPOINT);
  }
}

function keyOf({ type, address, size }: Breakpoint): string {
  return `${type}:${address}:${size}`;
}
