/** What a row of the instruction table asks of an encoder: its opcode and operands taken apart (grammar: table/format.ts). */
import type { InstructionRow } from "../table/format.js";

/** One operand of a row. */
export interface Operand {
  /** Addressing letter of SDM vol 2 appendix A.2, or "" for a fixed name. */
  readonly letter: string;
  readonly size: string;
  /** The operand as written. */
  readonly text: string;
}

/** A row of the instruction table, as the planner sees it. */
export interface RowShape {
  readonly row: InstructionRow;
  /** Names the row in vector files and reports. */
  readonly key: string;
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  /** Mandatory prefix byte, 0 none. */
  readonly prefix: number;
  /** Prefixes 66, F2, F3 select a different row. */
  readonly prefixSelects: boolean;
  /** REX.W as the row fixes it. */
  readonly rexW: 0 | 1 | undefined;
  readonly opcode: readonly number[];
  /** Low three bits of the last opcode byte: a general register, an ST register, or nothing. */
  readonly low: "r" | "i" | undefined;
  /** ModRM: absent, a register in reg, or a digit. */
  readonly modrm: "none" | "r" | number;
  readonly isX87: boolean;
  /** Takes operand sizes 16, 32 and 64 by prefix. */
  readonly sized: boolean;
}

const MANDATORY: { readonly [name: string]: number } = { NP: 0, 66: 0x66, F2: 0xf2, F3: 0xf3 };
const FIXED = /^(AL|AX|eAX|rAX|CL|DX|[13]|ST0|STi|ES|CS|SS|DS|FS|GS)$/;

/** "ADD Eb,Gb" → the name used everywhere for a row. */
export function rowKey(row: InstructionRow): string {
  return `${row.opcode} ${row.form}`;
}

function parseOperand(text: string): Operand {
  if (FIXED.test(text)) return { letter: "", size: text, text };
  return { letter: text.slice(0, 1), size: text.slice(1), text };
}

function isSized(row: InstructionRow, operands: readonly Operand[]): boolean {
  if (row.options.default64 === true || row.run.includes("{s}")) return true;
  return operands.some((operand) => operand.letter === "" ? /^[er]AX$/.test(operand.size) : /^[vzpa]$/.test(operand.size));
}

/** Takes a row apart. */
export function shapeOf(row: InstructionRow): RowShape {
  const [mnemonic = "", operandText = ""] = row.form.split(" ");
  const operands = operandText === "" ? [] : operandText.split(",").map(parseOperand);
  const tokens = row.opcode.split(" ");
  const first = tokens[0] as string;
  // A single byte is an opcode, never a mandatory prefix.
  const hasPrefix = tokens.length > 1 && first in MANDATORY && !/^[/]/.test(tokens[1] as string);
  if (hasPrefix) tokens.shift();
  let rexW: 0 | 1 | undefined;
  if (tokens[0] === "REX.W") rexW = 1;
  if (tokens[0] === "REX.0") rexW = 0;
  if (rexW !== undefined) tokens.shift();
  const opcode: number[] = [];
  let low: "r" | "i" | undefined;
  let modrm: "none" | "r" | number = "none";
  for (const token of tokens) {
    if (token === "/r") modrm = "r";
    else if (token.startsWith("/")) modrm = Number(token.slice(1));
    else {
      opcode.push(parseInt(token.slice(0, 2), 16));
      if (token.endsWith("+r")) low = "r";
      if (token.endsWith("+i")) low = "i";
    }
  }
  return {
    row, key: rowKey(row), mnemonic, operands, prefix: hasPrefix ? MANDATORY[first] as number : 0, prefixSelects: hasPrefix, rexW, opcode, low, modrm,
    isX87: (opcode[0] as number) >= 0xd8 && (opcode[0] as number) <= 0xdf, sized: isSized(row, operands),
  };
}

/** The operand that ModRM.rm names, if the form shows one. */
export function rmOperand(shape: RowShape): Operand | undefined {
  return shape.operands.find((operand) => "EMRQNWU".includes(operand.letter) && operand.letter !== "");
}

/** The operand that ModRM.reg names. */
export function regOperand(shape: RowShape): Operand | undefined {
  return shape.operands.find((operand) => "GSCDPV".includes(operand.letter) && operand.letter !== "");
}

/** Relative and indirect branches inside the code segment. */
export function isNearBranch(shape: RowShape): boolean {
  const far = shape.operands.some((operand) => operand.size === "p");
  return /^(CALL|JMP|RET|RETN|J[A-Z]+|LOOP[A-Z]*)$/.test(shape.mnemonic) && !far;
}
