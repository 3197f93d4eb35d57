/** Thread of kvm-checks.ts: a vCPU of KVM's personality that stops before named accesses of what it does with its areas. */
import { parentPort, workerData } from "node:worker_threads";
import { MSR_KVM_STEAL_TIME, MSR_KVM_SYSTEM_TIME_NEW } from "../../abi/kvm/index.js";
import { RUNSTATE_blocked, RUNSTATE_running } from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import { HostMemory } from "../../host-memory/index.js";
import { gatedInterposer, rest, stand } from "../../sync/jitter/gates.raw.js";
import type { Gate } from "../../sync/jitter/gates.raw.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { KvmDomain } from "../kvm-domain.js";

/** What the thread does behind its first gate: it wakes, or publishes its time again. */
export interface KvmGatedJob {
  readonly memory: WebAssembly.Memory;
  readonly role: "wake" | "publish";
  readonly gpa: number;
  readonly line: Int32Array;
  readonly gates: readonly Gate[];
}

const { memory, role, gpa, line, gates } = workerData as KvmGatedJob;
const host = HostMemory.attach(memory);
let flushes = 0;
let nowNs = 1_000_000;
const domain = new KvmDomain({ memory, clock: { nowNs: () => (nowNs += 1_000_000) }, runDelayNs: () => 0, flushTlb: () => flushes++ }, new GuestMemory(host));
domain.writeMsr(0, role === "wake" ? MSR_KVM_STEAL_TIME : MSR_KVM_SYSTEM_TIME_NEW, BigInt(gpa) | 1n);
domain.setRunstate(0, role === "wake" ? RUNSTATE_blocked : RUNSTATE_running);
flushes = 0;
stand(line);
setInterposer(gatedInterposer(line, gates));
if (role === "wake") domain.setRunstate(0, RUNSTATE_running);
else domain.resumed(0);
setInterposer(undefined);
rest(line, true);
parentPort!.postMessage(flushes);
