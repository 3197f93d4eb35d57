/**
 * Compares what the core did with what the host's processor did, leaving out what no manual defines: flags by the
 * row's `undefinedFlags`, last places of estimates and transcendental functions, and pointers that processors keep differently.
 */
import type { InstructionRow } from "../table/format.js";
import { hasLegacyPrefix, type Encoding } from "./encoding.js";
import { CODE_BASE, DATA_BASE, FX, RESULT } from "./layout.js";
import { trapName } from "./machine.js";
import { physicalOffset, VECTOR_BREAKPOINT, VECTOR_DEBUG, VECTOR_PAGE_FAULT, VECTOR_PROTECTION, type Outcome } from "./outcome.js";

const FLAG_BITS: { readonly [name: string]: number } = { OF: 0x800, SF: 0x80, ZF: 0x40, AF: 0x10, PF: 4, CF: 1 };
const GPR_NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
/** RCX, RSI, RDI. */
const STRING_REGISTERS = [1, 6, 7];
const SELECTOR_NAMES = ["cs", "ss", "ds", "es", "fs", "gs"];

/** 12-bit estimates: AMD and Intel agree only within their error bound, 1.5 * 2^-12 each. */
const ESTIMATE = /^(RCP|RSQRT)[PS]S$/;
const ESTIMATE_ERROR = 3 / 4096;
/** Correct within one unit in the last place; the rest is the maker's. */
const TRANSCENDENTAL = /^(FSIN|FCOS|FSINCOS|FPTAN|FPATAN|FYL2X|FYL2XP1|F2XM1)$/;
const TRANSCENDENTAL_ULP = 2n;
/** Long and masked accesses may report any address of the page that is missing. */
const LONG_ACCESS = /^(FX(SAVE|RSTOR)(64)?|FN?SAVE|FRSTOR|FN?STENV|FLDENV|MASKMOVQ|MASKMOVDQU)$/;
/** Several stack words, one by one on some processors, in one go on others: CR2 tells only the page. */
const SEVERAL_WORDS = /^(PUSHA|POPA|ENTER|CALL Ap|CALL Mp|RETF|IRET)/;
/** Long stores that a processor may have done in part when it faults. */
const PARTIAL_STORE = /^(FSTP Mt|FBSTP|FN?SAVE|FN?STENV|FXSAVE|PUSHA|ENTER|CALL Ap|CALL Mp)/;
/** First address that Linux never gives to a program. */
const LINUX_USER_END = 0x7fff_ffff_f000n;
const TOP = 0x3800;
const C1 = 0x200;
const PRECISION = 0x20;

/** What decides which differences count. */
export interface CompareContext {
  readonly row: InstructionRow;
  readonly encoding: Encoding;
}

