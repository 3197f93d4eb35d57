/** Directed checks of the words that KVM's personality shares with the guest: one interleaving each, exactly. In copies with paused atomics. */
import { Worker } from "node:worker_threads";
import { atomicCompareExchange, atomicLoad } from "#sync";
import { gfnOf, gpaOf } from "../../abi/address.js";
import {
  KVM_VCPU_FLUSH_TLB, KVM_VCPU_PREEMPTED, kvm_steal_time, MSR_KVM_PV_EOI_EN, MSR_KVM_SYSTEM_TIME_NEW, pvclock_vcpu_time_info,
} from "../../abi/kvm/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import { HostMemory } from "../../host-memory/index.js";
import { awaitGate, createGateLine, openGate } from "../../sync/jitter/gates.raw.js";
import type { Gate } from "../../sync/jitter/gates.raw.js";
import type { EoiTarget } from "../interfaces.js";
import { KvmDomain } from "../kvm-domain.js";
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

/** A vCPU of its own, on this thread. */
function domainOf(host: HostMemory): { domain: KvmDomain; apic: EoiTarget & { ended: number } } {
  let nowNs = 1_000_000;
  const domain = new KvmDomain({ memory: host.memory, clock: { nowNs: () => (nowNs += 1_000_000) }, runDelayNs: () => 0, flushTlb: () => undefined }, new GuestMemory(host));
  const apic = { ended: 0, hasSoleInterrupt: () => true, endInterrupt: (): void => void apic.ended++ };
  return { domain, apic };
}

function hostWithPages(): HostMemory {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 8 });
  return host;
}

/** The guest names another place for its clock; nothing is written any more to the one from before. */
function clockFollowsRegister(): void {
  const host = hostWithPages();
  const { domain } = domainOf(host);
  const guest = new GuestMemory(host);
  for (const gpa of [0x2040, 0x3040]) domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(gpa) | 1n);
  const before = guest.read(gpaOf(0x2040), pvclock_vcpu_time_info.size)!;
  domain.resumed(0);
  const after = guest.read(gpaOf(0x2040), pvclock_vcpu_time_info.size)!;
  if (!before.every((byte, at) => byte === after[at])) throw new Error("where a clock is no more it was written");
  if (guest.readU32(gpaOf(0x3040 + pvclock_vcpu_time_info.version)) === 0) throw new Error("a clock is not where its register says");
}

/** The guest ends its interrupt in memory, and another one not. */
function givenEoiIsTaken(): void {
  const host = hostWithPages();
  const { domain, apic } = domainOf(host);
  const guest = new GuestMemory(host);
  domain.writeMsr(0, MSR_KVM_PV_EOI_EN, 0x2041n);
  domain.enterGuest(0, apic, -1);
  guest.writeU32(gpaOf(0x2040), 0);
  domain.leaveGuest(0, apic);
  domain.enterGuest(0, apic, -1);
  domain.leaveGuest(0, apic);
  if (apic.ended !== 1) throw new Error(`an EOI was given in memory once, and taken ${apic.ended} times`);
}

/** By name, for catcher.ts. */
export const CHECKS = {
  "a flush that is left to a sleeping vCPU is made": leftFlushes,
  "a clock in the middle of its change says so": readClockInChange,
  "a clock is where its register says, and nowhere else": clockFollowsRegister,
  "an EOI that was given in memory is taken": givenEoiIsTaken,
} as const;
