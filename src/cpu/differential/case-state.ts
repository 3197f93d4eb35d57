/**
 * The initial state of a case, made from nothing but the encoding's seed and the number of the case, so that the stored
 * vectors need not hold it. A change here needs the vectors made again.
 */
import { ARGUMENT_SINGLE_STEP, type Encoding, type Profile } from "./encoding.js";
import {
  CASE, CODE_BASE, CODE_SIZE, DATA_BASE, DATA_SIZE, FS_BASE, FX, GS_BASE, READ_ONLY_BASE, SELECTOR_CODE_32, SELECTOR_CODE_64, SELECTOR_DATA, WINDOW_BASE,
  WINDOW_SIZE,
} from "./layout.js";
import { physicalOffset } from "./outcome.js";
import { Random } from "./random.js";
import { writeDecimal, writeF32, writeF64, writeF80, writeInteger, writeLanes, writeText } from "./values.js";

const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
const ARITHMETIC_FLAGS = 0x8d5;
const TRAP_FLAG = 0x100;
const DIRECTION_FLAG = 0x400;
/** The default MXCSR: all exceptions masked. */
const MXCSR_DEFAULT = 0x1f80;

/** Writes the state of case `index` of `encoding` as a struct test_case into `view` (CASE.size bytes). */
export function fillCase(view: DataView, encoding: Encoding, index: number): void {
  new CaseWriter(view, encoding, index).fill();
}

class CaseWriter {
  private readonly random: Random;
  private readonly wide: boolean;

  constructor(private readonly view: DataView, private readonly encoding: Encoding, index: number) {
    this.random = new Random(encoding.seed + Math.imul(index, 0x9e37_79b1));
    this.wide = encoding.mode === 64;
  }

  fill(): void {
    const { view, encoding, random } = this;
    view.setUint32(CASE.mode, this.wide ? 0 : 1, true);
    view.setUint32(CASE.codeOffset, encoding.codeOffset, true);
    view.setUint32(CASE.codeLength, encoding.bytes.length, true);
    for (let i = 0; i < 16; i++) view.setUint8(CASE.code + i, encoding.bytes[i] ?? 0);
    for (let n = 0; n < 16; n++) writeInteger(random, view, CASE.gpr + n * 8);
    const trap = (encoding.argument & ARGUMENT_SINGLE_STEP) === 0 ? 0 : TRAP_FLAG;
    view.setBigUint64(CASE.rflags, BigInt(0x202 | trap | (random.next() & ARITHMETIC_FLAGS) | (random.oneIn(8) ? DIRECTION_FLAG : 0)), true);
    view.setBigUint64(CASE.fsBase, this.wide ? FS_BASE : 0n, true);
    view.setBigUint64(CASE.gsBase, this.wide ? GS_BASE : 0n, true);
    this.fillFx();
    this.fillWindow();
    this.applySpecial();
    for (const [register, value] of encoding.fixups) view.setBigUint64(CASE.gpr + register * 8, value, true);
    if (!this.wide) this.narrow();
  }

  /** 32-bit code has eight registers of 32 bits. */
  private narrow(): void {
    for (let n = 0; n < 16; n++) {
      this.view.setUint32(CASE.gpr + n * 8 + 4, 0, true);
      if (n >= 8) this.view.setUint32(CASE.gpr + n * 8, 0, true);
    }
  }

  private writeProfile(profile: Profile, offset: number, size: number): void {
    const { view, random } = this;
    switch (profile) {
      case "integer": for (let i = 0; i < size; i += 8) writeInteger(random, view, offset + i); break;
      case "lanes": for (let i = 0; i < size; i += 8) writeLanes(random, view, offset + i); break;
      case "f32": for (let i = 0; i < size; i += 4) writeF32(random, view, offset + i); break;
      case "f64": for (let i = 0; i < size; i += 8) writeF64(random, view, offset + i); break;
      case "text": for (let i = 0; i < size; i += 8) writeText(random, view, offset + i); break;
      case "f80": writeF80(random, view, offset); break;
      case "decimal": writeDecimal(random, view, offset); break;
      default: this.writeProfile(random.pick(["integer", "f32", "f64"] as const), offset, size);
    }
  }

