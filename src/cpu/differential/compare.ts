/**
 * Compares what the core did with what the host's processor did, leaving out what no manual defines: flags by the
 * row's `undefinedFlags`, last places of estimates and transcendental functions, and pointers that processors keep differently.
 */
import type { InstructionRow } from "../table/format.js";
import { DATA_BASE, FX, RESULT } from "./layout.js";
import { trapName } from "./machine.js";
import { physicalOffset, VECTOR_BREAKPOINT, VECTOR_PAGE_FAULT, type Outcome } from "./outcome.js";

const FLAG_BITS: { readonly [name: string]: number } = { OF: 0x800, SF: 0x80, ZF: 0x40, AF: 0x10, PF: 4, CF: 1 };
const GPR_NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const SELECTOR_NAMES = ["cs", "ss", "ds", "es", "fs", "gs"];

/** 12-bit estimates: AMD and Intel agree only within their error bound, 1.5 * 2^-12 each. */
const ESTIMATE = /^(RCP|RSQRT)[PS]S$/;
const ESTIMATE_ERROR = 3 / 4096;
/** Correct within one unit in the last place; the rest is the maker's. */
const TRANSCENDENTAL = /^(FSIN|FCOS|FSINCOS|FPTAN|FPATAN|FYL2X|FYL2XP1|F2XM1)$/;
const TRANSCENDENTAL_ULP = 2n;
/** Accesses longer than a line may report any address of the page that is missing. */
const LONG_ACCESS = /^(FX(SAVE|RSTOR)(64)?|FN?SAVE|FRSTOR|FN?STENV|FLDENV)$/;
const C1 = 0x200;
const PRECISION = 0x20;

export interface CompareContext {
  readonly row: InstructionRow;
  readonly mode: 64 | 32;
  /** Linear address of the memory operand. */
  readonly target: number;
  /** Operand-size prefix in force (image layouts of the x87 environment). */
  readonly operandSize16: boolean;
}

