/** Corners of the base set: decimal arithmetic, block stack operations, BOUND, XLAT, LOOP (Intel SDM vol 2). */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

const not64: InstructionOptions = { not64: true };
const loops: InstructionOptions = { endsTrace: true };

/** The rows of this family. */
export const rows: readonly InstructionRow[] = [
  row("27", "DAA", "daa", { ...not64, undefinedFlags: "OF" }),
  row("2F", "DAS", "das", { ...not64, undefinedFlags: "OF" }),
  row("37", "AAA", "aaa", { ...not64, undefinedFlags: "OF SF ZF PF" }),
  row("3F", "AAS", "aas", { ...not64, undefinedFlags: "OF SF ZF PF" }),
  row("D4", "AAM Ib", "aam", { ...not64, undefinedFlags: "OF AF CF" }),
  row("D5", "AAD Ib", "aad", { ...not64, undefinedFlags: "OF AF CF" }),
  row("D6", "SALC", "salc", not64),
  row("60", "PUSHA", "pusha", not64),
  row("61", "POPA", "popa", not64),
  row("62 /r", "BOUND Gv,Ma", "bound", not64),
  row("D7", "XLAT", "xlat"),
  row("C8", "ENTER Iw,Ib", "enter", { default64: true }),
  row("C9", "LEAVE", "leave", { default64: true }),
  row("E0", "LOOPNE Jb", "loopne", loops),
  row("E1", "LOOPE Jb", "loope", loops),
  row("E2", "LOOP Jb", "loop", loops),
  row("E3", "JCXZ Jb", "jcxz", loops),
];