  private fillFx(): void {
    const { view, random, encoding } = this;
    for (let i = 0; i < FX.size; i += 4) view.setUint32(CASE.fx + i, 0, true);
    const x87 = encoding.profile === "f80" || this.usesMmx;
    const control = x87 ? 0x40 | (random.oneIn(8) ? random.next() & 0x3f : 0x3f) | (random.pick([0, 2, 3, 3]) << 8) | (random.below(4) << 10) : 0x37f;
    view.setUint16(CASE.fx + FX.control, control, true);
    view.setUint16(CASE.fx + FX.status, x87 ? this.statusWord(control) : 0, true);
    view.setUint8(CASE.fx + FX.tag, x87 ? random.pick([0xff, 0xff, 0xff, random.next() & 0xff]) : 0);
    view.setUint32(CASE.fx + FX.mxcsr, this.mxcsr(), true);
    view.setUint32(CASE.fx + 28, 0xffff, true);
    for (let n = 0; n < 8; n++) this.fillStack(CASE.fx + FX.st + n * 16);
    for (let n = 0; n < 16; n++) this.writeProfile(xmmProfile(encoding.profile), CASE.fx + FX.xmm + n * 16, 16);
    // Equal operands are rare by chance, and many results depend on them.
    if (random.oneIn(6)) {
      const from = random.below(16), to = random.below(16);
      for (let i = 0; i < 16; i += 4) view.setUint32(CASE.fx + FX.xmm + to * 16 + i, view.getUint32(CASE.fx + FX.xmm + from * 16 + i, true), true);
    }
  }

  private get usesMmx(): boolean {
    return this.encoding.special.startsWith("mmx");
  }

  private fillStack(offset: number): void {
    if (this.usesMmx) {
      writeLanes(this.random, this.view, offset);
      this.view.setUint16(offset + 8, this.random.oneIn(2) ? 0xffff : this.random.next(), true);
    } else if (this.encoding.profile === "f80") writeF80(this.random, this.view, offset);
  }

  /** TOP, condition codes, sticky flags; ES and B agree with the pending unmasked ones. */
  private statusWord(control: number): number {
    const { random } = this;
    let status = ((random.oneIn(2) ? 0 : random.below(8)) << 11) | (random.next() & 0x4700);
    if (random.oneIn(4)) status |= random.next() & (random.oneIn(8) ? 0x3f : control & 0x3f);
    if (random.oneIn(16)) status |= 0x41;
    return (status & ~control & 0x3f) !== 0 ? status | 0x8080 : status;
  }

  private mxcsr(): number {
    const { random, encoding } = this;
    if (encoding.profile !== "f32" && encoding.profile !== "f64" && encoding.profile !== "mixed") return MXCSR_DEFAULT;
    let value = random.oneIn(8) ? random.next() & 0x1f80 : MXCSR_DEFAULT;
    if (random.oneIn(2)) value |= random.below(4) << 13;
    if (random.oneIn(6)) value |= 0x8000;
    if (random.oneIn(6)) value |= 0x40;
    if (random.oneIn(4)) value |= random.next() & 0x3f;
    return value;
  }

  private fillWindow(): void {
    const { view, random, encoding } = this;
    for (let i = 0; i < WINDOW_SIZE; i += 4) view.setUint32(CASE.window + i, random.next(), true);
    const offset = this.windowOffset(encoding.target, 80);
    if (offset !== 0) this.writeProfile(encoding.memoryProfile, offset, 64);
  }

  /** Offset in the record of the window byte at linear `address`, 0 when `size` bytes there are not all in the window. */
  private windowOffset(address: number, size: number): number {
    const inside = address >= WINDOW_BASE && address + size <= WINDOW_BASE + WINDOW_SIZE;
    return inside ? CASE.window + address - WINDOW_BASE : 0;
  }

  private poke(address: number, value: bigint, size: number): void {
    const offset = this.windowOffset(address, size);
    if (offset === 0) return;
    for (let i = 0; i < size; i++) this.view.setUint8(offset + i, Number((value >> BigInt(8 * i)) & 0xffn));
  }

  private gpr(n: number): bigint {
    return this.view.getBigUint64(CASE.gpr + n * 8, true);
  }

