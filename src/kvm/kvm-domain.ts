/** KVM's personality of one VM as the rooms above see it: registers, hypercalls, and what happens around guest mode. One a thread. */
import {
  KVM_MSR_ENABLED, KVM_STEAL_RESERVED_MASK, kvm_steal_time, MSR_KVM_PV_EOI_EN, MSR_KVM_STEAL_TIME, MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK_NEW, pvclock_vcpu_time_info, pvclock_wall_clock,
} from "../abi/kvm/index.js";
import { KVM_DOMAIN, KVM_VCPU } from "../abi/kvm-block.js";
import { RUNSTATE_offline, RUNSTATE_running } from "../abi/xen/index.js";
import type { GuestMemory } from "../guest-page/index.js";
import { publishClock, publishWallClock } from "./clock.js";
import { GuestWindow } from "./guest-window.js";
import { answerHypercall, readCounts } from "./hypercalls.js";
import type { EoiTarget, KvmDomainParts } from "./interfaces.js";
import { KvmState, kvmVcpuField } from "./kvm-state.js";
import { offerEoi, takeEoi } from "./paravirtual-eoi.js";
import { addSteal, markPreempted, takePreempted } from "./steal-time.js";

/** Stolen time is published at least this often while the vCPU runs: a tick of the kernels we know. */
const STEAL_INTERVAL_NS = 4e6;
/** Areas are aligned to what their fields need. */
const ALIGNMENT = 4;
const ALIGNMENT_MASK = BigInt(ALIGNMENT - 1);
const ENABLED = Number(KVM_MSR_ENABLED);

/**
 * The registers and calls of the vCPUs. Methods that name a vCPU are for that vCPU's thread, but for `initialise`, `runstate` and
 * `hypercallCounts`, and may sleep.
 */
export class KvmDomain {
  readonly #state: KvmState;
  readonly #parts: KvmDomainParts;
  readonly #clockWindow: GuestWindow;
  readonly #wallClockWindow: GuestWindow;
  readonly #stealWindow: GuestWindow;
  readonly #eoiWindow: GuestWindow;
  #stealDueNs = 0;

  constructor(parts: KvmDomainParts, guest: GuestMemory) {
    this.#parts = parts;
    this.#state = new KvmState(parts.memory.buffer);
    this.#clockWindow = new GuestWindow(guest, "kvmclock", pvclock_vcpu_time_info.size);
    this.#wallClockWindow = new GuestWindow(guest, "wall clock", pvclock_wall_clock.size);
    this.#stealWindow = new GuestWindow(guest, "steal time", kvm_steal_time.size);
    this.#eoiWindow = new GuestWindow(guest, "PV EOI", 1);
  }

