/** Reads the rows of the instruction table: opcode column and operand letters become what the decoder needs. */
import type { InstructionRow } from "../table/format.js";

/** Kinds of register that ModRM.reg or ModRM.rm may name; values are shared with the decoder (decode.ts). */
export const KIND_NONE = 0;
export const KIND_GPR8 = 1;
export const KIND_GPR = 2;
export const KIND_XMM = 3;
export const KIND_MMX = 4;
export const KIND_SEGMENT = 5;
export const KIND_CONTROL = 6;
export const KIND_DEBUG = 7;
/** The register by the low opcode bits, the accumulator, CL: used for the slot that ModRM does not fill. */
export const KIND_OPCODE8 = 8;
export const KIND_OPCODE = 9;
export const KIND_ACCUMULATOR = 10;
export const KIND_CL = 11;
export const KIND_IMMEDIATE = 12;

export const IMMEDIATE_NONE = 0;
export const IMMEDIATE_BYTE = 1;
export const IMMEDIATE_WORD = 2;
export const IMMEDIATE_Z = 3;
export const IMMEDIATE_V = 4;
export const IMMEDIATE_OFFSET = 5;
export const IMMEDIATE_FAR = 6;
export const IMMEDIATE_ENTER = 7;
export const IMMEDIATE_ONE = 8;

export const SIZE_BYTE = 0;
export const SIZE_V = 1;
export const SIZE_Y = 2;
export const SIZE_DEFAULT64 = 3;
export const SIZE_WORD = 4;
export const SIZE_FORCED64 = 5;

/** One operand: its letter or fixed name, and its size. */
export interface Operand {
  readonly letter: string;
  readonly size: string;
}

/** Mandatory prefix of a row; NP: none may stand there. */
export type PrefixClass = "NP" | "66" | "F3" | "F2";

/** A row, read. */
export interface ParsedRow {
  readonly row: InstructionRow;
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  /** 0 one-byte, 1 0F, 2 0F 38, 3 0F 3A. */
  readonly map: number;
  readonly opcode: number;
  /** Number of consecutive opcode bytes (8 for +r, else 1). */
  readonly opcodeCount: number;
  readonly prefix: PrefixClass | undefined;
  readonly rexW: boolean | undefined;
  readonly hasModrm: boolean;
  readonly reg: number | undefined;
  readonly rm: number | undefined;
  readonly memory: boolean | undefined;
  /** The row's second byte names ST(i) in its low bits. */
  readonly stackIndex: boolean;
}

const FIXED = new Set(["AL", "AX", "eAX", "rAX", "CL", "DX", "1", "3", "ST0", "STi", "ES", "CS", "SS", "DS", "FS", "GS"]);

function parseOperand(text: string): Operand {
  if (FIXED.has(text)) return { letter: text, size: "" };
  return { letter: text.slice(0, 1), size: text.slice(1) };
}

/** Splits a form into its mnemonic and operands. */
export function parseForm(form: string): { mnemonic: string; operands: Operand[] } {
  const space = form.indexOf(" ");
  if (space < 0) return { mnemonic: form, operands: [] };
  return {
    mnemonic: form.slice(0, space),
    operands: form.slice(space + 1).split(",").map((part) => parseOperand(part.trim())),
  };
}

