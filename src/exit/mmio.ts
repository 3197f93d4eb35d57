/** Nested page faults: a page gets its frame, or the access goes to a device's registers. */
import { gfnOf } from "../abi/address.js";
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
  const { state, apic, counters } = vcpu;
  const gpa = state.exitAddress;
  const offset = gpa - (apic.mmioBase() ?? Infinity);
  const isApic = offset >= 0 && offset < LOCAL_APIC_SIZE;
  if (!isApic) counters.add("unclaimedMmio");
  if (state.exitWrite && !state.exitReadsFirst) {
    if (isApic) apic.writeMmio(offset, Number(state.exitData & 0xffff_ffffn));
    state.acceptMmioWrite(BigInt(gpa));
    return;
  }
  state.answerMmioRead(BigInt(gpa), isApic ? BigInt(apic.readMmio(offset) >>> 0) : ALL_ONES);
}
