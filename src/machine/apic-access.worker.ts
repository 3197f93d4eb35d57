/**
 * A vCPU of apic-access.test.ts: the real run loop, core and local APIC. "no-retry" is the broken twin that takes the frame as it
 * finds it, without asking whether an invalidation is in progress.
 */
import { parentPort, workerData } from "node:worker_threads";
import { frameAddress, gfnOf } from "../abi/address.js";
import { APIC_ACCESS_GFN } from "../abi/layout.js";
import { createCore, VcpuState } from "../cpu/index.js";
import { LocalApic } from "../device/index.js";
import { runVcpu, VcpuCounters } from "../exit/index.js";
import { createTestVcpu } from "../exit/test-vcpu.js";
import { HostMemory } from "../host-memory/index.js";
import { findApicFrame } from "./apic-access.js";
import { vcpuFlush } from "./vcpu-flush.js";

/** What a vCPU's thread is started with. */
export interface Job {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly index: number;
  readonly vcpuCount: number;
  readonly twin: "no-retry" | "no-request" | undefined;
}

const { memory, module, index, vcpuCount, twin } = workerData as Job;
const host = HostMemory.attach(memory);
const vcpus = Array.from({ length: vcpuCount }, (_, n) => new VcpuState(memory, n));
host.setVcpuFlush(vcpuFlush(vcpus));

function frameAsItIs(): number {
  const page = host.findHvaPage(gfnOf(APIC_ACCESS_GFN));
  host.faultIn(gfnOf(APIC_ACCESS_GFN), true);
  const pfn = host.presentPfn(page);
  return pfn === undefined ? frameAsItIs() : frameAddress(pfn);
}

const apic = new LocalApic(memory, index, { vcpuCount });
const core = createCore({ module, memory, vcpuIndex: index, timestamp: () => 0 });
const pretended = createTestVcpu({
  memory, index,
  machine: { faultIn: (gfn, write) => host.faultIn(gfn, write), findApicFrame: () => (twin === "no-retry" ? frameAsItIs() : findApicFrame(host)) },
});
const state = vcpus[index]!;
state.resetForPvh(0x1000 + index * 0x1000, 0);
parentPort!.postMessage(runVcpu({ ...pretended, state, core, apic, counters: new VcpuCounters(memory, index) }).kind);
