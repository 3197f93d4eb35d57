/**
 * One local APIC in shared memory: its registers in the vCPU's virtual-APIC page, where the guest reads them too (APIC_PAGE of
 * abi/layout.ts), and what no register shows (XEN_APIC of abi/xen-block.ts). Other vCPUs' threads deliver into it.
 */
import { APIC_PAGE, VCPU_AREA, VCPU_AREA_BASE, VCPU_AREA_STRIDE } from "../../abi/layout.js";
import { XEN_APIC, XEN_APIC_STRIDE, XEN_BLOCK_BASE, XEN_DOMAIN } from "../../abi/xen-block.js";

/** Bytes from register to register. */
const REGISTER_STRIDE = 16;

/** Registers are named by their offsets in the page (APIC_PAGE), 64-bit fields by XEN_APIC; every access is atomic. */
export class ApicRegisters {
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #page: number;
  readonly #base: number;

  constructor(memory: { readonly buffer: ArrayBufferLike }, vcpu: number) {
    this.#words = new Int32Array(memory.buffer);
    this.#longs = new BigInt64Array(memory.buffer);
    this.#page = VCPU_AREA_BASE + vcpu * VCPU_AREA_STRIDE + VCPU_AREA.virtualApic;
    this.#base = XEN_BLOCK_BASE + XEN_DOMAIN.apics + vcpu * XEN_APIC_STRIDE;
  }

  /** Reads a register, unsigned. */
  load(register: number): number {
    return Atomics.load(this.#words, (this.#page + register) >>> 2) >>> 0;
  }

  /** Writes a register. */
  store(register: number, value: number): void {
    Atomics.store(this.#words, (this.#page + register) >>> 2, value | 0);
  }

  /** Sets bits of a register. */
  or(register: number, bits: number): void {
    Atomics.or(this.#words, (this.#page + register) >>> 2, bits | 0);
  }

  /** Notes errors for the next write of ESR. */
  noteErrors(bits: number): void {
    Atomics.or(this.#words, (this.#base + XEN_APIC.errors) >>> 2, bits);
  }

  /** The errors noted since the last call. */
  takeErrors(): number {
    return Atomics.exchange(this.#words, (this.#base + XEN_APIC.errors) >>> 2, 0) >>> 0;
  }

  /** Reads a 64-bit number below 2^53. */
  loadNumber(field: number): number {
    return Number(Atomics.load(this.#longs, (this.#base + field) >>> 3));
  }

  /** Writes a 64-bit number below 2^53. */
  storeNumber(field: number, value: number): void {
    Atomics.store(this.#longs, (this.#base + field) >>> 3, BigInt(value));
  }

  /**
   * Requests an interrupt of `vector`, a level or an edge; returns whether it was not requested yet. The kind comes first: it says how the
   * interrupt ends, and that may be at once.
   */
  request(vector: number, isLevel: boolean): boolean {
    if (isLevel) this.setVector(APIC_PAGE.tmr, vector);
    else if (this.hasVector(APIC_PAGE.tmr, vector)) this.clearVector(APIC_PAGE.tmr, vector);
    return !this.setVector(APIC_PAGE.irr, vector);
  }

  /** Whether bit `vector` of the 256 bits from register `first` on is set. */
  hasVector(first: number, vector: number): boolean {
    return (Atomics.load(this.#words, this.#vectorIndex(first, vector)) & (1 << (vector & 31))) !== 0;
  }

  /** Sets bit `vector` of the 256 bits from register `first` on; returns whether it was set before. */
  setVector(first: number, vector: number): boolean {
    const bit = 1 << (vector & 31);
    return (Atomics.or(this.#words, this.#vectorIndex(first, vector), bit) & bit) !== 0;
  }

  /** Clears bit `vector` of the 256 bits from register `first` on; returns whether it was set before. */
  clearVector(first: number, vector: number): boolean {
    const bit = 1 << (vector & 31);
    return (Atomics.and(this.#words, this.#vectorIndex(first, vector), ~bit) & bit) !== 0;
  }

  /** The highest vector set in the 256 bits from register `first` on, -1 = none. */
  highestVector(first: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.load(first + word * REGISTER_STRIDE);
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  /** How many of the 256 bits from register `first` on are set, 2 = two or more. */
  countVectors(first: number): 0 | 1 | 2 {
    let count = 0;
    for (let word = 0; word < 8; word++) {
      const bits = this.load(first + word * REGISTER_STRIDE);
      if (bits !== 0) count += (bits & (bits - 1)) === 0 ? 1 : 2;
    }
    return count > 1 ? 2 : count as 0 | 1;
  }

  /** Zeroes the 256 bits from register `first` on. */
  clearVectors(first: number): void {
    for (let word = 0; word < 8; word++) this.store(first + word * REGISTER_STRIDE, 0);
  }

  /** LVT entry `entry` (0..5). */
  lvt(entry: number): number {
    return this.load(APIC_PAGE.lvt + entry * REGISTER_STRIDE);
  }

  /** Writes LVT entry `entry` (0..5). */
  storeLvt(entry: number, value: number): void {
    this.store(APIC_PAGE.lvt + entry * REGISTER_STRIDE, value);
  }

  #vectorIndex(first: number, vector: number): number {
    return (this.#page + first + (vector >>> 5) * REGISTER_STRIDE) >>> 2;
  }

  /** The base register, set at first use. */
  get base(): number {
    return this.loadNumber(XEN_APIC.base);
  }
}
