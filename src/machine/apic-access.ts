/** The VM's APIC access page in host memory: one movable page of a memslot of its own (src/exit/apic-reload.ts has the protocol). */
import { frameAddress, gfnOf } from "../abi/address.js";
import { APIC_ACCESS_GFN } from "../abi/layout.js";
import { pageUserNumber } from "../abi/page-users.js";
import type { VcpuState } from "../cpu/index.js";
import { type MachineCalls, requestApicReload } from "../exit/index.js";
import type { HostMemory } from "../host-memory/index.js";

/** Its memslot's id: above those of RAM, below those that the domain makes. */
const APIC_ACCESS_SLOT = 0xfff;
const GFN = gfnOf(APIC_ACCESS_GFN);

/** Gives the VM its APIC access page. Once, before the vCPUs run. */
export function addApicAccessPage(host: HostMemory): void {
  host.addMemslot({ id: APIC_ACCESS_SLOT, baseGfn: GFN, pageCount: 1 });
  // A storm moves what is noted with each of its rounds.
  host.noteMapped(GFN, pageUserNumber("APIC access page"));
}

/** Has this thread's changes of pages tell the vCPUs when the access page is among them. Every thread that opens the host memory calls it once. */
export function announceApicChanges(host: HostMemory, vcpus: readonly VcpuState[]): void {
  host.registerNotifier({
    invalidateRangeStart({ firstGfn, pageCount }, mustNotSleep) {
      if (GFN >= firstGfn && GFN < firstGfn + pageCount) requestApicReload(vcpus, mustNotSleep);
    },
    invalidateRangeEnd() {},
  });
}

/** MachineCalls.findApicFrame: the sequence first, the frame second, and whether both still belong together last. */
export function findApicFrame(host: HostMemory): ReturnType<MachineCalls["findApicFrame"]> {
  const page = host.findHvaPage(GFN);
  if (page < 0) return "no-slot";
  const index = host.invalidations.sequenceIndex(page);
  const sequence = host.invalidations.sequence(index);
  const result = host.faultIn(GFN, true);
  if (result === "stalled") return "changing";
  if (result !== "mapped") return result;
  const pfn = host.presentPfn(page);
  return pfn !== undefined && host.invalidations.mayPublish(index, sequence) ? frameAddress(pfn) : "changing";
}