  private setGpr(n: number, value: bigint | number): void {
    this.view.setBigUint64(CASE.gpr + n * 8, BigInt.asUintN(64, BigInt(value)), true);
  }

  private get size(): number {
    return this.encoding.argument & 0xff;
  }

  /** Register of the operand, 0xff when it is in memory. */
  private get register(): number {
    return (this.encoding.argument >> 8) & 0xff;
  }

  private codeAddress(): bigint {
    return BigInt(CODE_BASE + 0x100 + this.random.below(CODE_SIZE - 0x800) + this.farAway());
  }

  /** Now and then an unmapped or a non-canonical target. */
  private farAway(): number {
    return this.wide && this.random.oneIn(16) ? this.random.pick([0x1000_0000_0000, 0x8000_0000_0000]) : 0;
  }

  private selector(): bigint {
    const { random } = this;
    if (random.oneIn(12)) return BigInt(random.pick([0xfff8, 0x1f, 0x10, 0x18, 0x2c]));
    return BigInt(random.pick([0, 1, 3, SELECTOR_DATA, SELECTOR_DATA, 0x28, SELECTOR_CODE_32, SELECTOR_CODE_64]));
  }

  /** The operand, wherever it is, gets `value`. */
  private setOperand(value: bigint, size: number): void {
    if (this.register !== 0xff) this.setGpr(this.register, size < 8 ? (this.gpr(this.register) & ~((1n << BigInt(8 * size)) - 1n)) | value : value);
    else this.poke(this.encoding.target, value, size);
  }

  private placeStack(): number {
    const { random } = this;
    const step = this.wide ? 8 : 4;
    const place = (): number => DATA_BASE + 0x1000 + (random.below(33) - 16) * step + (random.oneIn(4) ? random.below(8) : 0);
    // Some processors read only two bytes of a selector's stack slot.
    const lastWord = this.encoding.special === "pop-selector" ? 0 : 2;
    const top = random.oneIn(24) ? random.pick([DATA_BASE, DATA_BASE + 2, DATA_BASE + DATA_SIZE - lastWord, READ_ONLY_BASE + 0x100]) : place();
    this.setGpr(RSP, top);
    this.setGpr(RBP, place());
    return top;
  }

  private applySpecial(): void {
    const apply = this.specials[this.encoding.special];
    if (apply !== undefined) apply.call(this);
  }

  private readonly specials: { readonly [name in Encoding["special"]]?: (this: CaseWriter) => void } = {
    count() {
      if (!this.random.oneIn(3)) this.setGpr(RCX, this.random.oneIn(2) ? this.random.below(70) : (this.random.u64() << 8n) | BigInt(this.random.below(256)));
    },
    divide: () => this.applyDivide(),
    compare: () => this.applyCompare(),
    string: () => this.applyString(),
    stack() { this.placeStack(); },
    return() { this.poke(this.placeStack(), this.codeAddress(), this.size); },
    "return-far"() {
      const top = this.placeStack();
      this.poke(top, this.codeAddress(), this.size);
      this.poke(top + this.size, this.random.oneIn(8) ? this.selector() : this.ownCode(), this.size);
    },
    "interrupt-return": () => this.applyInterruptReturn(),
    "pop-flags"() { this.poke(this.placeStack(), this.poppedFlags(), this.size); },
    "bit-offset"() {
      const offset = BigInt(this.random.below(2400) - 1200);
      const keep = this.size === 8 ? 0n : this.gpr(this.register) & ~((1n << BigInt(8 * this.size)) - 1n);
      const mask = (1n << BigInt(8 * this.size)) - 1n;
      this.setGpr(this.register, keep | (BigInt.asUintN(64, offset) & mask));
    },
    branch() { this.placeStack(); this.setOperand(this.codeAddress(), this.size); },
    "branch-far"() {
      this.placeStack();
      this.poke(this.encoding.target, this.codeAddress(), this.size);
      this.poke(this.encoding.target + this.size, this.random.oneIn(6) ? this.selector() : this.ownCode(), 2);
    },
    selector() { this.setOperand(this.selector(), 2); },
    "far-pointer"() { this.poke(this.encoding.target + this.size, this.selector(), 2); },
    "pop-selector"() { this.poke(this.placeStack(), (this.random.u64() & ~0xffffn & ((1n << BigInt(8 * this.size)) - 1n)) | this.selector(), this.size); },
    rdi() { this.setGpr(RDI, this.inWindow()); },
    "mmx-rdi"() { this.setGpr(RDI, this.inWindow()); },
    rbx() { this.setGpr(RBX, this.inWindow()); },
    lengths() {
      for (const n of [RAX, RDX]) if (!this.random.oneIn(3)) this.setGpr(n, BigInt(this.random.below(40) - 20));
    },
    mxcsr() { this.poke(this.encoding.target, BigInt(this.random.next()) & (this.random.oneIn(6) ? 0xffff_ffffn : 0xffffn), 4); },
    "fpu-control"() { this.poke(this.encoding.target, BigInt(this.controlWord()), 2); },
    "fpu-environment": () => this.applyEnvironment(),
    "fpu-state": () => this.applyFpuState(),
    "fx-state": () => this.applyFxState(),
    "segment-base"() {
      if (this.register !== 0xff && !this.random.oneIn(4)) this.setGpr(this.register, this.random.u64() & 0x7fff_ffff_ffffn);
    },
    bound: () => this.applyBound(),
    "vector-count": () => this.applyVectorCount(CASE.fx + FX.xmm + this.register * 16),
    "mmx-count": () => this.applyVectorCount(physicalOffset(this.view, CASE.fx, this.register)),
  };

