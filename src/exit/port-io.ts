/**
 * Port input and output. With hardware-reduced ACPI tables the kernel only probes: reads answer all ones and writes are
 * dropped, but for the ports in this table.
 */
import { RAX } from "../cpu/index.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** One port that does something. */
export interface PortEntry {
  readonly port: number;
  readonly says: string;
  /** Value for an access of one byte; undefined = all ones. */
  readonly read?: () => number;
  readonly write?: (vcpu: VcpuContext, value: number) => VcpuOutcome | undefined;
}

const KEYBOARD_COMMAND_RESET = 0xfe;

/** Every port whose answer is not "all ones" or whose writes are looked at. */
export const PORT_TABLE: readonly PortEntry[] = [
  // All ones here make the kernel's PIT calibration spin through 50 000 iterations; a first zero ends it at once.
  { port: 0x42, says: "PIT channel 2: reads 0", read: () => 0 },
  {
    port: 0x64, says: "keyboard controller: 0xFE resets the machine",
    write: (_vcpu, value) => (value === KEYBOARD_COMMAND_RESET ? { kind: "reboot" } : undefined),
  },
  {
    port: 0xe9, says: "debug console of Xen guests", read: () => 0xe9,
    write: (vcpu, value) => {
      vcpu.machine.debugByte(value);
      return undefined;
    },
  },
];

const PORTS = new Map(PORT_TABLE.map((entry) => [entry.port, entry]));

/** Answers an IN, or takes an OUT (EXIT_IO). */
export function handlePortAccess(vcpu: VcpuContext): VcpuOutcome | undefined {
  const { state } = vcpu;
  const sizeBytes = (state.exitSize >> 8) & 0xff;
  const entry = PORTS.get(state.exitAddress & 0xffff);
  if (entry === undefined) vcpu.counters.add("unclaimedPorts");
  if (state.exitWrite) {
    const value = Number(state.exitData & 0xffff_ffffn);
    state.skipInstruction();
    return entry?.write?.(vcpu, sizeBytes === 1 ? value & 0xff : value);
  }
  const value = sizeBytes === 1 ? entry?.read?.() : undefined;
  writeAccumulator(vcpu, sizeBytes, value ?? 0xffff_ffff);
  state.skipInstruction();
  return undefined;
}

function writeAccumulator({ state }: VcpuContext, sizeBytes: number, value: number): void {
  if (sizeBytes === 4) {
    state.setGpr32(RAX, value);
    return;
  }
  const mask = sizeBytes === 1 ? 0xffn : 0xffffn;
  state.setGpr(RAX, (state.gpr(RAX) & ~mask) | (BigInt(value >>> 0) & mask));
}
