/**
 * The vCPU's side of the APIC access page. Its frame may move like every other: nobody holds it. VCPU.apicAccessFrame is what the
 * processor compares with the nested page table, as the VMCS field of that name is (Intel SDM vol 3 §25.6.8).
 *
 *     invalidating thread                      vCPU thread
 *     begin: active++, sequence++              take APIC_RELOAD
 *     APIC_RELOAD at all vCPUs, wait           s = sequence; look the frame up
 *     change the page tables, flush            active = 0 and sequence = s? then the word = frame
 *     end: sequence++, active--                otherwise ask for APIC_RELOAD again, wait for the end
 *     free the old frame                       enter guest mode: APIC_RELOAD not set? (requests/guest-mode.ts)
 *
 * A lookup that saw the old frame was either before begin, then the request comes behind it and the entry sees that; or it was between
 * begin and end, then active or the sequence tells. Waiting alone is not enough: a vCPU that has left guest mode and looks
 * the frame up again before the page tables change would find the old one. Bad outcome: the registers' address is
 * plain memory, and the frame's next owner finds registers in his.
 */
import { APIC_ACCESS_GFN, PAGE_SHIFT, REQUEST_APIC_RELOAD } from "../abi/layout.js";
import type { VcpuState } from "../cpu/index.js";
import { makeAllVcpusRequest } from "./requests/vcpu-requests.js";
import type { VcpuContext, VcpuOutcome } from "./vcpu-context.js";

const APIC_ACCESS_GPA = APIC_ACCESS_GFN * (1 << PAGE_SHIFT);

/** Deals with REQUEST_APIC_RELOAD. Only an APIC at its first address has the page; elsewhere, and off, or by MSRs, its accesses exit. */
export function reloadApicAccess({ state, apic, machine }: VcpuContext): VcpuOutcome | undefined {
  const frame = apic.mmioBase() === APIC_ACCESS_GPA ? machine.findApicFrame() : "no-slot";
  if (frame === "out-of-memory") return { kind: "out-of-memory" };
  if (frame === "changing") state.repeatRequest(REQUEST_APIC_RELOAD);
  else state.apicAccessFrame = frame === "no-slot" ? 0 : frame;
  return undefined;
}

/**
 * Any thread: the frame of the APIC access page is about to change. On return no vCPU compares with the one it has now until it has
 * looked it up again. Precondition: an invalidation of the page is active, and its page tables have not been changed yet.
 */
export function requestApicReload(vcpus: readonly VcpuState[], mustNotSleep: boolean): void {
  makeAllVcpusRequest(vcpus, REQUEST_APIC_RELOAD, { wait: true, mustNotSleep });
}
