/** Thread of page-checks.ts: moves a page, adds in it through a GuestPage or as a processor, or passes the gate, and stops before named accesses. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicStore } from "#sync";
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { VcpuState } from "../../cpu/vcpu-state.raw.js";
import { standAtGate } from "../../exit/requests/gate.js";
import { HostMemory } from "../../host-memory/index.js";
import type { SharedMemory } from "../../host-memory/index.js";
import { gatedInterposer, rest, stand } from "../../sync/jitter/gates.raw.js";
import type { Gate } from "../../sync/jitter/gates.raw.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { GuestMemory } from "../index.js";
import { WORD_SECTION } from "./page-checks.js";
import { PretendVcpu, wirePretendVcpu } from "./pretend-vcpu.js";

const { memory, role, gfn, line, gates } = workerData as {
  memory: SharedMemory; role: "mover" | "user" | "processor" | "vcpu at the gate"; gfn: number; line: Int32Array; gates: readonly Gate[];
};
const host = HostMemory.attach(memory);
const guest = new GuestMemory(host);

/** A use with a place in its middle that a gate can name: the first word of the frame. */
function use(): void {
  guest.openPage(gpaOfGfn(gfnOf(gfn)), 8, "test")!.access((view) => {
    const value = view.readU32(4);
    view.loadU32(0);
    view.writeU32(4, value + 1);
  });
}

/** Says in WORD_SECTION that it is through. */
function passGate(): void {
  standAtGate(new VcpuState(memory, 0), () => undefined);
  atomicStore(host.words, WORD_SECTION, 1);
}

wirePretendVcpu(host);
const vcpu = new PretendVcpu(host);
// A translation from before the first gate.
if (role === "processor") vcpu.load(gfnOf(gfn), 0);
// Gate 1: nothing was done yet.
stand(line);
setInterposer(gatedInterposer(line, gates));
if (role === "mover") host.moveFrames([gfnOf(gfn)]);
else if (role === "user") use();
else if (role === "vcpu at the gate") passGate();
else vcpu.increment(gfnOf(gfn), 1);
setInterposer(undefined);
rest(line, true);
parentPort!.postMessage("done");
