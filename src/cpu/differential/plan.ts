/**
 * Chooses the encodings of a row: operand sizes, register and memory forms, prefixes, faults. Reproducible: everything
 * random comes from a seed made of the row's key.
 */
import { Assembler, type Variant } from "./assembler.js";
import type { Encoding, Special } from "./encoding.js";
import { CODE_OFFSET, CODE_SIZE, DATA_BASE, DATA_SIZE, READ_ONLY_BASE } from "./layout.js";
import { hashText, Random } from "./random.js";
import { operandBytes, profileOf, specialOf } from "./row-special.js";
import { isNearBranch, rmOperand, shapeOf, type RowShape } from "./row-shape.js";
import type { InstructionRow } from "../table/format.js";

/** Instructions that a user program cannot run and that answer #GP(0) at once, so that the host can show it. */
const PRIVILEGED = /^(HLT|CLI|STI|IN|OUT|INSB?|OUTSB?|LGDT|LIDT|LLDT|LTR|LMSW|CLTS|INVLPG|INVD|WBINVD|RDMSR|WRMSR|SWAPGS)$/;
/** What must never run on the host with random registers. */
const NEVER = /^(SYSCALL|SYSENTER|SYSRETQ?|SYSEXIT|VMCALL|VMMCALL)$/;
/** Refused to programs by UMIP, and then done by Linux in the processor's place. */
const EMULATED = /^(SLDT|STR|SGDT|SIDT|SMSW)$/;
/** Opcodes that mean VEX or EVEX on the host where 64-bit mode has lost their old meaning. */
const VEX_OPCODES = [0x62, 0xc4, 0xc5];

/** Cases of a row in 64-bit mode, by what it computes. */
const CASES_PER_ROW = { integer: 220, float: 360 };
const CASES_PER_ROW_32 = 48;

/** Why a row has no vectors, undefined when it has. */
export function whyUntested(row: InstructionRow): string | undefined {
  if (row.options.noDifferential !== undefined) return row.options.noDifferential;
  const [mnemonic = "", operands = ""] = row.form.split(" ");
  if (NEVER.test(mnemonic)) return "enters or leaves a kernel: on the host it would be the host's";
  if (EMULATED.test(mnemonic)) return "answered by the host's kernel instead of its processor";
  if (row.options.system === true && !PRIVILEGED.test(mnemonic) && !/[CD][dqy]/.test(operands)) return "not executable by a user program";
  return undefined;
}

/** All encodings of a row; empty when it cannot be tested on the host. */
export function planRow(row: InstructionRow): Encoding[] {
  return whyUntested(row) === undefined ? new RowPlanner(shapeOf(row)).plan() : [];
}

class RowPlanner {
  private readonly random: Random;
  private readonly special: Special;
  private readonly encodings: Encoding[] = [];

  constructor(private readonly shape: RowShape) {
    this.random = new Random(hashText(shape.key));
    this.special = specialOf(shape);
  }

  plan(): Encoding[] {
    const { options } = this.shape.row;
    if (options.not64 !== true) this.planMode(64, profileOf(this.shape) === "integer" ? CASES_PER_ROW.integer : CASES_PER_ROW.float);
    else if (!VEX_OPCODES.includes(this.shape.opcode[0] as number)) this.add({ ...this.base(64), caseCount: 1 });
    if (options.only64 !== true) this.planMode(32, options.not64 === true ? CASES_PER_ROW.integer : CASES_PER_ROW_32);
    return this.encodings;
  }

  private base(mode: 64 | 32): Variant {
    return { mode, operandSize: 4, memory: this.memoryOnly(), turn: this.random.next(), target: this.anyTarget(4), codeOffset: CODE_OFFSET, caseCount: 4 };
  }

  private memoryOnly(): boolean {
    return rmOperand(this.shape)?.letter === "M";
  }

  private takesMemory(): boolean {
    const rm = rmOperand(this.shape);
    return (rm !== undefined && "EMQW".includes(rm.letter)) || this.shape.operands.some((operand) => operand.letter === "O");
  }

  private takesRegister(): boolean {
    const rm = rmOperand(this.shape);
    return rm !== undefined && "ERQWNU".includes(rm.letter);
  }

  private operandSizes(mode: 64 | 32): (2 | 4 | 8)[] {
    const { shape } = this;
    const wide = mode === 64;
    if (shape.rexW === 1) return wide ? [8] : [];
    if (shape.rexW === 0) return shape.sized && !shape.prefixSelects ? [4, 2] : [4];
    // The 66 prefix of near branches means different things to Intel and AMD in 64-bit mode.
    const branches = isNearBranch(shape);
    const can16 = shape.sized && (!shape.prefixSelects || shape.prefix === 0xf2 || shape.prefix === 0xf3) && !(wide && branches);
    const sizes: (2 | 4 | 8)[] = [];
    if (wide && shape.row.options.default64 === true) sizes.push(8);
    else sizes.push(4);
    if (can16) sizes.push(2);
    const takesW = shape.sized || shape.operands.some((operand) => operand.size === "y");
    if (wide && takesW && shape.row.options.default64 !== true) sizes.push(8);
    return sizes;
  }

