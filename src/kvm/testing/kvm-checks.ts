/** Directed checks of the words that KVM's personality shares with the guest: one interleaving each, exactly. In copies with paused atomics. */
import { Worker } from "node:worker_threads";
import { atomicCompareExchange, atomicLoad } from "#sync";
import { gfnOf } from "../../abi/address.js";
import { KVM_VCPU_FLUSH_TLB, KVM_VCPU_PREEMPTED, kvm_steal_time, pvclock_vcpu_time_info } from "../../abi/kvm/index.js";
import { HostMemory } from "../../host-memory/index.js";
import { awaitGate, createGateLine, openGate } from "../../sync/jitter/gates.raw.js";
import type { Gate } from "../../sync/jitter/gates.raw.js";
import type { KvmGatedJob } from "./kvm-gated.worker.js";

const GFN = gfnOf(2);
const OFFSET = 0x40;

interface Play {
  readonly role: KvmGatedJob["role"];
  /** The gate behind the first, given the byte address of the area. */
  readonly gate: (area: number) => Gate;
  /** What the guest does before the first gate opens, and at the second one. */
  readonly first?: (words: Int32Array, area: number) => void;
  readonly second: (words: Int32Array, area: number) => void;
}

/** Plays it; returns how often the vCPU has flushed. */
async function play({ role, gate, first, second }: Play): Promise<number> {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 8 });
  host.faultIn(GFN, true);
  const area = host.presentPfn(host.findHvaPage(GFN))! * 4096 + OFFSET;
  const line = createGateLine();
  const job: KvmGatedJob = { memory: host.memory, role, gpa: GFN * 4096 + OFFSET, line, gates: [gate(area)] };
  const worker = new Worker(new URL("./kvm-gated.worker.js", import.meta.url), { workerData: job });
  const end = new Promise<number>((resolve, reject) => void worker.once("message", resolve).once("error", reject));
  if (!awaitGate(line, 1)) throw new Error("the vCPU does not come to its first gate");
  first?.(host.words, area);
  openGate(line, 1);
  if (!awaitGate(line, 2)) throw new Error("the vCPU neither comes to its second gate nor ends");
  second(host.words, area);
  openGate(line, 2);
  const flushes = await end;
  await worker.terminate();
  return flushes;
}

/** As the guest's kernel does; whether the flush was left. */
function leaveFlush(words: Int32Array, area: number): boolean {
  return atomicCompareExchange(words, (area + kvm_steal_time.preempted) >> 2, KVM_VCPU_PREEMPTED, KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB) === KVM_VCPU_PREEMPTED;
}

/** A flush is left before the vCPU wakes, and between two accesses to the byte by which it wakes, if there are two. */
async function leftFlushes(): Promise<void> {
  const gate = (area: number): Gate => ({ index: area + kvm_steal_time.preempted, count: 2, isByte: true });
  let isLeft = false;
  const leave = (words: Int32Array, area: number): void => void (isLeft = leaveFlush(words, area));
  if (await play({ role: "wake", gate, first: leave, second: () => undefined }) !== 1 || !isLeft) throw new Error("a flush that is left to a sleeper is made once, when it wakes");
  const flushes = await play({ role: "wake", gate, second: leave });
  if (flushes !== (isLeft ? 1 : 0)) throw new Error(`a flush that is left to a vCPU while it wakes: left ${isLeft}, made ${flushes} times`);
}

/** The guest reads a clock when one of its two times is written and the other is not. */
async function readClockInChange(): Promise<void> {
  let seen: number[] = [];
  await play({
    role: "publish",
    gate: (area) => ({ index: (area + pvclock_vcpu_time_info.system_time) >> 2, count: 1 }),
    second: (words, area) => (seen = [pvclock_vcpu_time_info.version, pvclock_vcpu_time_info.tsc_timestamp, pvclock_vcpu_time_info.system_time].map((field) => atomicLoad(words, (area + field) >> 2))),
  });
  const [version = 0, timestamp, time] = seen;
  if (timestamp === time) throw new Error("the clock is not in the middle of its change: this check is out of date");
  if ((version & 1) === 0) throw new Error(`a clock in the middle of its change has version ${version}`);
}

/** By name, for catcher.ts. */
export const CHECKS = {
  "a flush that is left to a sleeping vCPU is made": leftFlushes,
  "a clock in the middle of its change says so": readClockInChange,
} as const;