/** The differences between two outcomes, as "what: expected, got"; empty when they agree. */
export function compareOutcomes(expected: Outcome, actual: Outcome, context: CompareContext): string[] {
  return new Comparison(expected, actual, context).run();
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

class Comparison {
  private readonly differences: string[] = [];
  private readonly mnemonic: string;

  constructor(private readonly expected: Outcome, private readonly actual: Outcome, private readonly context: CompareContext) {
    this.mnemonic = context.row.form.split(" ")[0] as string;
  }

  run(): string[] {
    const expectedTrap = this.expected.record.getUint32(RESULT.trap, true);
    const actualTrap = this.actual.record.getUint32(RESULT.trap, true);
    if (expectedTrap !== actualTrap) {
      return [`stopped by: expected ${trapName(expectedTrap)}, got ${trapName(actualTrap)} at ${hex(this.actual.record.getBigUint64(RESULT.rip, true))}`];
    }
    this.integers(expectedTrap);
    this.selectors();
    this.vectors();
    this.x87();
    this.memory();
    return this.differences;
  }

  private note(what: string, expected: number | bigint, actual: number | bigint): void {
    if (expected !== actual) this.differences.push(`${what}: expected ${hex(expected)}, got ${hex(actual)}`);
  }

  private u64(what: string, offset: number, mask = 0xffff_ffff_ffff_ffffn): void {
    const { expected, actual } = this;
    if (expected.record.getUint32(offset, true) === actual.record.getUint32(offset, true) && expected.record.getUint32(offset + 4, true) === actual.record.getUint32(offset + 4, true)) return;
    this.note(what, expected.record.getBigUint64(offset, true) & mask, actual.record.getBigUint64(offset, true) & mask);
  }

  private u32(what: string, offset: number, mask = 0xffff_ffff): void {
    this.note(what, (this.expected.record.getUint32(offset, true) & mask) >>> 0, (this.actual.record.getUint32(offset, true) & mask) >>> 0);
  }

  private integers(trap: number): void {
    const width = this.context.mode === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    this.u64("rip", RESULT.rip);
    this.u32("error code", RESULT.errorCode);
    if (trap === VECTOR_PAGE_FAULT) this.u64("cr2", RESULT.cr2, LONG_ACCESS.test(this.mnemonic) ? ~0xfffn : 0xffff_ffff_ffff_ffffn);
    for (let n = 0; n < 16; n++) this.u64(GPR_NAMES[n] as string, RESULT.gpr + n * 8, width);
    this.u32("rflags", RESULT.rflags, trap === VECTOR_BREAKPOINT ? 0x3f_ffff & ~this.undefinedFlags() : 0x3f_ffff);
    this.u64("fs base", RESULT.fsBase);
    this.u64("gs base", RESULT.gsBase);
  }

  private undefinedFlags(): number {
    const names = this.context.row.options.undefinedFlags?.split(" ") ?? [];
    return names.reduce((mask, name) => mask | (FLAG_BITS[name] ?? 0), 0);
  }

  private selectors(): void {
    SELECTOR_NAMES.forEach((name, i) => {
      this.note(name, this.expected.record.getUint16(RESULT.selectors + 2 * i, true), this.actual.record.getUint16(RESULT.selectors + 2 * i, true));
    });
  }

  private vectors(): void {
    this.u32("mxcsr", RESULT.fx + FX.mxcsr);
    for (let n = 0; n < 16; n++) {
      const at = RESULT.fx + FX.xmm + n * 16;
      if (ESTIMATE.test(this.mnemonic)) for (let i = 0; i < 16; i += 4) this.estimate(`xmm${n}`, at + i);
      else this.wide(`xmm${n}`, at, 16);
    }
  }

  private wide(what: string, offset: number, size: number, actualOffset = offset): void {
    const a = this.expected.record, b = this.actual.record;
    let equal = true;
    for (let i = 0; i < size; i += 2) equal &&= a.getUint16(offset + i, true) === b.getUint16(actualOffset + i, true);
    if (!equal) this.differences.push(`${what}: expected ${wideText(a, offset, size)}, got ${wideText(b, actualOffset, size)}`);
  }

  private estimate(what: string, offset: number): void {
    const a = this.expected.record.getFloat32(offset, true), b = this.actual.record.getFloat32(offset, true);
    if (Number.isFinite(a) && Number.isFinite(b) && a !== 0 && Math.abs(a - b) <= Math.abs(a) * ESTIMATE_ERROR) return;
    this.note(what, this.expected.record.getUint32(offset, true), this.actual.record.getUint32(offset, true));
  }

  private x87(): void {
    const a = this.expected.record, b = this.actual.record;
    const loose = TRANSCENDENTAL.test(this.mnemonic);
    const statusMask = loose ? 0xffff & ~C1 & ~PRECISION : 0xffff;
    this.note("fpu control", a.getUint16(RESULT.fx + FX.control, true), b.getUint16(RESULT.fx + FX.control, true));
    this.note("fpu status", a.getUint16(RESULT.fx + FX.status, true) & statusMask, b.getUint16(RESULT.fx + FX.status, true) & statusMask);
    this.note("fpu tag", a.getUint8(RESULT.fx + FX.tag), b.getUint8(RESULT.fx + FX.tag));
    for (let n = 0; n < 8; n++) {
      const from = physicalOffset(a, RESULT.fx, n), to = physicalOffset(b, RESULT.fx, n);
      if (loose && this.nearlyEqual(from, to)) continue;
      this.wide(`fpu register ${n}`, from, 10, to);
    }
  }

  /** Same sign, and significands (with exponents taken as their high part) within a few units. */
  private nearlyEqual(from: number, to: number): boolean {
    const read = (view: DataView, at: number): bigint => (BigInt(view.getUint16(at + 8, true)) << 63n) + (view.getBigUint64(at, true) & 0x7fff_ffff_ffff_ffffn);
    const difference = read(this.expected.record, from) - read(this.actual.record, to);
    return difference <= TRANSCENDENTAL_ULP && difference >= -TRANSCENDENTAL_ULP;
  }

  private memory(): void {
    const expected = new Map(this.expected.changes.map(({ address, value }) => [address, value]));
    const actual = new Map(this.actual.changes.map(({ address, value }) => [address, value]));
    const addresses = [...new Set([...expected.keys(), ...actual.keys()])].sort((a, b) => a - b);
    for (const address of addresses) {
      const mask = this.memoryMask(address);
      const a = expected.get(address), b = actual.get(address);
      if (a === undefined || b === undefined) {
        if (mask !== 0xffff_ffff_ffff_ffffn) continue;
        this.differences.push(`memory ${hex(address)}: expected ${a === undefined ? "no change" : hex(a)}, got ${b === undefined ? "no change" : hex(b)}`);
      } else this.note(`memory ${hex(address)}`, a & mask, b & mask);
    }
  }

  /** Bytes of a stored x87 image that hold instruction and data pointers, the last opcode or the mask of MXCSR. */
  private memoryMask(address: number): bigint {
    const { target } = this.context;
    let hidden: readonly (readonly [number, number])[] = [];
    if (/^FN?(STENV|SAVE)$/.test(this.mnemonic)) hidden = this.context.operandSize16 ? [[6, 14]] : [[12, 28]];
    if (/^FXSAVE/.test(this.mnemonic)) hidden = [[6, 24], [28, 32]];
    let mask = 0xffff_ffff_ffff_ffffn;
    for (const [start, end] of hidden) {
      for (let i = 0; i < 8; i++) {
        const at = address + i - (target < DATA_BASE ? DATA_BASE : target);
        if (at >= start && at < end) mask &= ~(0xffn << BigInt(8 * i));
      }
    }
    return mask;
  }
}

function wideText(view: DataView, offset: number, size: number): string {
  let text = "";
  for (let i = size - 1; i >= 0; i--) text += view.getUint8(offset + i).toString(16).padStart(2, "0");
  return text;
}
