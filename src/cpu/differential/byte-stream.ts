/** Growing byte streams for the vector files. */
export class ByteWriter {
  private bytes = new Uint8Array(1 << 16);
  private view = new DataView(this.bytes.buffer);
  private length = 0;

  private room(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2 + size);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }

  u8(value: number): void { const at = this.room(1); this.view.setUint8(at, value); }
  u16(value: number): void { const at = this.room(2); this.view.setUint16(at, value, true); }
  u32(value: number): void { const at = this.room(4); this.view.setUint32(at, value, true); }
  u64(value: bigint): void { const at = this.room(8); this.view.setBigUint64(at, value, true); }

  raw(bytes: Uint8Array): void { const at = this.room(bytes.length); this.bytes.set(bytes, at); }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u16(bytes.length);
    this.raw(bytes);
  }

  finish(): Uint8Array { return this.bytes.subarray(0, this.length); }
}

/** Reads what ByteWriter wrote. */
export class ByteReader {
  private readonly view: DataView;
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(): number { return this.view.getUint8(this.at++); }
  u16(): number { this.at += 2; return this.view.getUint16(this.at - 2, true); }
  u32(): number { this.at += 4; return this.view.getUint32(this.at - 4, true); }
  u64(): bigint { this.at += 8; return this.view.getBigUint64(this.at - 8, true); }

  raw(size: number): Uint8Array { this.at += size; return this.bytes.subarray(this.at - size, this.at); }

  text(): string { return new TextDecoder().decode(this.raw(this.u16())); }

  get ended(): boolean { return this.at >= this.bytes.length; }
}
