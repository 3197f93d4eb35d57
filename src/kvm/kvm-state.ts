/** Access to the KVM block of the shared memory (abi/kvm-block.ts). Offsets are bytes from its start; every access is atomic. */
import {
  atomicAdd, atomicLoad, atomicLoadLong, atomicStore, atomicStoreLong, sharedLongsOf, sharedWordsOf, type SharedLongs, type SharedWords,
} from "#sync";
import { KVM_BLOCK_BASE, KVM_VCPU_BASE, KVM_VCPU_STRIDE } from "../abi/kvm-block.js";

/** Offset of field `field` (KVM_VCPU.*) of vCPU `vcpu`. */
export function kvmVcpuField(vcpu: number, field: number): number {
  return KVM_VCPU_BASE + vcpu * KVM_VCPU_STRIDE + field;
}

/** Typed words of the KVM block. */
export class KvmState {
  readonly #words: SharedWords;
  readonly #longs: SharedLongs;

  constructor(buffer: ArrayBufferLike) {
    this.#words = sharedWordsOf(buffer);
    this.#longs = sharedLongsOf(buffer);
  }

  /** Reads a 32-bit word, unsigned. */
  u32(offset: number): number {
    return atomicLoad(this.#words, (KVM_BLOCK_BASE + offset) >>> 2) >>> 0;
  }

  setU32(offset: number, value: number): void {
    atomicStore(this.#words, (KVM_BLOCK_BASE + offset) >>> 2, value | 0);
  }

  /** Adds 1 to a 32-bit word. */
  count(offset: number): void {
    atomicAdd(this.#words, (KVM_BLOCK_BASE + offset) >>> 2, 1);
  }

  /** Reads a 64-bit word, unsigned. */
  u64(offset: number): bigint {
    return BigInt.asUintN(64, atomicLoadLong(this.#longs, (KVM_BLOCK_BASE + offset) >>> 3));
  }

  setU64(offset: number, value: bigint): void {
    atomicStoreLong(this.#longs, (KVM_BLOCK_BASE + offset) >>> 3, BigInt.asIntN(64, value));
  }
}