  private applyVectorCount(registerOffset: number): void {
    const { random, view } = this;
    if (random.oneIn(4)) return;
    const count = BigInt(random.oneIn(3) ? random.below(70) : random.below(18));
    if (this.register === 0xff) this.poke(this.encoding.target, count, 8);
    else view.setBigUint64(registerOffset, count, true);
  }

  private ownCode(): bigint {
    return BigInt(this.wide ? SELECTOR_CODE_64 : SELECTOR_CODE_32);
  }

  private inWindow(): number {
    return WINDOW_BASE + 0x80 + this.random.below(WINDOW_SIZE - 0x280);
  }

  private controlWord(): number {
    return 0x40 | (this.random.oneIn(4) ? this.random.next() & 0x1f3f : 0x33f | (this.random.below(4) << 10));
  }

  private poppedFlags(): bigint {
    // TF would trap; AC, VIF and VIP are left to tests of their own.
    return BigInt(this.random.next() & 0x0020_fed5 & (this.random.oneIn(4) ? 0xffff_ffff : 0xffff_0fff)) | 2n;
  }

  private applyDivide(): void {
    const { random } = this;
    if (random.oneIn(3)) return;
    const high = random.pick([0n, -1n, BigInt(random.below(4)), BigInt.asIntN(64, this.gpr(RAX)) >> 63n, BigInt.asIntN(32, this.gpr(RAX)) >> 31n]);
    this.setGpr(RDX, high);
    const byte = random.pick([0n, 0xffn, BigInt(random.below(4)), (this.gpr(RAX) & 0x80n) !== 0n ? 0xffn : 0n]);
    this.setGpr(RAX, (this.gpr(RAX) & ~0xff00n) | (byte << 8n));
  }

