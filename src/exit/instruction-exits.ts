/** Exits by which the core hands one instruction to the run loop: CPUID, RDMSR, WRMSR, RDRAND, VMMCALL. */
import { REQUEST_APIC_RELOAD } from "../abi/layout.js";
import { RAX, RCX, RDX, RBX } from "../cpu/index.js";
import { cpuid } from "./cpuid-table.js";
import { randomNumber } from "./entropy.js";
import { findMsr } from "./msr-table.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

const MSR_APIC_BASE = 0x1b;
const VECTOR_GP = 13;
/** #UD, the exception of an instruction that is not there. */
export const VECTOR_UD = 6;
const FLAG_CF = 1n;
const HIGH_WORD = 32n;

/** Handles EXIT_CPUID. */
export function handleCpuid({ state, index, vcpuCount, personality }: VcpuContext): undefined {
  const [eax, ebx, ecx, edx] = cpuid(state.gpr32(RAX), state.gpr32(RCX), { vcpuIndex: index, vcpuCount, personality });
  state.setGpr32(RAX, eax);
  state.setGpr32(RBX, ebx);
  state.setGpr32(RCX, ecx);
  state.setGpr32(RDX, edx);
  state.skipInstruction();
}

/** Handles EXIT_RDMSR. */
export function handleRdmsr(vcpu: VcpuContext): undefined {
  const { state, counters } = vcpu;
  const msr = state.gpr32(RCX);
  const value = state.cpl === 0 ? findMsr(vcpu.personality, msr)?.read(vcpu, msr) : undefined;
  if (value === undefined) {
    counters.add("refusedMsrs");
    state.injectException(VECTOR_GP, 0);
    return;
  }
  state.setGpr32(RAX, Number(value & 0xffff_ffffn));
  state.setGpr32(RDX, Number(value >> HIGH_WORD));
  state.skipInstruction();
}

/** Handles EXIT_WRMSR. */
export function handleWrmsr(vcpu: VcpuContext): undefined {
  const { state, counters } = vcpu;
  const msr = state.gpr32(RCX);
  const value = (BigInt(state.gpr32(RDX)) << HIGH_WORD) | BigInt(state.gpr32(RAX));
  const isTaken = state.cpl === 0 && findMsr(vcpu.personality, msr)?.write(vcpu, value, msr) === true;
  if (!isTaken) {
    counters.add("refusedMsrs");
    state.injectException(VECTOR_GP, 0);
    return;
  }
  // The register page may be elsewhere now, or nowhere.
  if (msr === MSR_APIC_BASE) state.repeatRequest(REQUEST_APIC_RELOAD);
  state.skipInstruction();
}

/** Handles EXIT_RDRAND: exitAddress names the register, bits 15..8 of exitSize are its bytes. */
export function handleRdrand({ state }: VcpuContext): undefined {
  const sizeBytes = (state.exitSize >> 8) & 0xff;
  const register = state.exitAddress;
  const value = randomNumber(sizeBytes);
  const kept = sizeBytes === 2 ? state.gpr(register) & ~0xffffn : 0n;
  state.setGpr(register, kept | value);
  state.setArithmeticFlags(FLAG_CF);
  state.skipInstruction();
}

/** Handles EXIT_HYPERCALL (VMCALL and VMMCALL). */
export function handleHypercall(vcpu: VcpuContext): VcpuOutcome | undefined {
  return vcpu.personality.hypercall(vcpu);
}
