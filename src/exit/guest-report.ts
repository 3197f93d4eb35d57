/** The state of a vCPU that cannot go on, for the operator to read. */
import { MODE_16, MODE_32, VCPU } from "../abi/layout.js";
import { type LockStepDifference, LockStepReport } from "../cpu/index.js";
import type { VcpuContext } from "./vcpu-context.js";

/** Registers and code at the point where a guest ended. Numbers are hexadecimal text, so that it survives JSON. */
export interface GuestReport {
  readonly rip: string;
  /** Bytes at RIP, as far as they could be read. */
  readonly bytes: string;
  readonly mode: "16-bit" | "32-bit" | "64-bit";
  readonly cpl: number;
  readonly registers: Readonly<Record<string, string>>;
}

/** A difference between translated code and the interpreter, on the vCPU of that index, with the bytes of the code that differs. */
export interface TranslatorDifference extends LockStepDifference {
  readonly vcpu: number;
  readonly blocks: readonly { readonly rip: string; readonly length: number; readonly bytes: string }[];
}

const REGISTER_NAMES = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];
const CODE_BYTES = 16;

/** Describes where vCPU `vcpu` stands. */
export function reportGuest(vcpu: VcpuContext): GuestReport {
  const { state } = vcpu;
  const registers: Record<string, string> = {};
  for (const [n, name] of REGISTER_NAMES.entries()) registers[name] = hex(state.gpr(n));
  registers["rflags"] = hex(state.rflags);
  for (const name of ["cr0", "cr2", "cr3", "cr4", "efer"] as const) registers[name] = hex(state.readU64(VCPU[name]));
  return { rip: hex(state.rip), bytes: codeBytes(vcpu, state.rip, CODE_BYTES), mode: modeName(state.mode), cpl: state.cpl, registers };
}

/** Describes the difference that stopped vCPU `vcpu`. */
export function reportDifference(vcpu: VcpuContext): TranslatorDifference {
  const { difference } = new LockStepReport(vcpu.state);
  if (difference === undefined) throw new Error("expected the vCPU to have noted what differs");
  return { vcpu: vcpu.index, ...difference, blocks: difference.blocks.map((block) => ({ ...block, bytes: codeBytes(vcpu, BigInt(block.rip), block.length) })) };
}

/** The report as lines of text. */
export function formatGuestReport(report: GuestReport): string[] {
  const registers = Object.entries(report.registers).map(([name, value]) => `${name}=${value}`);
  const lines = [`rip=${report.rip} mode=${report.mode} cpl=${report.cpl}`, `bytes at rip: ${report.bytes}`];
  for (let i = 0; i < registers.length; i += 4) lines.push(registers.slice(i, i + 4).join(" "));
  return lines;
}

/** The bytes at `rip`, as many of `wanted` as can be read. */
function codeBytes({ linear }: VcpuContext, rip: bigint, wanted: number): string {
  for (let length = wanted; length > 0; length--) {
    const bytes = linear.read(rip, length);
    if (bytes !== undefined) return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  }
  return "unreadable";
}

function modeName(mode: number): GuestReport["mode"] {
  if (mode === MODE_16) return "16-bit";
  return mode === MODE_32 ? "32-bit" : "64-bit";
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
