/**
 * The clock of a PC (Motorola MC146818 data sheet), to read only: UTC in BCD and 24 hours, without alarm and interrupt. A kernel that has lost time
 * while it booted sets itself by it. Its one state, the register that was selected, is in shared memory.
 */
import { atomicLoad, atomicLoadLong, atomicStore, sharedLongsOf, sharedWordsOf, type SharedLongs, type SharedWords } from "#sync";
import { KVM_BLOCK_BASE, KVM_DOMAIN } from "../../abi/kvm-block.js";
import type { DeviceClock } from "../interfaces.js";

/** The register is chosen through the first of two ports, and read through the second. */
export const RTC_PORT = 0x70;
export const RTC_PORT_COUNT = 2;

const REGISTER_MASK = 0x7f;
/** Register A: time base and rate as after a reset; no update is ever in progress. */
const STATUS_A = 0x26;
/** Register B: 24 hours, BCD, no interrupts. */
const STATUS_B = 0x02;
/** Register D: the battery has been there all the time. */
const STATUS_D = 0x80;
const NS_PER_MS = 1e6;

/** The parts of a date by register number. */
const DATE_PARTS: Readonly<Record<number, (date: Date) => number>> = {
  0: (date) => date.getUTCSeconds(),
  2: (date) => date.getUTCMinutes(),
  4: (date) => date.getUTCHours(),
  6: (date) => date.getUTCDay() + 1,
  7: (date) => date.getUTCDate(),
  8: (date) => date.getUTCMonth() + 1,
  9: (date) => date.getUTCFullYear() % 100,
};
const STATUS: Readonly<Record<number, number>> = { 0xa: STATUS_A, 0xb: STATUS_B, 0xd: STATUS_D };

/** The clock of one VM, as one thread reaches it. */
export class Rtc {
  readonly #words: SharedWords;
  readonly #longs: SharedLongs;
  readonly #clock: DeviceClock;

  /** The UTC of VM start is in the KVM block. */
  constructor(memory: { readonly buffer: ArrayBufferLike }, clock: DeviceClock) {
    this.#words = sharedWordsOf(memory.buffer);
    this.#longs = sharedLongsOf(memory.buffer);
    this.#clock = clock;
  }

  /** Chooses the register that `read` reads. */
  select(register: number): void {
    atomicStore(this.#words, (KVM_BLOCK_BASE + KVM_DOMAIN.rtcRegister) >>> 2, register & REGISTER_MASK);
  }

  /** Reads the chosen register; one that is not there reads 0. */
  read(): number {
    const register = atomicLoad(this.#words, (KVM_BLOCK_BASE + KVM_DOMAIN.rtcRegister) >>> 2);
    const part = DATE_PARTS[register];
    return part === undefined ? STATUS[register] ?? 0 : toBcd(part(this.#now()));
  }

  #now(): Date {
    const seconds = Number(atomicLoadLong(this.#longs, (KVM_BLOCK_BASE + KVM_DOMAIN.wallSeconds) >>> 3));
    const nanoseconds = atomicLoad(this.#words, (KVM_BLOCK_BASE + KVM_DOMAIN.wallNanoseconds) >>> 2);
    return new Date(seconds * 1000 + (nanoseconds + this.#clock.nowNs()) / NS_PER_MS);
  }
}

function toBcd(value: number): number {
  return Math.floor(value / 10) * 16 + value % 10;
}
