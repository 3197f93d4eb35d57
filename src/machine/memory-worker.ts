/** Thread of the memory: reclaims, moves pages in a storm, and does what the operator asks of the guest's memory. */
import type { Gfn } from "../abi/address.js";
import { NPT_PRESENT } from "../abi/layout.js";
import { VcpuState } from "../cpu/index.js";
import type { HostMemory } from "../host-memory/index.js";
import { monotonicNs, postToOwner, receiveFromOwner, threadData } from "../platform/node/index.js";
import { type MemoryOperations, type MemoryRequest, MemoryThread, StormBlock } from "./memory/index.js";
import type { ThreadStart } from "./messages.js";
import { attachHost } from "./thread-host.js";

function run(start: ThreadStart): void {
  const vcpus = Array.from({ length: start.vcpuCount }, (_, index) => new VcpuState(start.memory, index));
  const host = attachHost(start, vcpus);
  new MemoryThread({
    operations: memoryOperations(host),
    storm: new StormBlock(start.memory),
    nowNs: monotonicNs,
    receive: () => receiveFromOwner<MemoryRequest>(),
    post: (message) => postToOwner(message),
  }).run();
}

/** The host's memory as the memory thread sees it. */
function memoryOperations(host: HostMemory): MemoryOperations {
  return Object.assign(host, {
    // A page that shares its frame is no candidate for presentPfn, but the processor has it.
    hasFrame: (gfn: Gfn) => (host.nptEntry(gfn) & NPT_PRESENT) !== 0 || isPresent(host, gfn),
  });
}

function isPresent(host: HostMemory, gfn: Gfn): boolean {
  const page = host.findHvaPage(gfn);
  return page >= 0 && host.presentPfn(page) !== undefined;
}

run(threadData<ThreadStart>());
