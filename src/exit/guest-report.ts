/** The state of a vCPU that cannot go on, for the operator to read. */
import { MODE_16, MODE_32, VCPU } from "../abi/layout.js";
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
  return { rip: hex(state.rip), bytes: codeBytes(vcpu), mode: modeName(state.mode), cpl: state.cpl, registers };
}

/** The report as lines of text. */
export function formatGuestReport(report: GuestReport): string[] {
  const registers = Object.entries(report.registers).map(([name, value]) => `${name}=${value}`);
  const lines = [`rip=${report.rip} mode=${report.mode} cpl=${report.cpl}`, `bytes at rip: ${report.bytes}`];
  for (let i = 0; i < registers.length; i += 4) lines.push(registers.slice(i, i + 4).join(" "));
  return lines;
}

function codeBytes({ state, linear }: VcpuContext): string {
  for (let length = CODE_BYTES; length > 0; length--) {
    const bytes = linear.read(state.rip, length);
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
