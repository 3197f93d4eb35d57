/**
 * The window through which one access touches an opened guest page. All values are little endian; every offset counts
 * from the start of the opened range and is checked against its length.
 *
 * Plain reads and writes take any alignment and may tear; atomic ones need natural alignment and order everything.
 */
import { assert } from "../host-memory/index.js";
import type { HostViews } from "../host-memory/index.js";

/** Valid only inside the callback that received it; using it afterwards is an assertion failure. */
export class PageView {
  readonly #views: HostViews;
  /** Byte address of the opened range's first byte while a section is open. */
  #base = 0;
  /** Length of the opened range while a section is open, otherwise 0, so that each use fails its bounds check. */
  #limit = 0;
  #wrote = false;

  /** Made once per guest page; not for users. */
  constructor(views: HostViews) {
    this.#views = views;
  }

  /** Points the view at `lengthBytes` bytes from `byteAddress`. For guest-page only. */
  open(byteAddress: number, lengthBytes: number): void {
    this.#base = byteAddress;
    this.#limit = lengthBytes;
  }

  /** Makes every further use fail. For guest-page only. */
  close(): void {
    this.#limit = 0;
  }

  /** Whether something was written since the last call. For guest-page only. */
  takeWrote(): boolean {
    const wrote = this.#wrote;
    this.#wrote = false;
    return wrote;
  }

  /** Length of the opened range in bytes. */
  get lengthBytes(): number {
    return this.#limit;
  }

  #address(offset: number, size: number): number {
    assert(offset >= 0 && offset + size <= this.#limit,
      "expected an access inside the opened range and inside the callback, got", offset, size, this.#limit);
    return this.#base + offset;
  }