/** The differences between two outcomes, as "what: expected, got"; empty when they agree. */
export function compareOutcomes(expected: Outcome, actual: Outcome, context: CompareContext): string[] {
  return new Comparison(expected, actual, context).run();
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

class Comparison {
  private readonly differences: string[] = [];
  private readonly mnemonic: string;
  private readonly form: string;
  /** The instruction did not complete. */
  private readonly faulted: boolean;

  constructor(private readonly expected: Outcome, private readonly actual: Outcome, private readonly context: CompareContext) {
    this.form = context.row.form;
    const start = expected.record.getBigUint64(RESULT.rip, true) === BigInt(CODE_BASE + context.encoding.codeOffset);
    this.faulted = start && ![VECTOR_DEBUG, VECTOR_BREAKPOINT].includes(expected.record.getUint32(RESULT.trap, true));
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
    const a = this.expected.record, b = this.actual.record;
    const same = (at: number): boolean => a.getUint32(at, true) === b.getUint32(at, true);
    if (!same(offset) || !same(offset + 4)) this.note(what, a.getBigUint64(offset, true) & mask, b.getBigUint64(offset, true) & mask);
  }

  private u32(what: string, offset: number, mask = 0xffff_ffff): void {
    this.note(what, (this.expected.record.getUint32(offset, true) & mask) >>> 0, (this.actual.record.getUint32(offset, true) & mask) >>> 0);
  }

  private integers(trap: number): void {
    const width = this.context.encoding.mode === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    this.u64("rip", RESULT.rip);
    this.u32("error code", RESULT.errorCode, this.errorCodeMask(trap));
    if (trap === VECTOR_PAGE_FAULT) this.u64("cr2", RESULT.cr2, LONG_ACCESS.test(this.mnemonic) || SEVERAL_WORDS.test(this.form) ? ~0xfffn : 0xffff_ffff_ffff_ffffn);
    // A repeated string instruction with 32-bit addresses that faults at once has zero-extended its registers on Intel.
    const halves = this.faulted && /\b[XY][bv]/.test(this.form) && hasLegacyPrefix(this.context.encoding.bytes, 0x67);
    for (let n = 0; n < 16; n++) this.u64(GPR_NAMES[n] as string, RESULT.gpr + n * 8, halves && STRING_REGISTERS.includes(n) ? 0xffff_ffffn : width);
    // A fault behind the start of the instruction is one of the next byte: the instruction itself is complete.
    this.u32("rflags", RESULT.rflags, this.faulted ? 0x3f_ffff : 0x3f_ffff & ~this.undefinedFlags());
    this.u64("fs base", RESULT.fsBase);
    this.u64("gs base", RESULT.gsBase);
  }

  /** Linux reports every fault above the last user page as one on a present page. */
  private errorCodeMask(trap: number): number {
    const kernelHalf = trap === VECTOR_PAGE_FAULT && this.expected.record.getBigUint64(RESULT.cr2, true) >= LINUX_USER_END;
    return kernelHalf ? ~1 : ~0;
  }

  private undefinedFlags(): number {
    const names = this.context.row.options.undefinedFlags?.split(" ") ?? [];
    return names.reduce((mask, name) => mask | (FLAG_BITS[name] ?? 0), 0);
  }

  private selectors(): void {
    SELECTOR_NAMES.forEach((name, i) => {
      // Intel's IRET, by which the kernel came back to us, clears the RPL of a null selector.
      const read = (record: DataView): number => { const value = record.getUint16(RESULT.selectors + 2 * i, true); return value < 4 ? 0 : value; };
      this.note(name, read(this.expected.record), read(this.actual.record));
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
    // An MMX store that faults may have set TOP to 0 and all tags before.
    const entered = this.faulted && /\b[PQN][dq]/.test(this.form);
    const statusMask = loose ? 0xffff & ~C1 & ~PRECISION : entered ? 0xffff & ~TOP : 0xffff;
    this.note("fpu control", a.getUint16(RESULT.fx + FX.control, true), b.getUint16(RESULT.fx + FX.control, true));
    this.note("fpu status", a.getUint16(RESULT.fx + FX.status, true) & statusMask, b.getUint16(RESULT.fx + FX.status, true) & statusMask);
    if (!entered) this.note("fpu tag", a.getUint8(RESULT.fx + FX.tag), b.getUint8(RESULT.fx + FX.tag));
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
    if (this.faulted && PARTIAL_STORE.test(this.form)) return;
    // A call that finds its target non-canonical may have stored the return address above the unchanged stack pointer.
    if (this.mnemonic === "CALL" && this.expected.record.getUint32(RESULT.trap, true) === VECTOR_PROTECTION) return;
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

  /** A pushed selector: recent Intel processors store two bytes and leave the rest of the stack slot as it was. */
  private pushedSelectorMask(address: number): bigint {
    const slot = Number(this.expected.record.getBigUint64(RESULT.gpr + 4 * 8, true));
    const end = slot + (this.context.encoding.mode === 64 ? 8 : 4);
    let mask = 0n;
    for (let i = 0; i < 8; i++) if (address + i < slot + 2 || address + i >= end) mask |= 0xffn << BigInt(8 * i);
    return mask;
  }

  /** Bytes of a stored x87 image that hold instruction and data pointers, the last opcode or the mask of MXCSR. */
  private memoryMask(address: number): bigint {
    const { target } = this.context.encoding;
    let hidden: readonly (readonly [number, number])[] = [];
    if (/^FN?(STENV|SAVE)$/.test(this.mnemonic)) hidden = hasLegacyPrefix(this.context.encoding.bytes, 0x66) ? [[6, 14]] : [[12, 28]];
    if (/^FXSAVE/.test(this.mnemonic)) hidden = [[6, 24], [28, 32]];
    if (/^PUSH [C-GS]S$/.test(this.form)) return this.pushedSelectorMask(address);
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
