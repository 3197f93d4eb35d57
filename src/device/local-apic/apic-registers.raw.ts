/** The registers of one local APIC in the shared Xen block (abi/xen-block.ts): other vCPUs' threads deliver into them. */
import { XEN_APIC, XEN_APIC_STRIDE, XEN_BLOCK_BASE, XEN_DOMAIN } from "../../abi/xen-block.js";

/** Offsets are those of XEN_APIC; every access is atomic. */
export class ApicRegisters {
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #base: number;

  constructor(memory: { readonly buffer: ArrayBufferLike }, vcpu: number) {
    this.#words = new Int32Array(memory.buffer);
    this.#longs = new BigInt64Array(memory.buffer);
    this.#base = XEN_BLOCK_BASE + XEN_DOMAIN.apics + vcpu * XEN_APIC_STRIDE;
  }

  /** Reads 32 bits, unsigned. */
  load(field: number): number {
    return Atomics.load(this.#words, (this.#base + field) >>> 2) >>> 0;
  }

  /** Writes 32 bits. */
  store(field: number, value: number): void {
    Atomics.store(this.#words, (this.#base + field) >>> 2, value | 0);
  }

  /** Writes 32 bits and returns the old value, unsigned. */
  exchange(field: number, value: number): number {
    return Atomics.exchange(this.#words, (this.#base + field) >>> 2, value | 0) >>> 0;
  }

  /** Sets bits. */
  or(field: number, bits: number): void {
    Atomics.or(this.#words, (this.#base + field) >>> 2, bits | 0);
  }

  /** Reads a 64-bit number below 2^53. */
  loadNumber(field: number): number {
    return Number(Atomics.load(this.#longs, (this.#base + field) >>> 3));
  }

  /** Writes a 64-bit number below 2^53. */
  storeNumber(field: number, value: number): void {
    Atomics.store(this.#longs, (this.#base + field) >>> 3, BigInt(value));
  }

  /** Sets bit `vector` of the 256-bit array at `field`; returns whether it was set before. */
  setVector(field: number, vector: number): boolean {
    const bit = 1 << (vector & 31);
    return (Atomics.or(this.#words, (this.#base + field + (vector >>> 5) * 4) >>> 2, bit) & bit) !== 0;
  }

  /** Clears bit `vector` of the 256-bit array at `field`; returns whether it was set before. */
  clearVector(field: number, vector: number): boolean {
    const bit = 1 << (vector & 31);
    return (Atomics.and(this.#words, (this.#base + field + (vector >>> 5) * 4) >>> 2, ~bit) & bit) !== 0;
  }

  /** The highest vector set in the 256-bit array at `field`, -1 = none. */
  highestVector(field: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.load(field + word * 4);
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  /** How many vectors are set in the 256-bit array at `field`, 2 = two or more. */
  countVectors(field: number): 0 | 1 | 2 {
    let count = 0;
    for (let word = 0; word < 8; word++) {
      const bits = this.load(field + word * 4);
      if (bits !== 0) count += (bits & (bits - 1)) === 0 ? 1 : 2;
    }
    return count > 1 ? 2 : count as 0 | 1;
  }

  /** Zeroes the 256-bit array at `field`. */
  clearVectors(field: number): void {
    for (let word = 0; word < 8; word++) this.store(field + word * 4, 0);
  }

  /** The base register, set at first use. */
  get base(): number {
    return this.loadNumber(XEN_APIC.base);
  }
}
