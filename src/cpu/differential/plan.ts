/**
 * Chooses the encodings of a row: operand sizes, register and memory forms, prefixes, faults. Reproducible: everything
 * random comes from a seed made of the row's key.
 */
import { littleEndian, memoryOperand, type MemoryOperand } from "./addressing.js";
import type { Encoding, Special } from "./encoding.js";
import { CODE_BASE, CODE_OFFSET, CODE_SIZE, DATA_BASE, DATA_SIZE, READ_ONLY_BASE } from "./layout.js";
import { hashText, Random } from "./random.js";
import { memoryProfileOf, operandBytes, profileOf, specialOf } from "./row-special.js";
import { regOperand, rmOperand, shapeOf, type Operand, type RowShape } from "./row-shape.js";
import type { InstructionRow } from "../table/format.js";

/** Instructions that a user program cannot run and that answer #GP(0) at once, so that the host can show it. */
const PRIVILEGED = /^(HLT|CLI|STI|IN|OUT|INSB?|OUTSB?|LGDT|LIDT|LLDT|LTR|LMSW|CLTS|INVLPG|INVD|WBINVD|RDMSR|WRMSR|SWAPGS|SYSRETQ?|SYSEXIT)$/;
/** What must never run on the host with random registers. */
const NEVER = /^(SYSCALL|SYSENTER|VMCALL|VMMCALL)$/;
/** Opcodes that mean VEX or EVEX on the host where 64-bit mode has lost their old meaning. */
const VEX_OPCODES = [0x62, 0xc4, 0xc5];

/** Cases of a row in 64-bit mode, by what it computes. */
const CASES_PER_ROW = { integer: 220, float: 360 };
const CASES_PER_ROW_32 = 48;

/** What is wanted of one encoding. */
interface Variant {
  readonly mode: 64 | 32;
  readonly operandSize: 2 | 4 | 8;
  readonly memory: boolean;
  readonly turn: number;
  /** Linear address of the memory operand. */
  readonly target: bigint;
  readonly codeOffset: number;
  readonly caseCount: number;
  readonly lock?: boolean;
  readonly repeat?: number;
}