  /** Sets up a fresh VM, once, before any vCPU runs. `wallClockMs` is the UTC at VM start, in ms since 1970. */
  initialise({ wallClockMs, vcpuCount }: { readonly wallClockMs: number; readonly vcpuCount: number }): void {
    const seconds = Math.floor(wallClockMs / 1000);
    this.#state.setU64(KVM_DOMAIN.wallSeconds, BigInt(seconds));
    this.#state.setU32(KVM_DOMAIN.wallNanoseconds, Math.floor((wallClockMs - seconds * 1000) * 1e6));
    for (let vcpu = 1; vcpu < vcpuCount; vcpu++) this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.runstate), RUNSTATE_offline);
  }

  /** Runs hypercall `number` of a guest at privilege `cpl`; the result is RAX, negative = an error. */
  hypercall(number: number, cpl: number): number {
    return answerHypercall(this.#state, number, cpl);
  }

  /** Hypercalls made by all vCPUs so far, by name. */
  hypercallCounts(): Record<string, number> {
    return readCounts(this.#state);
  }

  /** What a KVM register of `vcpu` holds; undefined = there is none of this number. */
  readMsr(vcpu: number, msr: number): bigint | undefined {
    const field = MSR_FIELDS[msr];
    return field === undefined ? undefined : this.#state.u64(kvmVcpuField(vcpu, field));
  }

  /** Writes a KVM register of `vcpu`; false = #GP. An area without memory is taken and never used, as by KVM. */
  writeMsr(vcpu: number, msr: number, value: bigint): boolean {
    switch (msr) {
      case MSR_KVM_WALL_CLOCK:
      case MSR_KVM_WALL_CLOCK_NEW: return this.#writeWallClock(vcpu, value);
      case MSR_KVM_SYSTEM_TIME:
      case MSR_KVM_SYSTEM_TIME_NEW: return this.#writeSystemTime(vcpu, value, msr === MSR_KVM_SYSTEM_TIME);
      case MSR_KVM_STEAL_TIME: return this.#writeStealTime(vcpu, value);
      case MSR_KVM_PV_EOI_EN: return this.#writePvEoi(vcpu, value);
      default: return false;
    }
  }

  #writeWallClock(vcpu: number, value: bigint): boolean {
    this.#state.setU64(kvmVcpuField(vcpu, KVM_VCPU.wallClock), value);
    if ((value & ALIGNMENT_MASK) !== 0n) return true;
    const seconds = this.#state.u64(KVM_DOMAIN.wallSeconds);
    const nanoseconds = this.#state.u32(KVM_DOMAIN.wallNanoseconds);
    this.#wallClockWindow.access(Number(value), (view) => publishWallClock(view, seconds, nanoseconds));
    return true;
  }

  #writeSystemTime(vcpu: number, value: bigint, isOld: boolean): boolean {
    this.#state.setU64(kvmVcpuField(vcpu, KVM_VCPU.systemTime), value);
    this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.systemTimeIsOld), isOld ? 1 : 0);
    this.#publishClock(vcpu, false);
    return true;
  }

  /** Publishes the time again. With `wasStopped` the guest learns that it stood still. */
  #publishClock(vcpu: number, wasStopped: boolean): void {
    const gpa = this.#area(vcpu, KVM_VCPU.systemTime);
    if (gpa === undefined || gpa % ALIGNMENT !== 0) return;
    // As under KVM, only the new register stands for clocks that can be compared.
    const isStable = this.#state.u32(kvmVcpuField(vcpu, KVM_VCPU.systemTimeIsOld)) === 0;
    const nowNs = Math.floor(this.#parts.clock.nowNs());
    this.#clockWindow.access(gpa, (view) => publishClock(view, { nowNs, isStable, wasStopped }));
  }

  #writeStealTime(vcpu: number, value: bigint): boolean {
    if ((value & KVM_STEAL_RESERVED_MASK) !== 0n) return false;
    this.#state.setU64(kvmVcpuField(vcpu, KVM_VCPU.stealTime), value);
    this.#state.setU64(kvmVcpuField(vcpu, KVM_VCPU.runDelaySeen), BigInt(Math.floor(this.#parts.runDelayNs())));
    this.#enterRunning(vcpu);
    return true;
  }

  #writePvEoi(vcpu: number, value: bigint): boolean {
    if (((value & ~KVM_MSR_ENABLED) & ALIGNMENT_MASK) !== 0n) return false;
    this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.eoiPending), 0);
    this.#state.setU64(kvmVcpuField(vcpu, KVM_VCPU.pvEoi), value);
    return true;
  }

  /** Address of the area that `field` names; undefined = it is not used. */
  #area(vcpu: number, field: number): number | undefined {
    // Two words and no big number, as this is done at every entry to guest mode.
    const low = this.#state.u32(kvmVcpuField(vcpu, field));
    return (low & ENABLED) === 0 ? undefined : this.#state.u32(kvmVcpuField(vcpu, field) + 4) * 2 ** 32 + low - ENABLED;
  }

  /** `vcpu` enters `runstate` (RUNSTATE_*): running, or asleep, which the guest sees as preempted. */
  setRunstate(vcpu: number, runstate: number): void {
    this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.runstate), runstate);
    if (runstate === RUNSTATE_running) this.#enterRunning(vcpu);
    else this.#leaveRunning(vcpu);
  }

  /** The run state of `vcpu`. Any thread. */
  runstate(vcpu: number): number {
    return this.#state.u32(kvmVcpuField(vcpu, KVM_VCPU.runstate));
  }

  #leaveRunning(vcpu: number): void {
    const gpa = this.#area(vcpu, KVM_VCPU.stealTime);
    if (gpa !== undefined) this.#stealWindow.access(gpa, markPreempted);
  }

  #enterRunning(vcpu: number): void {
    const gpa = this.#area(vcpu, KVM_VCPU.stealTime);
    if (gpa === undefined) return;
    // Where the page cannot be asked (undefined), a flush may be owed.
    if (this.#stealWindow.access(gpa, takePreempted) !== false) this.#parts.flushTlb();
    this.#publishSteal(vcpu, gpa);
  }

  #publishSteal(vcpu: number, gpa: number): void {
    const seen = kvmVcpuField(vcpu, KVM_VCPU.runDelaySeen);
    const runDelay = BigInt(Math.floor(this.#parts.runDelayNs()));
    const stolen = runDelay - this.#state.u64(seen);
    this.#state.setU64(seen, runDelay);
    this.#stealDueNs = this.#parts.clock.nowNs() + STEAL_INTERVAL_NS;
    this.#stealWindow.access(gpa, (view) => addSteal(view, stolen > 0n ? stolen : 0n));
  }

  /** Before guest mode, with `offeredVector` (-1 = none) waiting to interrupt `vcpu`. */
  enterGuest(vcpu: number, apic: EoiTarget, offeredVector: number): void {
    const steal = this.#area(vcpu, KVM_VCPU.stealTime);
    if (steal !== undefined && this.#parts.clock.nowNs() >= this.#stealDueNs) this.#publishSteal(vcpu, steal);
    const eoi = this.#area(vcpu, KVM_VCPU.pvEoi);
    if (eoi === undefined) return;
    // Guest mode was not entered after all the last time: no instruction has run, so nothing has been ended.
    this.leaveGuest(vcpu, apic);
    if (!apic.hasSoleInterrupt(offeredVector)) return;
    const isOffered = this.#eoiWindow.access(eoi, (view) => (offerEoi(view), true));
    if (isOffered === true) this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.eoiPending), 1);
  }

  /** Behind guest mode, when an interrupt that was delivered is in service, and before the exit is handled. */
  leaveGuest(vcpu: number, apic: EoiTarget): void {
    const pending = kvmVcpuField(vcpu, KVM_VCPU.eoiPending);
    if (this.#state.u32(pending) === 0) return;
    this.#state.setU32(pending, 0);
    const gpa = this.#area(vcpu, KVM_VCPU.pvEoi);
    if (gpa !== undefined && this.#eoiWindow.access(gpa, takeEoi) === true) apic.endInterrupt();
  }

  /** `vcpu` goes on after it was paused: its watchdogs are told, and look away once. */
  resumed(vcpu: number): void {
    this.#publishClock(vcpu, true);
  }

  /** Notes that `vcpu` was started or stopped. What INIT resets are the registers of the areas, too. */
  markVcpuUp(vcpu: number, isUp: boolean): void {
    this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.runstate), isUp ? RUNSTATE_running : RUNSTATE_offline);
    if (!isUp) return;
    for (const field of [KVM_VCPU.systemTime, KVM_VCPU.stealTime, KVM_VCPU.pvEoi]) this.#state.setU64(kvmVcpuField(vcpu, field), 0n);
    this.#state.setU32(kvmVcpuField(vcpu, KVM_VCPU.eoiPending), 0);
  }

  /** No event channel interrupts the guest. */
  upcallPending(): boolean {
    return false;
  }

  callbackVector(): number {
    return 0;
  }

  /** The guest's timer is its local APIC's. */
  timerDeadlineNs(): number {
    return Infinity;
  }

  fireTimer(): boolean {
    return false;
  }

  /** Gives up this thread's windows on guest pages. */
  close(): void {
    for (const window of [this.#clockWindow, this.#wallClockWindow, this.#stealWindow, this.#eoiWindow]) window.close();
  }
}

const MSR_FIELDS: Readonly<Record<number, number>> = {
  [MSR_KVM_WALL_CLOCK]: KVM_VCPU.wallClock,
  [MSR_KVM_WALL_CLOCK_NEW]: KVM_VCPU.wallClock,
  [MSR_KVM_SYSTEM_TIME]: KVM_VCPU.systemTime,
  [MSR_KVM_SYSTEM_TIME_NEW]: KVM_VCPU.systemTime,
  [MSR_KVM_STEAL_TIME]: KVM_VCPU.stealTime,
  [MSR_KVM_PV_EOI_EN]: KVM_VCPU.pvEoi,
};
