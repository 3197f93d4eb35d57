/** Puts together the bytes of one instruction: prefixes, REX, opcode, ModRM, SIB, displacement, immediates (Intel SDM vol 2 §2.1, §2.2). */
import { littleEndian, memoryOperand, type MemoryOperand } from "./addressing.js";
import { ARGUMENT_SINGLE_STEP, type Encoding, type Special } from "./encoding.js";
import { CODE_BASE, CODE_SIZE, SELECTOR_CODE_32, SELECTOR_CODE_64, SELECTOR_DATA } from "./layout.js";
import type { Random } from "./random.js";
import { memoryProfileOf, operandBytes, profileOf } from "./row-special.js";
import { isNearBranch, regOperand, rmOperand, type Operand, type RowShape } from "./row-shape.js";

/** Longer instructions are #GP(0). */
const LENGTH_MAX = 15;

/** What is wanted of one encoding. */
export interface Variant {
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
  /** One byte more than an instruction may have, by prefixes without effect. */
  readonly tooLong?: boolean;
  readonly singleStep?: boolean;
}

/** Registers that a special gives a meaning, so that addresses must not be built on them. */
const RESERVED: { readonly [special in Special]?: readonly number[] } = {
  count: [1], divide: [0, 2], compare: [0, 2], stack: [4, 5], return: [4, 5], "return-far": [4, 5], "pop-selector": [4, 5], branch: [4, 5],
  "branch-far": [4, 5], rdi: [7], lengths: [0, 2], string: [1, 6, 7],
};

/** Assembles the instruction of a row that a variant describes. */
export class Assembler {
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
    if (bytes.length > LENGTH_MAX) return undefined;
    if (variant.tooLong === true) bytes.unshift(...Array<number>(LENGTH_MAX + 1 - bytes.length).fill(0x2e));
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
    return size | (register << 8) | (flag << 16) | (variant.singleStep === true ? ARGUMENT_SINGLE_STEP : 0);
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
    // REX.W wins over 66, and a REX that is not the last prefix is no prefix at all.
    if ((this.rex & 8) !== 0 && shape.sized && !shape.prefixSelects && !isNearBranch(shape) && this.random.oneIn(6)) bytes.push(0x66);
    if (this.random.oneIn(2)) bytes.reverse();
    if (this.wide && bytes.length > 0 && this.random.oneIn(16)) bytes.unshift(0x40 | this.random.below(16));
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
      case "A": return this.farPointer();
      default: return [];
    }
  }

  private farPointer(): number[] {
    const offset = BigInt(CODE_BASE + 0x200 + this.random.below(0x400));
    const selector = BigInt(this.random.pick([SELECTOR_CODE_32, SELECTOR_CODE_32, SELECTOR_CODE_64, SELECTOR_DATA, 0]));
    return [...littleEndian(offset, this.variant.operandSize === 2 ? 2 : 4), ...littleEndian(selector, 2)];
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
