/**
 * Access to the Xen block of the shared memory (layout and locks: abi/xen-block.ts). One instance a thread, all over the
 * same memory. Offsets are bytes from the start of the block.
 *
 * Lock order: domainLock, eventLock, then a vCPU's runstateLock; guest pages may be accessed under each.
 */
import {
  atomicAdd, atomicAnd, atomicAndLong, atomicCompareExchange, atomicExchange, atomicLoad, atomicLoadLong, atomicOr, atomicOrLong,
  atomicStore, atomicStoreLong, sharedLongsOf, sharedWordsOf, withLock, withLockIfFree,
} from "#sync";
import type { SharedLongs, SharedWords } from "#sync";
import { XEN_BLOCK_BASE, XEN_DOMAIN, XEN_PORT_SIZE, XEN_VCPU, XEN_VCPU_STRIDE } from "../../abi/xen-block.js";

const ALL_ONES = (1n << 64n) - 1n;

/** Offset of field `field` (XEN_VCPU.*) of vCPU `vcpu`. */
export function vcpuField(vcpu: number, field: number): number {
  return XEN_DOMAIN.vcpus + vcpu * XEN_VCPU_STRIDE + field;
}

/** Offset of field `field` (XEN_PORT.*) of port `port`. */
export function portField(port: number, field: number): number {
  return XEN_DOMAIN.ports + port * XEN_PORT_SIZE + field;
}

/** Typed words of the Xen block and its locks. */
export class DomainState {
  readonly #words: SharedWords;
  readonly #longs: SharedLongs;

  constructor(buffer: ArrayBufferLike) {
    this.#words = sharedWordsOf(buffer);
    this.#longs = sharedLongsOf(buffer);
  }

  #wordIndex(offset: number): number {
    return (XEN_BLOCK_BASE + offset) >>> 2;
  }

  /** Reads a 32-bit word, unsigned. */
  u32(offset: number): number {
    return atomicLoad(this.#words, this.#wordIndex(offset)) >>> 0;
  }

  /** Writes a 32-bit word. */
  setU32(offset: number, value: number): void {
    atomicStore(this.#words, this.#wordIndex(offset), value | 0);
  }

  /** Adds to a 32-bit word and returns the old value. */
  addU32(offset: number, value: number): number {
    return atomicAdd(this.#words, this.#wordIndex(offset), value) >>> 0;
  }

  /** Sets bits and returns the old value. */
  orU32(offset: number, bits: number): number {
    return atomicOr(this.#words, this.#wordIndex(offset), bits) >>> 0;
  }

  /** Keeps only the bits of `mask` and returns the old value. */
  andU32(offset: number, mask: number): number {
    return atomicAnd(this.#words, this.#wordIndex(offset), mask) >>> 0;
  }

  /** Writes a word and returns the old value. */
  exchangeU32(offset: number, value: number): number {
    return atomicExchange(this.#words, this.#wordIndex(offset), value | 0) >>> 0;
  }

  /** Writes `value` if the word is 0; returns whether it did. */
  claimU32(offset: number, value: number): boolean {
    return atomicCompareExchange(this.#words, this.#wordIndex(offset), 0, value | 0) === 0;
  }

  /** Reads a 64-bit word, unsigned. */
  u64(offset: number): bigint {
    return BigInt.asUintN(64, atomicLoadLong(this.#longs, this.#wordIndex(offset) >>> 1));
  }

  /** Writes a 64-bit word. */
  setU64(offset: number, value: bigint): void {
    atomicStoreLong(this.#longs, this.#wordIndex(offset) >>> 1, value & ALL_ONES);
  }

  /** Sets bits of a 64-bit word and returns the old value. */
  orU64(offset: number, bits: bigint): bigint {
    return BigInt.asUintN(64, atomicOrLong(this.#longs, this.#wordIndex(offset) >>> 1, BigInt.asIntN(64, bits)));
  }

  /** Keeps only the bits of `mask` in a 64-bit word and returns the old value. */
  andU64(offset: number, mask: bigint): bigint {
    return BigInt.asUintN(64, atomicAndLong(this.#longs, this.#wordIndex(offset) >>> 1, BigInt.asIntN(64, mask)));
  }

  /** Reads a 64-bit word whose value is below 2^53. */
  number(offset: number): number {
    return Number(this.u64(offset));
  }

  /** Writes a non-negative integer below 2^53 as a 64-bit word. */
  setNumber(offset: number, value: number): void {
    this.setU64(offset, BigInt(value));
  }

  /** Whether bit `bit` of the array at `offset` is set. */
  testBit(offset: number, bit: number): boolean {
    return (this.u32(offset + (bit >>> 5) * 4) & (1 << (bit & 31))) !== 0;
  }

  /** Sets bit `bit` of the array at `offset`; returns whether it was set before. */
  setBit(offset: number, bit: number): boolean {
    return (this.orU32(offset + (bit >>> 5) * 4, 1 << (bit & 31)) & (1 << (bit & 31))) !== 0;
  }

  /** Clears bit `bit` of the array at `offset`; returns whether it was set before. */
  clearBit(offset: number, bit: number): boolean {
    return (this.andU32(offset + (bit >>> 5) * 4, ~(1 << (bit & 31))) & (1 << (bit & 31))) !== 0;
  }

  /** Clears all of `bitCount` bits (a multiple of 32) and returns the numbers of those that were set, ascending. */
  takeBits(offset: number, bitCount: number): number[] {
    const taken: number[] = [];
    for (let word = 0; word < bitCount / 32; word++) {
      if (this.u32(offset + word * 4) === 0) continue;
      const bits = this.exchangeU32(offset + word * 4, 0);
      for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) taken.push(word * 32 + bit);
    }
    return taken;
  }

  /** Runs `body` under the domain lock. Precondition: this thread holds none of the block's locks. */
  withDomainLock<T>(body: () => T): T {
    return withLock(this.#words, this.#wordIndex(XEN_DOMAIN.domainLock), body);
  }

  /** Runs `body` under the event lock. Precondition: this thread holds at most the domain lock. */
  withEventLock<T>(body: () => T): T {
    return withLock(this.#words, this.#wordIndex(XEN_DOMAIN.eventLock), body);
  }

  /** Runs `body` under the event lock if that is free; "would-block" = it is not, and nothing was done. Never sleeps for the lock. */
  withEventLockIfFree<T>(body: () => T): T | "would-block" {
    return withLockIfFree(this.#words, this.#wordIndex(XEN_DOMAIN.eventLock), body);
  }

  /** Runs `body` under the run state lock of `vcpu`, the innermost one. */
  withRunstateLock<T>(vcpu: number, body: () => T): T {
    return withLock(this.#words, this.#wordIndex(vcpuField(vcpu, XEN_VCPU.runstateLock)), body);
  }
}