/** Reads one row; throws an Error naming the row where the grammar is broken. */
export function parseRow(row: InstructionRow): ParsedRow {
  const tokens = row.opcode.split(/\s+/);
  const fail = (why: string): never => { throw new Error(`instruction table: "${row.opcode}" "${row.form}": ${why}`); };
  let prefix: PrefixClass | undefined;
  let rexW: boolean | undefined;
  for (;;) {
    const token = tokens[0];
    if (token === "NP" || ((token === "66" || token === "F3" || token === "F2") && tokens.length > 1 && !tokens[1]!.startsWith("/"))) {
      prefix = token as PrefixClass;
    } else if (token === "REX.W") rexW = true;
    else if (token === "REX.0") rexW = false;
    else break;
    tokens.shift();
  }
  let map = 0;
  const startsWith = (byte: string): boolean => tokens.length > 1 && tokens[0] === byte && !tokens[1]!.startsWith("/");
  if (startsWith("0F")) {
    tokens.shift();
    map = startsWith("38") ? 2 : startsWith("3A") ? 3 : 1;
    if (map > 1) tokens.shift();
  }
  const opcodeToken = tokens.shift() ?? fail("no opcode byte");
  const plusR = opcodeToken.endsWith("+r");
  const opcode = Number.parseInt(opcodeToken.slice(0, 2), 16);
  if (Number.isNaN(opcode)) fail(`bad opcode byte ${opcodeToken}`);
  let hasModrm = false;
  let reg: number | undefined;
  let rm: number | undefined;
  let memory: boolean | undefined;
  let stackIndex = false;
  for (const token of tokens) {
    if (token === "/r") hasModrm = true;
    else if (/^\/[0-7]$/.test(token)) { hasModrm = true; reg = Number(token[1]); }
    else if (/^[0-9A-F]{2}(\+i)?$/.test(token)) {
      const modrm = Number.parseInt(token.slice(0, 2), 16);
      hasModrm = true;
      memory = false;
      reg = (modrm >> 3) & 7;
      if (token.endsWith("+i")) stackIndex = true;
      else rm = modrm & 7;
    } else if (!/^i[bwdz]$|^iv$|^c[bwdp]$/.test(token)) fail(`unknown token ${token}`);
  }
  const { mnemonic, operands } = parseForm(row.form);
  if (operands.some((operand) => "MEQWRNUGPVSCD".includes(operand.letter) && operand.letter.length === 1) && !hasModrm) fail("operands need ModRM");
  if (operands.some((operand) => operand.letter === "M")) memory = true;
  if (operands.some((operand) => operand.letter === "R" || operand.letter === "N" || operand.letter === "U")) memory = false;
  return { row, mnemonic, operands, map, opcode, opcodeCount: plusR ? 8 : 1, prefix, rexW, hasModrm, reg, rm, memory, stackIndex };
}

/** How the operand size of a row is found (SIZE_*). */
export function sizeRule(parsed: ParsedRow): number {
  const { operands, row } = parsed;
  if (row.options.default64) return row.options.endsTrace ? SIZE_FORCED64 : SIZE_DEFAULT64;
  const sizes = operands.map((operand) => operand.size);
  if (sizes.some((size) => size === "y")) return SIZE_Y;
  if (operands.some((operand) => operand.letter === "rAX" || operand.letter === "eAX")) return SIZE_V;
  if (sizes.some((size) => size === "v" || size === "z" || size === "a" || size === "p" || size === "n")) return SIZE_V;
  if (operands.some((operand) => operand.letter === "AL")) return SIZE_BYTE;
  const general = operands.find((operand) => "EGZMRXY".includes(operand.letter) && operand.letter.length === 1);
  if (general !== undefined && general.size === "b" && !operands.some((operand) => "VPWQUN".includes(operand.letter))) return SIZE_BYTE;
  if (general !== undefined && general.size === "w" && operands.every((operand) => operand.size === "w" || operand.size === "")) return SIZE_WORD;
  return SIZE_V;
}

const REGISTER_KINDS: Readonly<Record<string, number>> = {
  V: KIND_XMM, W: KIND_XMM, U: KIND_XMM, P: KIND_MMX, Q: KIND_MMX, N: KIND_MMX, S: KIND_SEGMENT, C: KIND_CONTROL, D: KIND_DEBUG,
};

function kindOf(operand: Operand): number {
  return REGISTER_KINDS[operand.letter] ?? (operand.size === "b" ? KIND_GPR8 : KIND_GPR);
}

