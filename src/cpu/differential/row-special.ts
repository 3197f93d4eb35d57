/** Which operand values suit a row: chosen by its operand letters and, where the meaning decides, by its mnemonic. */
import type { Profile, Special } from "./encoding.js";
import { rmOperand, type RowShape } from "./row-shape.js";

const SPECIAL_BY_MNEMONIC: readonly (readonly [pattern: RegExp, special: Special])[] = [
  [/^I?DIV$/, "divide"],
  [/^CMPXCHG/, "compare"],
  [/^(LOOP|J(R|E)?CXZ)/, "count"],
  [/^(PUSH|ENTER|LEAVE)/, "stack"],
  [/^POPF/, "pop-flags"],
  [/^RETF/, "return-far"],
  [/^RET/, "return"],
  [/^IRET/, "interrupt-return"],
  [/^(LAR|LSL|VERR|VERW|ARPL)$/, "selector"],
  [/^L(SS|FS|GS|DS|ES)$/, "far-pointer"],
  [/^MASKMOV/, "rdi"],
  [/^XLAT/, "rbx"],
  [/^PCMPESTR/, "lengths"],
  [/^LDMXCSR$/, "mxcsr"],
  [/^FLDCW$/, "fpu-control"],
  [/^FLDENV$/, "fpu-environment"],
  [/^FRSTOR$/, "fpu-state"],
  [/^FXRSTOR/, "fx-state"],
  [/^WR[FG]SBASE$/, "segment-base"],
  [/^BOUND$/, "bound"],
];

/** The special of a row (encoding.ts lists what each means). */
export function specialOf(shape: RowShape): Special {
  const { mnemonic, operands } = shape;
  const has = (letters: string): boolean => operands.some((operand) => operand.letter !== "" && letters.includes(operand.letter));
  const rm = rmOperand(shape);
  if (has("XY")) return "string";
  if (/^PS[LR][LA][WDQ]$/.test(mnemonic) && has("QW")) return has("Q") ? "mmx-count" : "vector-count";
  if (mnemonic === "MASKMOVQ") return "mmx-rdi";
  if (has("PQN") || mnemonic === "EMMS") return "mmx";
  if (/^(CALL|JMP)/.test(mnemonic)) {
    if (rm === undefined) return "stack";
    return /[FR]/.test(mnemonic.slice(3)) || rm.size === "p" ? "branch-far" : "branch";
  }
  if (/^POP/.test(mnemonic) && !/^POPCNT|^POPF/.test(mnemonic)) return operands[0]?.letter === "" ? "pop-selector" : "stack";
  if (mnemonic === "MOV" && operands[0]?.letter === "S") return "selector";
  if (/^BT[SRC]?$/.test(mnemonic) && has("G")) return "bit-offset";
  if (operands.some((operand) => operand.text === "CL")) return "count";
  return SPECIAL_BY_MNEMONIC.find(([pattern]) => pattern.test(mnemonic))?.[1] ?? "none";
}

function floatProfile(size: string): Profile | undefined {
  if (/^(ps|ss)$/.test(size)) return "f32";
  return /^(pd|sd)$/.test(size) ? "f64" : undefined;
}

/** What the registers of a row hold. */
export function profileOf(shape: RowShape): Profile {
  if (shape.isX87) return "f80";
  const vector = shape.operands.filter((operand) => operand.letter !== "" && "VWUPQN".includes(operand.letter));
  if (vector.length === 0) return "integer";
  if (/^PCMP[EI]STR/.test(shape.mnemonic)) return "text";
  if (/CVT/.test(shape.mnemonic)) return "mixed";
  for (const operand of shape.operands) {
    const float = floatProfile(operand.size);
    if (float !== undefined) return float;
  }
  return "lanes";
}

/** What the memory operand of a row holds. */
export function memoryProfileOf(shape: RowShape): Profile {
  const rm = rmOperand(shape);
  if (!shape.isX87 || rm === undefined) return profileOf(shape);
  if (/^FB/.test(shape.mnemonic)) return "decimal";
  if (/^FI/.test(shape.mnemonic)) return "integer";
  return rm.size === "d" ? "f32" : rm.size === "q" ? "f64" : rm.size === "t" ? "f80" : "integer";
}

/** Bytes of the memory operand, for page-crossing cases; `operandSize` is 2, 4 or 8. */
export function operandBytes(shape: RowShape, operandSize: number): number {
  const size = rmOperand(shape)?.size ?? shape.operands.find((operand) => operand.letter === "O")?.size ?? "";
  const fixed: { readonly [size: string]: number } = {
    b: 1, w: 2, d: 4, q: 8, dq: 16, x: 16, ps: 16, pd: 16, ss: 4, sd: 8, t: 10, fx: 512, n: 1, s: 10,
  };
  if (size === "fe") return operandSize === 2 ? 14 : 28;
  if (size === "fs") return operandSize === 2 ? 94 : 108;
  if (size === "z") return Math.min(operandSize, 4);
  if (size === "y") return Math.max(operandSize, 4);
  if (size === "p") return operandSize + 2;
  if (size === "a") return operandSize * 2;
  return fixed[size] ?? operandSize;
}
