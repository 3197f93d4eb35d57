/** Thread of the memory: reclaims, moves pages in a storm, and does what the operator asks of the guest's memory. */
import { VcpuState } from "../cpu/index.js";
import { monotonicNs, postToOwner, receiveFromOwner, threadData } from "../platform/node/index.js";
import { type MemoryRequest, MemoryThread, StormBlock } from "./memory/index.js";
import type { ThreadStart } from "./messages.js";
import { attachHost } from "./thread-host.js";

function run(start: ThreadStart): void {
  const vcpus = Array.from({ length: start.vcpuCount }, (_, index) => new VcpuState(start.memory, index));
  const host = attachHost(start, vcpus);
  new MemoryThread({
    operations: host,
    storm: new StormBlock(start.memory),
    nowNs: monotonicNs,
    receive: () => receiveFromOwner<MemoryRequest>(),
    post: (message) => postToOwner(message),
  }).run();
}

run(threadData<ThreadStart>());
