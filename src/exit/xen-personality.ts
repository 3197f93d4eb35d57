/** What a guest of Xen's personality finds: Xen's CPUID leaves, the hypercall page, the debug port. */
import { gpaOf } from "../abi/address.js";
import { MODE_64 } from "../abi/layout.js";
import {
  XEN_CPUID_FIRST_LEAF, XEN_CPUID_LAST_LEAF, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX,
  XEN_HVM_CPUID_DOMID_PRESENT, XEN_HVM_CPUID_VCPU_ID_PRESENT,
} from "../abi/xen/index.js";
import { RAX, RDI, RDX, RSI } from "../cpu/index.js";
import type { CpuFeature } from "./cpuid-features.js";
import { TSC_KHZ, type CpuidLeaf } from "./cpuid-table.js";
import { hypercallPage } from "./hypercall-page.js";
import { VECTOR_UD } from "./instruction-exits.js";
import type { MsrEntry } from "./msr-table.js";
import { type Personality, xenOf } from "./personality.js";
import type { PortEntry } from "./port-io.js";
import { obeySchedulingRequest } from "./scheduling.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

/** Xen 4.17; the guest looks for at least 4. */
const XEN_VERSION = (4 << 16) | 17;
const HYPERCALL_PAGE_MSR = 0x4000_0000;
/** domid of the guest as it sees itself; any non-zero number will do. */
const DOMAIN_ID = 1;
const EPERM_NEGATIVE = -1n;
/** Registers of a hypercall's arguments in order: RDI RSI RDX R10 R8 R9. */
const ARGUMENT_REGISTERS = [RDI, RSI, RDX, 10, 8, 9];

const LEAVES: readonly CpuidLeaf[] = [
  {
    leaf: XEN_CPUID_FIRST_LEAF, says: "last Xen leaf, XenVMMXenVMM",
    answer: () => [XEN_CPUID_LAST_LEAF, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX],
  },
  { leaf: XEN_CPUID_FIRST_LEAF + 1, says: "Xen version", answer: () => [XEN_VERSION, 0, 0, 0] },
  { leaf: XEN_CPUID_FIRST_LEAF + 2, says: "hypercall pages and their MSR", answer: () => [1, HYPERCALL_PAGE_MSR, 0, 0] },
  { leaf: XEN_CPUID_FIRST_LEAF + 3, subleaf: 0, says: "TSC mode and frequency", answer: () => [0, 0, TSC_KHZ, 0] },
  {
    leaf: XEN_CPUID_FIRST_LEAF + 4, subleaf: 0, says: "vCPU id, domain id",
    answer: (caller) => [XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT, caller.vcpuIndex, DOMAIN_ID, 0],
  },
];

const FEATURES: readonly CpuFeature[] = [{ name: "constant_tsc", leaf: 0x8000_0007, register: "edx", bit: 8 }];

const MSRS: readonly MsrEntry[] = [
  { first: HYPERCALL_PAGE_MSR, name: "Xen hypercall page", read: () => 0n, write: writeHypercallPage },
];

const PORTS: readonly PortEntry[] = [
  {
    port: 0xe9, says: "debug console of Xen guests", read: () => 0xe9,
    write: (vcpu, value) => {
      vcpu.machine.debugByte(value);
      return undefined;
    },
  },
];

/** Xen's. */
export const XEN_PERSONALITY: Personality = { name: "xen", leaves: LEAVES, features: FEATURES, msrs: MSRS, ports: PORTS, hypercall };

function writeHypercallPage({ memory }: VcpuContext, value: bigint): boolean {
  if ((value & 0xfffn) !== 0n) return false;
  return memory.write(gpaOf(Number(value)), hypercallPage());
}

/** 64-bit kernels only, as our PVH entry starts no other. */
function hypercall(vcpu: VcpuContext): VcpuOutcome | undefined {
  const { state, index, linear } = vcpu;
  if (state.mode !== MODE_64) {
    state.injectException(VECTOR_UD);
    return undefined;
  }
  state.skipInstruction();
  if (state.cpl !== 0) {
    state.setGpr(RAX, BigInt.asUintN(64, EPERM_NEGATIVE));
    return undefined;
  }
  const xen = xenOf(vcpu);
  const args = ARGUMENT_REGISTERS.map((register) => state.gpr(register));
  const result = xen.hypercall(index, state.gpr32(RAX), args, linear);
  state.setGpr(RAX, BigInt.asUintN(64, result));
  return obeySchedulingRequest(vcpu, xen.takeSchedulingRequest(index));
}