  private planMode(mode: 64 | 32, budget: number): void {
    const variants: Variant[] = [];
    for (const operandSize of this.operandSizes(mode)) {
      const one = { ...this.base(mode), operandSize };
      const copies = this.copies();
      if (this.takesRegister()) for (let i = 0; i < 3 * copies; i++) variants.push({ ...one, memory: false });
      if (this.takesMemory()) for (let i = 0; i < 4 * copies; i++) variants.push({ ...one, memory: true, turn: one.turn + i, target: this.anyTarget(operandSize) });
      if (!this.takesMemory() && !this.takesRegister()) for (let i = 0; i < this.plainCount(); i++) variants.push({ ...one, turn: i });
    }
    this.addRepeats(variants);
    const caseCount = Math.max(4, Math.round(budget / Math.max(1, variants.length)));
    for (const variant of variants) this.add({ ...variant, caseCount });
    if (variants.length > 0) this.planSpecialCases(mode, variants[0] as Variant);
  }

  /** An immediate belongs to the encoding, so rows where it matters much need more of them. */
  private copies(): number {
    if (!this.shape.operands.some((operand) => operand.letter === "I")) return 1;
    if (profileOf(this.shape) === "text") return 10;
    return profileOf(this.shape) === "integer" ? 2 : 5;
  }

  /** Encodings without ModRM operand: several where a register number or an immediate varies. */
  private plainCount(): number {
    const { shape } = this;
    if (shape.low !== undefined) return 8;
    return shape.operands.some((operand) => operand.letter !== "" && "IJOAGVP".includes(operand.letter)) ? 8 : 1;
  }

  private addRepeats(variants: Variant[]): void {
    if (this.special !== "string") return;
    const compares = /^(CMPS|SCAS)/.test(this.shape.mnemonic);
    for (const variant of [...variants]) {
      for (const repeat of compares ? [0xf3, 0xf2] : [0xf3]) {
        for (let i = 0; i < 3; i++) variants.push({ ...variant, repeat, turn: i });
      }
    }
  }

  /** Page crossings, faults, alignment, LOCK, instructions across pages. */
  private planSpecialCases(mode: 64 | 32, plain: Variant): void {
    const { shape } = this;
    const size = operandBytes(shape, plain.operandSize);
    this.add({ ...plain, codeOffset: 0x1000 - 1 - this.random.below(3), caseCount: 3 });
    if (shape.opcode.length > 1 || shape.modrm !== "none") this.add({ ...plain, codeOffset: CODE_SIZE - 1 - this.random.below(2), caseCount: 1 });
    this.add({ ...plain, tooLong: true, caseCount: 1 });
    // Loading SS holds the trap back by one instruction, which the INT3 behind it would hide.
    if (this.special !== "selector" && shape.key !== "17 POP SS") {
      this.add({ ...plain, singleStep: true, caseCount: 2 });
      if (this.special === "string") this.add({ ...plain, singleStep: true, repeat: 0xf3, caseCount: 4 });
    }
    if (!this.takesMemory()) return;
    const memory: Variant = { ...plain, memory: true, caseCount: 3 };
    if (size > 1) {
      this.add({ ...memory, turn: this.random.next(), target: BigInt(DATA_BASE + 0x1000 - 1 - this.random.below(size - 1)) });
      this.add({ ...memory, turn: this.random.next(), target: BigInt(DATA_BASE + DATA_SIZE - 1 - this.random.below(size - 1)) });
      this.add({ ...memory, turn: this.random.next(), target: this.anyTarget(1) | 1n });
    }
    this.add({ ...memory, turn: this.random.next(), target: BigInt(DATA_BASE + DATA_SIZE) });
    this.add({ ...memory, turn: this.random.next(), target: BigInt(READ_ONLY_BASE + 0x100) });
    if (mode === 64) this.add({ ...memory, turn: this.random.next(), target: 0x8000_0000_0000n });
    this.planLock(memory);
  }

  private planLock(memory: Variant): void {
    const { shape } = this;
    if (!shape.prefixSelects && this.takesRegister()) this.add({ ...memory, memory: false, lock: true, caseCount: 1 });
    if (shape.row.options.lock !== true) {
      if (shape.prefix === 0) this.add({ ...memory, lock: true, caseCount: 1 });
      return;
    }
    for (const operandSize of this.operandSizes(memory.mode)) {
      const aligned = this.anyTarget(operandSize) & ~0xfn;
      for (let i = 0; i < 2; i++) this.add({ ...memory, operandSize, turn: this.random.next(), target: aligned + BigInt(i * operandSize), lock: true, caseCount: 6 });
    }
  }

  /** Somewhere in the window, 16-byte aligned for the operands that may need it. */
  private anyTarget(operandSize: number): bigint {
    const { random } = this;
    const size = operandBytes(this.shape, operandSize);
    const spread = size > 100 ? 0x100 : 0x200;
    const place = DATA_BASE + (size > 100 ? 0xe40 : 0xf00) + random.below(spread);
    const free = size < 16 && random.oneIn(2);
    return BigInt(free ? place : place & ~0xf);
  }

  private add(variant: Variant): void {
    const encoding = new Assembler(this.shape, this.special, this.random, variant).assemble();
    if (encoding !== undefined) this.encodings.push(encoding);
  }
}
