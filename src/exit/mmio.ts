/** Nested page faults: a page gets its frame, or the access goes to a device's registers. */
import { gfnOf } from "../abi/address.js";
import { IO_APIC_GPA, IO_APIC_SIZE } from "../device/index.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

const LOCAL_APIC_SIZE = 0x1000;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** Handles EXIT_NPT. The instruction runs again afterwards; where the host has no memory now, requests are looked at first. */
export function handleNestedPageFault(vcpu: VcpuContext): VcpuOutcome | undefined {
  const { state, machine } = vcpu;
  const result = machine.faultIn(gfnOf(state.exitGfn), state.exitWrite);
  if (result === "out-of-memory") return { kind: "out-of-memory" };
  if (result === "no-slot") handleDeviceAccess(vcpu);
  return undefined;
}

/** Handles EXIT_APIC_ACCESS: the register, or nothing where the vCPU's local APIC is elsewhere or off. */
export function handleApicAccess(vcpu: VcpuContext): undefined {
  handleDeviceAccess(vcpu);
}

function handleDeviceAccess(vcpu: VcpuContext): void {
  const { state, counters } = vcpu;
  const gpa = state.exitAddress;
  const registers = findRegisters(vcpu, gpa);
  if (registers === undefined) counters.add("unclaimedMmio");
  if (state.exitWrite && !state.exitReadsFirst) {
    registers?.device.writeMmio(registers.offset, Number(state.exitData & 0xffff_ffffn));
    state.acceptMmioWrite(BigInt(gpa));
    return;
  }
  state.answerMmioRead(BigInt(gpa), registers === undefined ? ALL_ONES : BigInt(registers.device.readMmio(registers.offset) >>> 0));
}

/** A device's registers by their place in the guest. */
interface RegisterPlace {
  readonly device: { readMmio(offset: number): number; writeMmio(offset: number, value: number): void };
  readonly offset: number;
}

function findRegisters({ apic, kvm }: VcpuContext, gpa: number): RegisterPlace | undefined {
  const offset = gpa - (apic.mmioBase() ?? Infinity);
  if (offset >= 0 && offset < LOCAL_APIC_SIZE) return { device: apic, offset };
  const isIoApic = kvm !== undefined && gpa >= IO_APIC_GPA && gpa < IO_APIC_GPA + IO_APIC_SIZE;
  return isIoApic ? { device: kvm.ioApic, offset: gpa - IO_APIC_GPA } : undefined;
}
