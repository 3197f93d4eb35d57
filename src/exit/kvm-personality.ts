/**
 * What a guest of KVM's personality finds: KVM's CPUID leaves and registers, the TSC deadline timer, serial ports, the PC's clock, an I/O APIC (mmio.ts),
 * and the power registers of our ACPI tables. Features of KVM that are not there are not offered.
 */
import {
  KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE, KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_CLOCKSOURCE2, KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
  KVM_FEATURE_NOP_IO_DELAY, KVM_FEATURE_PV_EOI, KVM_FEATURE_PV_TLB_FLUSH, KVM_FEATURE_STEAL_TIME, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX,
  KVM_SIGNATURE_EDX, MSR_KVM_PV_EOI_EN, MSR_KVM_STEAL_TIME, MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK_NEW,
} from "../abi/kvm/index.js";
import { MODE_64 } from "../abi/layout.js";
import { ACPI_RESET_PORT, ACPI_RESET_VALUE, ACPI_SLEEP_CONTROL_PORT, ACPI_SLEEP_ENABLE, ACPI_SLEEP_STATUS_PORT, ACPI_SLEEP_TYPE_S5 } from "../abi/power.js";
import { RAX } from "../cpu/index.js";
import { RTC_PORT, SERIAL_PORT_REGISTERS, SERIAL_PORTS } from "../device/index.js";
import type { CpuFeature } from "./cpuid-features.js";
import type { CpuidLeaf } from "./cpuid-table.js";
import { apicRegisters, type MsrEntry } from "./msr-table.js";
import { kvmOf, type Personality } from "./personality.js";
import type { PortEntry } from "./port-io.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/**
 * PV_UNHALT is not offered: a vCPU that halts with interrupts off is taken for offline (halt.ts). Nor are asynchronous page faults, IPIs and
 * yields by hypercall.
 */
const KVM_FEATURES = [
  KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_NOP_IO_DELAY, KVM_FEATURE_CLOCKSOURCE2, KVM_FEATURE_STEAL_TIME, KVM_FEATURE_PV_EOI, KVM_FEATURE_PV_TLB_FLUSH,
  KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
];
const FEATURE_BITS = KVM_FEATURES.reduce((bits, bit) => (bits | (1 << bit)) >>> 0, 0);
const MSR_TSC_DEADLINE = 0x6e0;

const LEAVES: readonly CpuidLeaf[] = [
  {
    leaf: KVM_CPUID_SIGNATURE, says: "last KVM leaf, KVMKVMKVM",
    answer: () => [KVM_CPUID_FEATURES, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX, KVM_SIGNATURE_EDX],
  },
  {
    leaf: KVM_CPUID_FEATURES, says: "clock, no port delay, steal time, EOI and TLB flush in memory; no hints",
    answer: () => [FEATURE_BITS, 0, 0, 0],
  },
];

/**
 * Without the invariant TSC, which most KVM guests do not get either: it would say that the TSC may be used past the clock, and the kernel
 * prefers it then.
 */
const FEATURES: readonly CpuFeature[] = [
  { name: "tsc_deadline_timer", leaf: 1, register: "ecx", bit: 24 },
  // The APIC timer runs while the vCPU sleeps. Without this word Linux ticks on when it is idle.
  { name: "arat", leaf: 6, register: "eax", bit: 2 },
];

const MSRS: readonly MsrEntry[] = [
  kvmRegister(MSR_KVM_WALL_CLOCK, "KVM wall clock, old number"),
  kvmRegister(MSR_KVM_SYSTEM_TIME, "KVM system time, old number"),
  apicRegisters(MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, "TSC_DEADLINE"),
  kvmRegister(MSR_KVM_WALL_CLOCK_NEW, "KVM wall clock"),
  kvmRegister(MSR_KVM_SYSTEM_TIME_NEW, "KVM system time"),
  kvmRegister(MSR_KVM_STEAL_TIME, "KVM steal time"),
  kvmRegister(MSR_KVM_PV_EOI_EN, "KVM EOI in memory"),
];

const PORTS: readonly PortEntry[] = [
  {
    port: RTC_PORT, says: "PC's clock: selects a register",
    write: (vcpu, value) => {
      kvmOf(vcpu).rtc.select(value);
      return undefined;
    },
  },
  { port: RTC_PORT + 1, says: "PC's clock: reads the register", read: (vcpu) => kvmOf(vcpu).rtc.read() },
  ...SERIAL_PORTS.flatMap(({ port }, index) => serialRegisters(port, index)),
  { port: ACPI_SLEEP_CONTROL_PORT, says: "ACPI sleep control: S5 powers off", read: () => 0, write: writeSleepControl },
  { port: ACPI_SLEEP_STATUS_PORT, says: "ACPI sleep status", read: () => 0 },
  {
    port: ACPI_RESET_PORT, says: "ACPI reset register",
    write: (_vcpu, value) => (value === ACPI_RESET_VALUE ? { kind: "reboot" } : undefined),
  },
];

/** KVM's. */
export const KVM_PERSONALITY: Personality = { name: "kvm", leaves: LEAVES, features: FEATURES, msrs: MSRS, ports: PORTS, hypercall };

function kvmRegister(first: number, name: string): MsrEntry {
  return {
    first, name,
    read: (vcpu, msr) => kvmOf(vcpu).domain.readMsr(vcpu.index, msr),
    write: (vcpu, value, msr) => kvmOf(vcpu).domain.writeMsr(vcpu.index, msr, value),
  };
}

function serialRegisters(firstPort: number, index: number): PortEntry[] {
  return Array.from({ length: SERIAL_PORT_REGISTERS }, (_, register) => ({
    port: firstPort + register, says: `serial port ${index}, register ${register}`,
    read: (vcpu) => kvmOf(vcpu).uarts[index]!.read(register),
    write: (vcpu, value) => (kvmOf(vcpu).uarts[index]!.write(register, value) ? undefined : "busy"),
    isReady: (vcpu) => kvmOf(vcpu).uarts[index]!.awaitRoom(vcpu.index),
  } satisfies PortEntry));
}

function writeSleepControl(_vcpu: VcpuContext, value: number): VcpuOutcome | undefined {
  const isOff = (value & ACPI_SLEEP_ENABLE) !== 0 && ((value >>> 2) & 7) === ACPI_SLEEP_TYPE_S5;
  return isOff ? { kind: "power-off" } : undefined;
}

/** Number in RAX; a kernel in 32-bit mode has the low halves. */
function hypercall(vcpu: VcpuContext): undefined {
  const { state } = vcpu;
  state.skipInstruction();
  const result = kvmOf(vcpu).domain.hypercall(state.gpr32(RAX), state.cpl);
  if (state.mode === MODE_64) state.setGpr(RAX, BigInt.asUintN(64, BigInt(result)));
  else state.setGpr32(RAX, result >>> 0);
}