  #writable(offset: number, size: number): number {
    this.#wrote = true;
    return this.#address(offset, size);
  }

  #aligned(offset: number, size: number): number {
    const address = this.#address(offset, size);
    assert(address % size === 0, "expected a naturally aligned atomic access, got", address % 4096, size);
    return address / size;
  }

  /** Reads one byte. */
  readU8(offset: number): number {
    return this.#views.bytes[this.#address(offset, 1)]!;
  }

  /** Reads 16 bits. */
  readU16(offset: number): number {
    return this.#views.data.getUint16(this.#address(offset, 2), true);
  }

  /** Reads 32 bits, unsigned. */
  readU32(offset: number): number {
    return this.#views.data.getUint32(this.#address(offset, 4), true);
  }

  /** Reads 64 bits, unsigned. */
  readU64(offset: number): bigint {
    return this.#views.data.getBigUint64(this.#address(offset, 8), true);
  }

  /** Writes the low 8 bits of `value`. */
  writeU8(offset: number, value: number): void {
    this.#views.bytes[this.#writable(offset, 1)] = value;
  }

  /** Writes the low 16 bits of `value`. */
  writeU16(offset: number, value: number): void {
    this.#views.data.setUint16(this.#writable(offset, 2), value, true);
  }

  /** Writes the low 32 bits of `value`. */
  writeU32(offset: number, value: number): void {
    this.#views.data.setUint32(this.#writable(offset, 4), value, true);
  }

  /** Writes the low 64 bits of `value`. */
  writeU64(offset: number, value: bigint): void {
    this.#views.data.setBigUint64(this.#writable(offset, 8), value, true);
  }

  /** Copies bytes out of the page into an array of its own. */
  copyOut(offset: number, lengthBytes: number): Uint8Array {
    const address = this.#address(offset, lengthBytes);
    return this.#views.bytes.slice(address, address + lengthBytes);
  }

  /** Copies bytes of the page over `target`, from `targetOffset` on. */
  copyTo(offset: number, lengthBytes: number, target: Uint8Array, targetOffset = 0): void {
    const address = this.#address(offset, lengthBytes);
    target.set(this.#views.bytes.subarray(address, address + lengthBytes), targetOffset);
  }

  /** Copies `bytes` into the page. */
  copyIn(offset: number, bytes: Uint8Array): void {
    this.#views.bytes.set(bytes, this.#writable(offset, bytes.length));
  }

  /** Sets `lengthBytes` bytes to `value`. */
  fill(offset: number, lengthBytes: number, value = 0): void {
    const address = this.#writable(offset, lengthBytes);
    this.#views.bytes.fill(value, address, address + lengthBytes);
  }

  /** Atomic read of a byte. */
  loadU8(offset: number): number {
    return Atomics.load(this.#views.bytes, this.#address(offset, 1));
  }

  /** Atomic write of a byte. */
  storeU8(offset: number, value: number): void {
    Atomics.store(this.#views.bytes, this.#writable(offset, 1), value);
  }

  /** Atomically writes a byte and returns the old one. */
  exchangeU8(offset: number, value: number): number {
    return Atomics.exchange(this.#views.bytes, this.#writable(offset, 1), value);
  }

  /** Atomic read of 32 bits, unsigned. */
  loadU32(offset: number): number {
    return Atomics.load(this.#views.words, this.#aligned(offset, 4)) >>> 0;
  }

  /** Atomic write of 32 bits. */
  storeU32(offset: number, value: number): void {
    this.#wrote = true;
    Atomics.store(this.#views.words, this.#aligned(offset, 4), value);
  }

  /** Atomically adds (wraps) and returns the old value, unsigned. */
  addU32(offset: number, value: number): number {
    this.#wrote = true;
    return Atomics.add(this.#views.words, this.#aligned(offset, 4), value) >>> 0;
  }

  /** Atomically sets bits and returns the old value, unsigned. */
  orU32(offset: number, bits: number): number {
    this.#wrote = true;
    return Atomics.or(this.#views.words, this.#aligned(offset, 4), bits) >>> 0;
  }

  /** Atomically keeps only the bits of `mask` and returns the old value, unsigned. */
  andU32(offset: number, mask: number): number {
    this.#wrote = true;
    return Atomics.and(this.#views.words, this.#aligned(offset, 4), mask) >>> 0;
  }

  /** Atomically writes 32 bits and returns the old value, unsigned. */
  exchangeU32(offset: number, value: number): number {
    this.#wrote = true;
    return Atomics.exchange(this.#views.words, this.#aligned(offset, 4), value) >>> 0;
  }

  /** Atomically writes `replacement` if the word holds `expected`; returns the old value, unsigned. */
  compareExchangeU32(offset: number, expected: number, replacement: number): number {
    this.#wrote = true;
    return Atomics.compareExchange(this.#views.words, this.#aligned(offset, 4), expected | 0, replacement | 0) >>> 0;
  }

  /** Atomic read of 64 bits, unsigned. */
  loadU64(offset: number): bigint {
    return BigInt.asUintN(64, Atomics.load(this.#views.longs, this.#aligned(offset, 8)));
  }

  /** Atomic write of 64 bits. */
  storeU64(offset: number, value: bigint): void {
    this.#wrote = true;
    Atomics.store(this.#views.longs, this.#aligned(offset, 8), value);
  }

  /** Atomically sets bits and returns the old value, unsigned. */
  orU64(offset: number, bits: bigint): bigint {
    this.#wrote = true;
    return BigInt.asUintN(64, Atomics.or(this.#views.longs, this.#aligned(offset, 8), bits));
  }

  /** Atomically keeps only the bits of `mask` and returns the old value, unsigned. */
  andU64(offset: number, mask: bigint): bigint {
    this.#wrote = true;
    return BigInt.asUintN(64, Atomics.and(this.#views.longs, this.#aligned(offset, 8), mask));
  }

  /** Atomically writes 64 bits and returns the old value, unsigned. */
  exchangeU64(offset: number, value: bigint): bigint {
    this.#wrote = true;
    return BigInt.asUintN(64, Atomics.exchange(this.#views.longs, this.#aligned(offset, 8), value));
  }

  /** Whether bit `bit` of the bit array that starts at `offset` is set; bit n is bit n % 8 of byte n / 8. Atomic. */
  testBit(bit: number, offset = 0): boolean {
    return (this.loadU8(offset + (bit >>> 3)) & (1 << (bit & 7))) !== 0;
  }

  /** Atomically sets bit `bit` of the bit array that starts at `offset`; returns whether it was set before. */
  testAndSetBit(bit: number, offset = 0): boolean {
    const mask = 1 << (bit & 7);
    return (Atomics.or(this.#views.bytes, this.#writable(offset + (bit >>> 3), 1), mask) & mask) !== 0;
  }

  /** Atomically clears bit `bit` of the bit array that starts at `offset`; returns whether it was set before. */
  testAndClearBit(bit: number, offset = 0): boolean {
    const mask = 1 << (bit & 7);
    return (Atomics.and(this.#views.bytes, this.#writable(offset + (bit >>> 3), 1), 0xff & ~mask) & mask) !== 0;
  }
}
