/** Transfers between segments and privilege levels: far branches, interrupts, system calls (Intel SDM vol 2). */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

const branch: InstructionOptions = { endsTrace: true, noDifferential: "leaves the code segment" };
const legacy: InstructionOptions = { endsTrace: true, not64: true };

/** The rows of this family. */
export const rows: readonly InstructionRow[] = [
  row("EA", "JMP Ap", "jmpFarImmediate", legacy),
  row("9A", "CALL Ap", "callFarImmediate", legacy),
  row("FF /5", "JMP Mp", "jmpFarMemory", branch),
  row("FF /3", "CALL Mp", "callFarMemory", branch),
  row("CB", "RETF", "retFar", branch),
  row("CA", "RETF Iw", "retFarImmediate", branch),
  row("CF", "IRET", "iret", branch),
  row("CD", "INT Ib", "interruptImmediate", branch),
  row("CC", "INT3", "int3", branch),
  row("F1", "INT1", "int1", branch),
  row("CE", "INTO", "into", legacy),
  row("0F 05", "SYSCALL", "syscall", branch),
  row("0F 07", "SYSRET", "sysret", { ...branch, system: true }),
  row("0F 34", "SYSENTER", "sysenter", branch),
  row("0F 35", "SYSEXIT", "sysexit", { ...branch, system: true }),
];
