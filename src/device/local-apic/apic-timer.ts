/**
 * The APIC timer (Intel SDM vol 3 §11.5.4), one-shot and periodic: counts down from the initial count at 1 GHz over the
 * divider; or by deadline, an absolute value of the TSC, which counts ns. Nothing ticks: the expiry is computed, and the run loop asks
 * for it.
 */
import { APIC_PAGE } from "../../abi/layout.js";
import { XEN_APIC } from "../../abi/xen-block.js";
import type { DeviceClock } from "../interfaces.js";
import type { ApicRegisters } from "./apic-registers.raw.js";

const LVT_MASKED = 1 << 16;
const LVT_PERIODIC = 1 << 17;
const LVT_DEADLINE = 1 << 18;
/** A deadline so far away that it does not come: above every time a number holds exactly. */
const DEADLINE_MAX = 2 ** 53 - 1;
/** The periodic timer never fires more often, however small the count: a guest may not keep its host busy. */
const PERIOD_NS_MIN = 20_000;

/** The timer of one local APIC. By the owning vCPU's thread only. */
export class ApicTimer {
  readonly #registers: ApicRegisters;
  readonly #clock: DeviceClock;

  constructor(registers: ApicRegisters, clock: DeviceClock) {
    this.#registers = registers;
    this.#clock = clock;
  }

  /** ns a count: the divide configuration register has its three bits at 0, 1 and 3; all ones mean 1. */
  #nsPerCount(): number {
    const register = this.#registers.load(APIC_PAGE.timerDivide);
    const code = (register & 3) | ((register >>> 1) & 4);
    return code === 7 ? 1 : 2 << code;
  }

  #periodNs(): number {
    return this.#registers.load(APIC_PAGE.timerInitial) * this.#nsPerCount();
  }

  get #isPeriodic(): boolean {
    return (this.#registers.lvt(0) & LVT_PERIODIC) !== 0;
  }

  get #isByDeadline(): boolean {
    return (this.#registers.lvt(0) & LVT_DEADLINE) !== 0;
  }

  get #isMasked(): boolean {
    return (this.#registers.lvt(0) & LVT_MASKED) !== 0;
  }

  /** A write of IA32_TSC_DEADLINE starts the timer, 0 stops it; it does nothing in the other modes. */
  writeDeadline(deadline: bigint): void {
    if (!this.#isByDeadline) return;
    this.#registers.storeNumber(XEN_APIC.timerExpiry, Math.min(Number(deadline), DEADLINE_MAX));
  }

  /** The deadline that is armed, 0 = none. */
  readDeadline(): bigint {
    return this.#isByDeadline ? BigInt(this.#registers.loadNumber(XEN_APIC.timerExpiry)) : 0n;
  }

  /** A write of the initial count starts the timer, 0 stops it; it does nothing while the timer goes by deadline. */
  writeInitialCount(count: number): void {
    if (this.#isByDeadline) return;
    this.#registers.store(APIC_PAGE.timerInitial, count);
    this.#start(Math.floor(this.#clock.nowNs()));
  }

  #start(fromNs: number): void {
    const periodNs = this.#periodNs();
    this.#registers.storeNumber(XEN_APIC.timerStart, fromNs);
    this.#registers.storeNumber(XEN_APIC.timerExpiry, periodNs === 0 ? 0 : fromNs + periodNs);
  }

  /** A write of the divider changes the speed of the rest of the count. */
  writeDivide(value: number): void {
    const left = this.currentCount();
    this.#registers.store(APIC_PAGE.timerDivide, value & 0xb);
    if (this.#registers.loadNumber(XEN_APIC.timerExpiry) === 0 || this.#isByDeadline) return;
    const now = Math.floor(this.#clock.nowNs());
    this.#registers.storeNumber(XEN_APIC.timerExpiry, now + left * this.#nsPerCount());
  }

  /** A write of the timer's LVT entry; an expiry that passed while it was masked is not made up for. */
  writeLvt(value: number): void {
    this.fire(this.#clock.nowNs());
    // Going by deadline or no longer so disarms the timer.
    if (((this.#registers.lvt(0) ^ value) & LVT_DEADLINE) !== 0) this.#registers.storeNumber(XEN_APIC.timerExpiry, 0);
    this.#registers.storeLvt(0, value);
  }

  /** What is left of the count. */
  currentCount(): number {
    const expiry = this.#registers.loadNumber(XEN_APIC.timerExpiry);
    if (expiry === 0 || this.#isByDeadline) return 0;
    const leftNs = expiry - this.#clock.nowNs();
    if (leftNs > 0) return Math.min(Math.ceil(leftNs / this.#nsPerCount()), 0xffff_ffff);
    if (!this.#isPeriodic) return 0;
    const periodNs = this.#periodNs();
    return Math.ceil((periodNs - (-leftNs % periodNs)) / this.#nsPerCount());
  }

  /** Absolute ns at which `fire` has an interrupt to raise, Infinity = none. */
  deadlineNs(): number {
    const expiry = this.#registers.loadNumber(XEN_APIC.timerExpiry);
    return expiry === 0 || this.#isMasked ? Infinity : expiry;
  }

  /** Passes an expiry that is due; returns whether its interrupt is to be raised. */
  fire(nowNs: number): boolean {
    const expiry = this.#registers.loadNumber(XEN_APIC.timerExpiry);
    if (expiry === 0 || nowNs < expiry) return false;
    const next = this.#isPeriodic ? this.#nextExpiry(expiry, nowNs) : 0;
    this.#registers.storeNumber(XEN_APIC.timerExpiry, next);
    return !this.#isMasked;
  }

  /** The next expiry after now, in step with the ones before; ticks nobody saw are dropped. */
  #nextExpiry(expiry: number, nowNs: number): number {
    const periodNs = Math.max(this.#periodNs(), PERIOD_NS_MIN);
    return expiry + Math.ceil((nowNs - expiry + 1) / periodNs) * periodNs;
  }

  /** Stops the timer. */
  reset(): void {
    this.#registers.store(APIC_PAGE.timerInitial, 0);
    this.#registers.store(APIC_PAGE.timerDivide, 0);
    this.#registers.storeNumber(XEN_APIC.timerExpiry, 0);
  }
}