/** Why a row has no vectors, undefined when it has. */
export function whyUntested(row: InstructionRow): string | undefined {
  if (row.options.noDifferential !== undefined) return row.options.noDifferential;
  const [mnemonic = "", operands = ""] = row.form.split(" ");
  if (NEVER.test(mnemonic)) return "calls the kernel or the hypervisor of the host";
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
    const branches = /^(CALL|JMP|RET|J[A-Z]+|LOOP[A-Z]*)$/.test(this.shape.mnemonic) && this.special !== "branch-far";
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

/** Registers that a special gives a meaning, so that addresses must not be built on them. */
const RESERVED: { readonly [special in Special]?: readonly number[] } = {
  count: [1], divide: [0, 2], compare: [0, 2], stack: [4, 5], return: [4, 5], "return-far": [4, 5], "pop-selector": [4, 5], branch: [4, 5], "branch-far": [4, 5], rdi: [7],
  lengths: [0, 2], string: [1, 6, 7],
};

class Assembler {
  private rex = 0;
  private needsRex = false;
  private readonly avoid: number[];
  private rmRegister = 0xff;
  private regRegister = 0xff;
  private memory: MemoryOperand | undefined;

  constructor(private readonly shape: RowShape, private readonly special: Special, private readonly random: Random, private readonly variant: Variant) {
    this.avoid = [...(RESERVED[special] ?? [])];
    if (special === "stack" && !/^(PUSH|POP|ENTER|LEAVE|CALL)/.test(shape.mnemonic)) this.avoid.length = 0;
  }

  private get wide(): boolean {
    return this.variant.mode === 64;
  }

  assemble(): Encoding | undefined {
    const { shape, random, variant } = this;
    if (variant.operandSize === 8 && !(shape.row.options.default64 === true) ) this.rex |= 8;
    if (shape.rexW === 1) this.rex |= 8;
    const opcode = [...shape.opcode];
    if (shape.low !== undefined) opcode.push((opcode.pop() as number) | this.lowBits());
    const modrm = shape.modrm === "none" ? [] : this.modrm();
    if (this.wide && (this.needsRex || (this.rex === 0 && random.oneIn(8) && shape.rexW === undefined))) this.rex |= 0x40;
    if (this.rex !== 0 && !this.wide) return undefined;
    const prefixes = this.prefixes();
    const rex = this.rex === 0 ? [] : [0x40 | this.rex];
    const head = [...prefixes, ...rex, ...opcode, ...modrm];
    const immediates = shape.operands.flatMap((operand) => this.immediate(operand, head.length));
    const bytes = this.relocate([...head, ...immediates], immediates.length);
    if (bytes.length > 15) return undefined;
    return this.encoding(Uint8Array.from(bytes));
  }

  private encoding(bytes: Uint8Array): Encoding {
    const { shape, variant } = this;
    const room = CODE_SIZE - variant.codeOffset;
    const target = this.memory === undefined && !this.hasOffsetOperand() ? 0 : Number(variant.target & 0xffff_ffffn);
    return {
      mode: variant.mode, bytes: bytes.subarray(0, room), codeOffset: variant.codeOffset, profile: profileOf(shape), memoryProfile: memoryProfileOf(shape),
      special: this.special, argument: this.argument(), target: variant.target >> 32n === 0n ? target : 0, fixups: this.memory?.fixups ?? [],
      seed: this.random.next(), caseCount: variant.caseCount,
    };
  }

  private hasOffsetOperand(): boolean {
    return this.shape.operands.some((operand) => operand.letter === "O");
  }

  private argument(): number {
    const { shape, special, variant } = this;
    let size: number = variant.operandSize;
    if (special === "compare") size = operandBytes(shape, size);
    if (special === "fpu-environment" || special === "fpu-state") size = size === 2 ? 14 : 28;
    const element = shape.operands.find((operand) => operand.letter === "X" || operand.letter === "Y");
    if (special === "string" && element !== undefined) size = ({ b: 1, w: 2, d: 4, q: 8 } as { [s: string]: number })[element.size] ?? size;
    const register = special === "bit-offset" || special === "bound" ? this.regRegister : this.rmRegister;
    const flag = special === "compare" ? Number(/^CMPXCHG(8|16)B$/.test(shape.mnemonic)) : special === "string" ? this.stringFlags() : 0;
    return size | (register << 8) | (flag << 16);
  }

  /** Bit 0: 32-bit addresses (67); bit 1: FS override. */
  private stringFlags(): number {
    return this.wide ? this.variant.turn % 3 === 1 ? 1 : this.variant.turn % 3 === 2 ? 2 : 0 : 0;
  }

  private prefixes(): number[] {
    const { shape, variant } = this;
    const bytes: number[] = [];
    if (variant.lock === true) bytes.push(0xf0);
    if (this.memory !== undefined) bytes.push(...this.memory.prefixes);
    if (this.special === "string" && (this.stringFlags() & 1) !== 0) bytes.push(0x67);
    if (this.special === "string" && (this.stringFlags() & 2) !== 0) bytes.push(0x64);
    if (variant.repeat !== undefined) bytes.push(variant.repeat);
    if (variant.operandSize === 2 && shape.prefix !== 0x66) bytes.push(0x66);
    if (shape.prefix !== 0) bytes.push(shape.prefix);
    if (this.random.oneIn(2)) bytes.reverse();
    return bytes;
  }

  /** A register number, with the REX bit it needs; byte registers 4..7 with or without REX. */
  private register(operand: Operand | undefined, rexBit: number): number {
    const { random } = this;
    const letter = operand?.letter ?? "";
    if ("PQN".includes(letter) && letter !== "") return random.below(8);
    if (letter === "S") return random.pick([0, 2, 3, 4, 5, 1, 6]);
    if (letter === "C") return random.pick([0, 2, 3, 4]);
    if (letter === "D") return random.pick([0, 1, 2, 3, 6, 7]);
    const n = random.below(this.wide ? 16 : 8);
    if (n >= 8) this.rex |= rexBit;
    if (operand?.size === "b" && n >= 4 && n < 8 && random.oneIn(2)) this.needsRex = this.wide;
    return n;
  }

  private lowBits(): number {
    if (this.shape.low === "i") return this.random.below(8);
    const operand = this.shape.operands.find((candidate) => candidate.letter === "Z");
    const n = this.register(operand, 1);
    this.rmRegister = n;
    return n & 7;
  }

  private modrm(): number[] {
    const { shape, variant, random } = this;
    const reg = regOperand(shape);
    let field = typeof shape.modrm === "number" ? shape.modrm : random.below(8);
    if (shape.modrm === "r" && reg !== undefined) {
      this.regRegister = this.register(reg, 4);
      field = this.regRegister & 7;
      if (this.special === "bit-offset" || this.special === "bound") this.avoid.push(this.regRegister);
    }
    if (!variant.memory) {
      const n = this.registerOperand();
      return [0xc0 | (field << 3) | (n & 7)];
    }
    this.memory = memoryOperand(random, { mode: variant.mode, target: variant.target, avoid: this.avoid, turn: variant.turn });
    this.rex |= (this.memory.rexX << 1) | this.memory.rexB;
    return [this.memory.modrm | (field << 3), ...this.memory.tail];
  }

  private registerOperand(): number {
    const n = this.register(rmOperand(this.shape), 1);
    this.rmRegister = n;
    return n;
  }

  private immediate(operand: Operand, headLength: number): number[] {
    const { random, variant } = this;
    switch (operand.letter) {
      case "I": return littleEndian(this.immediateValue(), this.immediateBytes(operand));
      case "J": return this.branchOffset(operand, headLength);
      case "O": return littleEndian(variant.target, this.wide ? 8 : 4);
      case "A": return [...littleEndian(BigInt(CODE_BASE + 0x200 + random.below(0x400)), variant.operandSize === 2 ? 2 : 4), ...littleEndian(BigInt(random.pick([0x23, 0x23, 0x33, 0x2b, 0])), 2)];
      default: return [];
    }
  }

  private immediateValue(): bigint {
    const { random } = this;
    // INT 80h is the host kernel's system call.
    if (this.shape.mnemonic === "INT") return BigInt(random.pick([0, 1, 3, 4, 6, 0x0d, 0x20, 0x7f, 0x81, 0xff]));
    if (profileOf(this.shape) !== "integer") return BigInt(random.oneIn(2) ? random.below(256) : random.below(20));
    switch (random.below(4)) {
      case 0: return BigInt(random.pick([0, 1, 2, 7, 8, 0x0f, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]));
      case 1: return BigInt(random.below(70));
      default: return random.u64();
    }
  }

  private immediateBytes(operand: Operand): number {
    const { variant } = this;
    if (operand.size === "v") return variant.operandSize;
    if (operand.size === "z") return Math.min(4, variant.operandSize);
    return ({ b: 1, bs: 1, w: 2, d: 4, q: 8 } as { [size: string]: number })[operand.size] ?? 1;
  }

  /** A displacement that lands in the code pages outside the instruction, or now and then on no page. */
  private branchOffset(operand: Operand, headLength: number): number[] {
    const { random, variant } = this;
    if (operand.size === "b") {
      const value = random.oneIn(2) ? random.below(0x80) : -20 - random.below(108);
      return [value & 0xff];
    }
    const size = variant.operandSize === 2 ? 2 : 4;
    const end = variant.codeOffset + headLength + size;
    const destination = random.oneIn(2) ? random.below(0x700) : 0x1100 + random.below(0xe00);
    const far = random.oneIn(10) ? 0x0400_0000 : 0;
    return littleEndian(BigInt.asUintN(32, BigInt(destination - end + far)), size);
  }

  /** Fills in a RIP-relative displacement, which needs the length of the whole instruction. */
  private relocate(bytes: number[], immediateLength: number): number[] {
    const ripTarget = this.memory?.ripTarget;
    if (ripTarget === undefined) return bytes;
    const displacement = ripTarget - (CODE_BASE + this.variant.codeOffset + bytes.length);
    bytes.splice(bytes.length - immediateLength - 4, 4, ...littleEndian(BigInt.asUintN(32, BigInt(displacement)), 4));
    return bytes;
  }
}
