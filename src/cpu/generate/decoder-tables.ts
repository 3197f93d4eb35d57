/**
 * Builds the decoder's tables from the rows.
 *
 * Each of the four opcode maps has 256 entries of u16: 0 no such opcode, n + 1 row n, or 0x8000 | index of a node. A node is
 * u16s: its kind, then entries. Kinds: 0 by prefix (NP 66 F3 F2), 1 by ModRM.reg and whether rm is a register (16), 2 by
 * ModRM.rm (8), 3 by REX.W (2), 4 by mode (other, 64-bit).
 */
import {
  immediateKind, memoryBytes, sizeRule, slotKinds, writesMemory, SIZE_BYTE, SIZE_FORCED64, SIZE_WORD, type ParsedRow,
} from "./forms.js";

export const ROW_LOCK = 1;
export const ROW_ONLY64 = 2;
export const ROW_NOT64 = 4;
export const ROW_ENDS_TRACE = 8;
export const ROW_MODRM = 16;
export const ROW_ADDRESS_ONLY = 32;
export const ROW_STACK_INDEX = 64;
export const ROW_SWAP = 128;
export const ROW_JUMP = 256;
/** CR and DR moves: ModRM names registers whatever mod says. */
export const ROW_REGISTER_ONLY = 512;
/** The 66 prefix selects the row and does not change the operand size. */
export const ROW_MANDATORY_66 = 1024;
/** A Jcc: may be fused with the comparison before it. */
export const ROW_CONDITIONAL = 2048;
/** The memory operand is written. */
export const ROW_WRITES = 4096;
/** Bytes of one row's record. */
export const ROW_RECORD_SIZE = 48;

const PREFIX_CLASSES = ["NP", "66", "F3", "F2"] as const;

interface Dimension {
  readonly kind: number;
  readonly count: number;
  constrained(row: ParsedRow): boolean;
  matches(row: ParsedRow, value: number): boolean;
}

const DIMENSIONS: readonly Dimension[] = [
  { kind: 0, count: 4, constrained: (row) => row.prefix !== undefined, matches: (row, value) => row.prefix === PREFIX_CLASSES[value] },
  {
    kind: 1, count: 16, constrained: (row) => row.reg !== undefined || row.memory !== undefined,
    matches: (row, value) => (row.reg === undefined || row.reg === (value & 7)) && (row.memory === undefined || row.memory === (value < 8)),
  },
  { kind: 2, count: 8, constrained: (row) => row.rm !== undefined, matches: (row, value) => row.rm === value },
  { kind: 3, count: 2, constrained: (row) => row.rexW !== undefined, matches: (row, value) => row.rexW === (value === 1) },
];

/** How many things a row's encoding pins down; of two rows for one encoding, the one that pins down more is meant, a prefix counting most. */
function specificity(row: ParsedRow): number {
  const constraints = [row.rexW, row.memory, row.rm, row.reg, row.prefix];
  return constraints.reduce<number>((sum, constraint, weight) => (constraint === undefined ? sum : sum + (1 << weight)), 0);
}

/** The nodes and the four maps, flat. */
export class OpcodeTrie {
  readonly nodes: number[] = [];
  readonly maps = new Uint16Array(4 * 256);
  readonly #rows: readonly ParsedRow[];

  constructor(rows: readonly ParsedRow[]) {
    this.#rows = rows;
    for (let map = 0; map < 4; map++) {
      for (let opcode = 0; opcode < 256; opcode++) {
        const exact = rows.filter((row) => row.map === map && row.opcodeCount === 1 && row.opcode === opcode);
        const family = rows.filter((row) => row.map === map && row.opcodeCount === 8 && opcode >= row.opcode && opcode < row.opcode + 8);
        this.maps[map * 256 + opcode] = this.#entry(exact.length > 0 ? exact : family, 0);
      }
    }
  }

