/**
 * Which hypervisor the guest sees. Everything that differs is behind this one interface: CPUID leaves and features, registers, ports,
 * hypercalls. What interrupts the vCPU besides its local APIC, and its run states, are the HypercallTarget that goes with it.
 */
import type { CpuFeature } from "./cpuid-features.js";
import type { CpuidLeaf } from "./cpuid-table.js";
import type { MsrEntry } from "./msr-table.js";
import type { PortEntry } from "./port-io.js";
import type { KvmTarget, VcpuContext, VcpuOutcome, XenTarget } from "./vcpu-context.js";

/** Names of the personalities. */
export type PersonalityName = "xen" | "kvm";

/** The hypervisor that the guest sees. */
export interface Personality {
  readonly name: PersonalityName;
  /** Leaves from 0x40000000 on. */
  readonly leaves: readonly CpuidLeaf[];
  /** Features of the processor besides CPU_FEATURES. */
  readonly features: readonly CpuFeature[];
  /** Registers besides MSR_TABLE. */
  readonly msrs: readonly MsrEntry[];
  /** Ports besides PORT_TABLE. */
  readonly ports: readonly PortEntry[];
  /** Carries out VMCALL or VMMCALL, or refuses it with an exception. */
  readonly hypercall: (vcpu: VcpuContext) => VcpuOutcome | undefined;
}

/** The Xen domain of a vCPU. Precondition: its personality is Xen's. */
export function xenOf(vcpu: VcpuContext): XenTarget {
  if (vcpu.xen === undefined) throw new Error("expected a vCPU of Xen's personality");
  return vcpu.xen;
}

/** What is KVM's of a vCPU. Precondition: its personality is KVM's. */
export function kvmOf(vcpu: VcpuContext): KvmTarget {
  if (vcpu.kvm === undefined) throw new Error("expected a vCPU of KVM's personality");
  return vcpu.kvm;
}
