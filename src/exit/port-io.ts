/**
 * Port input and output. With hardware-reduced ACPI tables the kernel only probes: reads answer all ones and writes are
 * dropped, but for the ports in this table and those of the personality.
 */
import { VCPU } from "../abi/layout.js";
import { RAX } from "../cpu/index.js";
import { sleepUntil } from "./halt.js";
import type { Personality } from "./personality.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** One port that does something. */
export interface PortEntry {
  readonly port: number;
  readonly says: string;
  /** Value for an access of one byte; undefined = all ones. */
  readonly read?: (vcpu: VcpuContext) => number;
  /** "busy" = it was not taken, and `isReady` says when it would be. */
  readonly write?: (vcpu: VcpuContext, value: number) => VcpuOutcome | "busy" | undefined;
  /** Whether a write that found the port busy would be taken now; where not, the vCPU gets REQUEST_EVENT when that has changed. */
  readonly isReady?: (vcpu: VcpuContext) => boolean;
}

const KEYBOARD_COMMAND_RESET = 0xfe;

/** Every port whose answer is not "all ones" or whose writes are looked at, apart from the personality's. */
export const PORT_TABLE: readonly PortEntry[] = [
  // All ones here make the kernel's PIT calibration spin through 50 000 iterations; a first zero ends it at once.
  { port: 0x42, says: "PIT channel 2: reads 0", read: () => 0 },
  {
    port: 0x64, says: "keyboard controller: 0xFE resets the machine",
    write: (_vcpu, value) => (value === KEYBOARD_COMMAND_RESET ? { kind: "reboot" } : undefined),
  },
];

const PORTS = new Map(PORT_TABLE.map((entry) => [entry.port, entry]));
/** The ports of each personality that a guest has used, by number. */
const personalityPorts = new WeakMap<Personality, ReadonlyMap<number, PortEntry>>();

function findPort(personality: Personality, port: number): PortEntry | undefined {
  let ports = personalityPorts.get(personality);
  if (ports === undefined) {
    ports = new Map(personality.ports.map((entry) => [entry.port, entry]));
    personalityPorts.set(personality, ports);
  }
  return PORTS.get(port) ?? ports.get(port);
}

/** Answers an IN, or takes an OUT (EXIT_IO). */
export function handlePortAccess(vcpu: VcpuContext): VcpuOutcome | "unfinished" | undefined {
  const { state } = vcpu;
  const port = state.exitAddress & 0xffff;
  const sizeBytes = (state.exitSize >> 8) & 0xff;
  const access = { port, sizeBytes };
  const completes = (state.exitSize & 0xff) !== 0;
  if (state.exitWrite) return writeElements(vcpu, access);
  state.skipInstruction();
  const value = readPort(vcpu, access);
  // INS stores what was read itself, when it is run again.
  if (completes) writeAccumulator(vcpu, sizeBytes, value);
  else state.writeU64(VCPU.exitData, BigInt(value >>> 0));
  return undefined;
}

/**
 * OUT and OUTS: exitData holds the elements, the first one lowest. What finds its port busy stays in the exit, and the vCPU waits outside the
 * guest: OUTS has moved its registers already and cannot be run again. Interrupts wait too, as they do for a bus that is not ready.
 */
function writeElements(vcpu: VcpuContext, access: PortAccess): VcpuOutcome | "unfinished" | undefined {
  const { state } = vcpu;
  let rest = state.exitData;
  for (let count = Math.max((state.exitSize >>> 16) & 0xff, 1); count > 0; count--) {
    const outcome = writePort(vcpu, access, Number(rest & 0xffff_ffffn));
    if (outcome === "busy") {
      state.writeU64(VCPU.exitData, rest);
      state.writeU32(VCPU.exitSize, (state.exitSize & 0xffff) | (count << 16));
      sleepUntil(vcpu, () => findPort(vcpu.personality, access.port)?.isReady?.(vcpu) !== false, Infinity);
      return "unfinished";
    }
    if (outcome !== undefined) return outcome;
    rest >>= BigInt(8 * access.sizeBytes);
  }
  state.skipInstruction();
  return undefined;
}

/** One access to a port. */
export interface PortAccess {
  readonly port: number;
  /** 1, 2 or 4. */
  readonly sizeBytes: number;
}

/** What a read answers, in its low `sizeBytes` bytes. */
export function readPort(vcpu: VcpuContext, { port, sizeBytes }: PortAccess): number {
  const entry = findPort(vcpu.personality, port);
  if (entry === undefined) vcpu.counters.add("unclaimedPorts");
  return (sizeBytes === 1 ? entry?.read?.(vcpu) : undefined) ?? 0xffff_ffff;
}

/** Takes a write; the outcome is that of a port that ends the run, or of one that has not taken it. */
export function writePort(vcpu: VcpuContext, { port, sizeBytes }: PortAccess, value: number): VcpuOutcome | "busy" | undefined {
  const entry = findPort(vcpu.personality, port);
  if (entry === undefined) vcpu.counters.add("unclaimedPorts");
  return entry?.write?.(vcpu, sizeBytes === 1 ? value & 0xff : value);
}

function writeAccumulator({ state }: VcpuContext, sizeBytes: number, value: number): void {
  if (sizeBytes === 4) {
    state.setGpr32(RAX, value);
    return;
  }
  const mask = sizeBytes === 1 ? 0xffn : 0xffffn;
  state.setGpr(RAX, (state.gpr(RAX) & ~mask) | (BigInt(value >>> 0) & mask));
}
