/** Little-endian fields of an ABI structure that was copied out of a guest, and of one that will be copied into it. */

/** A structure as bytes. Offsets are the ABI's; out of range is an error of the caller. */
export class Fields {
  /** The structure; shared with the caller, not copied. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A zeroed structure of `size` bytes. */
  static zeroed(size: number): Fields {
    return new Fields(new Uint8Array(size));
  }

  #byte(offset: number): number {
    const value = this.bytes[offset];
    if (value === undefined) throw new RangeError(`fields: expected an offset below ${this.bytes.length}, got ${offset}`);
    return value;
  }

  /** 16 bits, unsigned. */
  u16(offset: number): number {
    return this.#byte(offset) | (this.#byte(offset + 1) << 8);
  }

  /** 32 bits, unsigned. */
  u32(offset: number): number {
    return (this.u16(offset) | (this.u16(offset + 2) << 16)) >>> 0;
  }

  /** 64 bits, unsigned. */
  u64(offset: number): bigint {
    return BigInt(this.u32(offset)) | (BigInt(this.u32(offset + 4)) << 32n);
  }

  /** Writes the low 16 bits. */
  setU16(offset: number, value: number): this {
    this.#byte(offset + 1);
    this.bytes[offset] = value & 0xff;
    this.bytes[offset + 1] = (value >>> 8) & 0xff;
    return this;
  }

  /** Writes the low 32 bits. */
  setU32(offset: number, value: number): this {
    return this.setU16(offset, value & 0xffff).setU16(offset + 2, value >>> 16);
  }

  /** Writes the low 64 bits. */
  setU64(offset: number, value: bigint): this {
    const low = BigInt.asUintN(64, value);
    return this.setU32(offset, Number(low & 0xffff_ffffn)).setU32(offset + 4, Number(low >> 32n));
  }
}
