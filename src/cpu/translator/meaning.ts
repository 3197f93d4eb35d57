/** What a handler of the interpreter does, for the translator: written by src/cpu/generate from the instruction table. */

/** A template of generate/hot-templates.ts with what it was asked for, or (without a size) the function of the interpreter of that name. */
export interface HandlerMeaning {
  readonly run: string;
  /** Operand size in bits. */
  readonly size?: number;
  /** Register operand, memory operand, memory operand without index. */
  readonly form?: "r" | "m" | "b";
  /** The memory operand is the source. */
  readonly load?: boolean;
  readonly parameter?: number;
}