  #entry(candidates: readonly ParsedRow[], dimensionIndex: number): number {
    if (candidates.length === 0) return 0;
    const dimension = DIMENSIONS[dimensionIndex];
    if (dimension === undefined) {
      const most = Math.max(...candidates.map(specificity));
      candidates = candidates.filter((row) => specificity(row) === most);
      // Rows that differ only in mode (not64, only64) are told apart by the decoder.
      if (candidates.length > 1) {
        const names = candidates.map((row) => `${row.row.opcode} ${row.row.form}`).join(" | ");
        const modes = new Set(candidates.map((row) => (row.row.options.not64 ? "legacy" : row.row.options.only64 ? "long" : "both")));
        if (candidates.length !== 2 || !modes.has("legacy") || !modes.has("long")) throw new Error(`instruction table: same encoding: ${names}`);
        const index = this.nodes.length;
        this.nodes.push(4, ...["legacy", "long"].map((mode) =>
          this.#rows.indexOf(candidates.find((row) => (mode === "legacy") === (row.row.options.not64 === true))!) + 1));
        return 0x8000 | index;
      }
      return this.#rows.indexOf(candidates[0]!) + 1;
    }
    if (!candidates.some((row) => dimension.constrained(row))) return this.#entry(candidates, dimensionIndex + 1);
    const entries: number[] = [];
    for (let value = 0; value < dimension.count; value++) {
      entries.push(this.#entry(candidates.filter((row) => !dimension.constrained(row) || dimension.matches(row, value)), dimensionIndex + 1));
    }
    const index = this.nodes.length;
    this.nodes.push(dimension.kind, ...entries);
    if (this.nodes.length >= 0x8000) throw new Error("instruction table: too many decoder nodes");
    return 0x8000 | index;
  }
}

/** Handler numbers of one row: [size 8, 16, 32, 64][register, memory, memory without index], for LOCK, and outside 64-bit mode. */
export interface RowHandlers {
  readonly handlers: readonly (readonly [number, number, number])[];
  readonly lockHandler: number;
  readonly legacyHandler: number;
  readonly swap: boolean;
}

/** One row's record for the decoder, ROW_RECORD_SIZE bytes. */
export function rowRecord(parsed: ParsedRow, handlers: RowHandlers): Uint8Array {
  const bytes = new Uint8Array(ROW_RECORD_SIZE);
  const view = new DataView(bytes.buffer);
  handlers.handlers.forEach((forms, size) => forms.forEach((handler, form) => view.setUint16((size * 3 + form) * 2, handler, true)));
  view.setUint16(24, handlers.lockHandler, true);
  view.setUint16(26, handlers.legacyHandler, true);
  const { options, opcode, run } = { ...parsed.row, opcode: parsed.opcode, run: parsed.row.run };
  let bits = 0;
  if (options.lock) bits |= ROW_LOCK;
  if (options.only64) bits |= ROW_ONLY64;
  if (options.not64) bits |= ROW_NOT64;
  if (options.endsTrace) bits |= ROW_ENDS_TRACE;
  if (parsed.hasModrm) bits |= ROW_MODRM;
  if (parsed.operands.some((operand) => operand.letter === "M" && operand.size === "n")) bits |= ROW_ADDRESS_ONLY;
  if (parsed.stackIndex) bits |= ROW_STACK_INDEX;
  if (handlers.swap) bits |= ROW_SWAP;
  if (/^hot:(jcc|jmp$|call$)/.test(run)) bits |= ROW_JUMP;
  if (parsed.operands.some((operand) => operand.letter === "C" || operand.letter === "D") && parsed.operands.some((operand) => operand.letter === "R")) bits |= ROW_REGISTER_ONLY;
  if (run.startsWith("hot:jcc")) bits |= ROW_CONDITIONAL;
  if (writesMemory(parsed)) bits |= ROW_WRITES;
  if (parsed.prefix === "66") bits |= ROW_MANDATORY_66;
  view.setUint16(28, bits, true);
  const slots = slotKinds(parsed);
  bytes[30] = slots.reg;
  bytes[31] = slots.rm;
  bytes[32] = immediateKind(parsed);
  bytes[33] = sizeRule(parsed);
  view.setUint16(34, memoryBytes(parsed), true);
  bytes[36] = opcode & 15;
  return bytes;
}

/** Operand sizes (bits) that a row can have. */
export function rowSizes(parsed: ParsedRow): readonly number[] {
  switch (sizeRule(parsed)) {
    case SIZE_BYTE: return [8];
    case SIZE_WORD: return [16];
    case SIZE_FORCED64: return [16, 32, 64];
    default: return [16, 32, 64];
  }
}