/** Register kinds of the reg slot and of the rm slot of an op. */
export function slotKinds(parsed: ParsedRow): { reg: number; rm: number } {
  let reg = KIND_NONE;
  let rm = KIND_NONE;
  const { operands } = parsed;
  for (const operand of operands) {
    if ("GPVSCD".includes(operand.letter) && operand.letter.length === 1) reg = kindOf(operand);
    if ("EQWRNUM".includes(operand.letter) && operand.letter.length === 1) rm = kindOf(operand);
    if (operand.letter === "Z") {
      rm = operand.size === "b" ? KIND_OPCODE8 : KIND_OPCODE;
      if (reg === KIND_NONE) reg = rm;
    }
  }
  const hasImmediate = operands.some((operand) => operand.letter === "I" || operand.letter === "1");
  const accumulator = operands.some((operand) => ["AL", "AX", "eAX", "rAX"].includes(operand.letter));
  if (accumulator) {
    if (rm === KIND_NONE && !operands.some((operand) => operand.letter === "O")) rm = KIND_ACCUMULATOR;
    else reg = KIND_ACCUMULATOR;
  }
  if (operands.some((operand) => operand.letter === "CL") && reg === KIND_NONE) reg = KIND_CL;
  if (hasImmediate && (reg === KIND_NONE || ((reg === KIND_OPCODE || reg === KIND_OPCODE8) && operands[0]!.letter === "Z"))) reg = KIND_IMMEDIATE;
  return { reg, rm };
}

/** Kind of immediate that follows (IMMEDIATE_*). */
export function immediateKind(parsed: ParsedRow): number {
  const immediates = parsed.operands.filter((operand) => "IJOA".includes(operand.letter) && operand.letter.length === 1);
  if (immediates.length === 2) return IMMEDIATE_ENTER;
  if (parsed.operands.some((operand) => operand.letter === "1")) return IMMEDIATE_ONE;
  const immediate = immediates[0];
  if (immediate === undefined) return IMMEDIATE_NONE;
  if (immediate.letter === "O") return IMMEDIATE_OFFSET;
  if (immediate.letter === "A") return IMMEDIATE_FAR;
  if (immediate.size === "b" || immediate.size === "bs") return IMMEDIATE_BYTE;
  if (immediate.size === "w") return IMMEDIATE_WORD;
  if (immediate.size === "v") return IMMEDIATE_V;
  return IMMEDIATE_Z;
}

const FIXED_BYTES: Readonly<Record<string, number>> = {
  b: 1, w: 2, d: 4, q: 8, dq: 16, x: 16, ps: 16, pd: 16, ss: 4, sd: 8, t: 10, fe: 28, fs: 108, fx: 512,
};

/** Bytes of the memory operand; 0 when they follow from the operand size. */
export function memoryBytes(parsed: ParsedRow): number {
  const operand = parsed.operands.find((candidate) => "EMQWO".includes(candidate.letter) && candidate.letter.length === 1);
  return operand === undefined ? 0 : FIXED_BYTES[operand.size] ?? 0;
}

/** Mnemonics whose first operand may be memory, but is only read or named. */
const READERS = new Set(
  ("ARPL BT CALL CLFLUSH CMP DIV IDIV IMUL INVLPG JMP LDMXCSR LGDT LIDT LLDT LMSW LTR MUL NOP PREFETCH PREFETCHW PUSH TEST VERR VERW FXRSTOR "
    + "FXRSTOR64").split(" "));
const FLOATING_WRITERS = /^(FBSTP|FISTT?P?|FSTP?|FN?ST(CW|ENV|SW)|FN?SAVE|FXSAVE(64)?)$/;

/** Whether the memory operand is written: the first operand is, but for the mnemonics above. */
export function writesMemory({ mnemonic, operands }: ParsedRow): boolean {
  const first = operands[0]?.letter ?? "";
  if (!["E", "M", "W", "Q", "O"].includes(first) || READERS.has(mnemonic)) return false;
  return !mnemonic.startsWith("F") || FLOATING_WRITERS.test(mnemonic);
}
