/** A second vCPU of a bare machine, on a thread of its own: runs from the registers in its state until its program halts or it is to end. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicLoad, type SharedWords } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, VCPU } from "../../abi/layout.js";
import { createCore } from "../core.raw.js";
import { VcpuState } from "../vcpu-state.raw.js";

/** What the thread is started with. */
export interface OtherVcpuJob {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly vcpuIndex: number;
  /** Its only word is 1 when the thread is to end. */
  readonly stop: SharedWords;
}

const { module, memory, vcpuIndex, stop } = workerData as OtherVcpuJob;
const state = new VcpuState(memory, vcpuIndex);
const epoch = state.wordIndex(VCPU.guestEpoch);
const core = createCore({ module, memory, vcpuIndex, timestamp: () => 0 });
parentPort!.postMessage("begun");
let reason: number = EXIT_BUDGET;
while (reason === EXIT_BUDGET && atomicLoad(stop, 0) === 0) {
  atomicAdd(state.words, epoch, 1);
  reason = core.run(10_000);
  atomicAdd(state.words, epoch, 1);
}
if (reason !== EXIT_BUDGET && reason !== EXIT_HLT) throw new Error(`vCPU ${vcpuIndex}: exit ${reason} at 0x${state.rip.toString(16)}`);