  private applyCompare(): void {
    if (this.random.oneIn(2)) return;
    const { target } = this.encoding;
    if (this.register !== 0xff) {
      this.setGpr(RAX, this.gpr(this.register));
      return;
    }
    const half = this.size > 8 ? 8 : this.size;
    const offset = this.windowOffset(target, 16);
    if (offset === 0) return;
    const read = (at: number, size: number): bigint => {
      let value = 0n;
      for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.view.getUint8(at + i));
      return value;
    };
    if ((this.encoding.argument & 0x10000) !== 0) {
      this.setGpr(RAX, (this.random.u64() << 32n) | read(offset, this.size / 2));
      this.setGpr(RDX, (this.random.u64() << 32n) | read(offset + this.size / 2, this.size / 2));
      if (this.size === 16) this.setGpr(RAX, read(offset, 8)), this.setGpr(RDX, read(offset + 8, 8));
    } else this.setGpr(RAX, read(offset, half));
  }

  private applyString(): void {
    const { random, view } = this;
    const address = (): bigint => BigInt(random.oneIn(20) ? random.pick([DATA_BASE + 5, DATA_BASE + DATA_SIZE - 9, READ_ONLY_BASE + 9]) : this.inWindow());
    const junk = (this.encoding.argument & 0x10000) !== 0 ? random.u64() << 32n : 0n;
    const segmentBase = (this.encoding.argument & 0x20000) !== 0 ? FS_BASE : 0n;
    this.setGpr(RSI, (junk | (address() - segmentBase)) & ((1n << 64n) - 1n));
    this.setGpr(RDI, junk | address());
    // With a 32-bit count of 0 Intel clears the upper halves of RCX, RSI and RDI, AMD does not.
    const count = random.oneIn(4) ? random.below(80) : random.below(9);
    this.setGpr(RCX, junk | BigInt(junk === 0n ? count : count + 1));
    if (random.oneIn(2)) view.setUint32(CASE.rflags, view.getUint32(CASE.rflags, true) ^ DIRECTION_FLAG, true);
    if (random.oneIn(2)) return;
    // Long equal runs for the repeated compares and scans.
    const element = random.next();
    for (let i = 0; i < WINDOW_SIZE; i++) view.setUint8(CASE.window + i, element >>> ((i & (this.size - 1) & 3) * 8));
    for (let i = 0; i < 40; i++) view.setUint8(CASE.window + random.below(WINDOW_SIZE), random.next());
    if (random.oneIn(2)) this.setGpr(RAX, BigInt.asUintN(64, BigInt(element | 0) & 0xffff_ffffn));
  }

  private applyInterruptReturn(): void {
    const { random, size } = this;
    const top = this.placeStack();
    const data = BigInt(SELECTOR_DATA);
    const code = random.oneIn(8) ? this.selector() : this.ownCode();
    const stack = random.oneIn(8) ? this.selector() : data;
    const frame = [this.codeAddress(), code, this.poppedFlags() & ~0x4000n, BigInt(this.inWindow()), stack];
    frame.forEach((value, i) => { this.poke(top + i * size, value, size); });
  }

  private applyEnvironment(): void {
    const { random, size } = this;
    const target = this.encoding.target;
    this.poke(target, BigInt(this.controlWord()), size / 7);
    this.poke(target + size / 7, BigInt(this.loadedStatus()), size / 7);
    this.poke(target + 2 * (size / 7), BigInt(random.oneIn(2) ? 0 : random.next() & 0xffff), size / 7);
  }

  private applyFpuState(): void {
    this.applyEnvironment();
    for (let n = 0; n < 8; n++) {
      const offset = this.windowOffset(this.encoding.target + this.size + n * 10, 10);
      if (offset !== 0) writeF80(this.random, this.view, offset);
    }
  }

  private loadedStatus(): number {
    return this.random.next() & (this.random.oneIn(6) ? 0x7f7f : 0x7f00);
  }

  private applyFxState(): void {
    const { random } = this;
    const offset = this.windowOffset(this.encoding.target, 512);
    if (offset === 0) return;
    this.poke(this.encoding.target, BigInt(this.controlWord()), 2);
    this.poke(this.encoding.target + 2, BigInt(this.loadedStatus()), 2);
    this.poke(this.encoding.target + 24, BigInt(random.next() & (random.oneIn(6) ? 0x1_ffff : 0xffff)), 4);
    for (let n = 0; n < 8; n++) writeF80(random, this.view, offset + FX.st + n * 16);
  }

  private applyBound(): void {
    const { random, size, encoding } = this;
    if (random.oneIn(3)) return;
    const mask = (1n << BigInt(8 * size)) - 1n;
    const value = BigInt.asIntN(8 * size, this.gpr(this.register));
    this.poke(encoding.target, (value - BigInt(random.below(3))) & mask, size);
    this.poke(encoding.target + size, (value + BigInt(random.below(3) - 1)) & mask, size);
  }
}

function xmmProfile(profile: Profile): Profile {
  return profile === "f80" || profile === "decimal" ? "lanes" : profile;
}

