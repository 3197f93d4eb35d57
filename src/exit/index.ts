/** The vCPU run loop and its tables. */
export { requestApicReload } from "./apic-reload.js";
export { VcpuCounters } from "./counters.raw.js";
export { CPU_FEATURES, type CpuFeature } from "./cpuid-features.js";
export { cpuid, CPUID_TABLE, type CpuidAnswer, type CpuidLeaf } from "./cpuid-table.js";
export { EXIT_TABLE } from "./exit-table.js";
export { formatGuestReport, type GuestReport, type TranslatorDifference } from "./guest-report.js";
export { createLinearMemory } from "./linear-memory.js";
export { KVM_PERSONALITY } from "./kvm-personality.js";
export { MSR_TABLE, type MsrEntry } from "./msr-table.js";
export type { Personality, PersonalityName } from "./personality.js";
export { PORT_TABLE, type PortEntry } from "./port-io.js";
export { isAtGate } from "./requests/gate.js";
export { isInGuestMode } from "./requests/guest-mode.js";
export {
  clearRequest, flushVcpuTlbs, makeAllVcpusRequest, makeVcpusRequest, requestStatistics, waitUntilOutside,
  type RequestOptions, type RequestStatistics,
} from "./requests/vcpu-requests.js";
export { runVcpu } from "./run-loop.js";
export type {
  HypercallTarget, InstructionSampler, KvmTarget, LocalApicTarget, MachineCalls, PhysicalMemory, VcpuContext, VcpuOutcome, XenTarget,
} from "./vcpu-context.js";
export { XEN_PERSONALITY } from "./xen-personality.js";
