/** A thread's own handle on the host memory, with what every thread of a VM needs to fault pages in and to take them away. */
import type { VcpuState } from "../cpu/index.js";
import { HostMemory } from "../host-memory/index.js";
import { monotonicNs, SwapFileSlots } from "../platform/node/index.js";
import { announceApicChanges } from "./apic-access.js";
import type { ThreadStart } from "./messages.js";
import { vcpuFlush } from "./vcpu-flush.js";

/** Opens the VM's memory in a thread other than the one that made it. `vcpus` are all of the VM. */
export function attachHost({ memory, swap }: ThreadStart, vcpus: readonly VcpuState[]): HostMemory {
  const host = HostMemory.attach(memory);
  host.setVcpuFlush(vcpuFlush(vcpus));
  announceApicChanges(host, vcpus);
  host.setClock(monotonicNs);
  if (swap !== undefined) host.setSwapStore(new SwapFileSlots(swap));
  return host;
}
