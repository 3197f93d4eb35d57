/** The whole instruction table. */
import type { InstructionRow } from "./format.js";
import { rows as general } from "./general.js";
import { rows as legacy } from "./legacy.js";
import { rows as mmx } from "./mmx.js";
import { rows as sse } from "./sse.js";
import { rows as sse2 } from "./sse2.js";
import { rows as sse3 } from "./sse3.js";
import { rows as sse4 } from "./sse4.js";
import { rows as ssse3 } from "./ssse3.js";
import { rows as strings } from "./strings.js";
import { rows as system } from "./system.js";
import { rows as transfer } from "./transfer.js";
import { rows as x87 } from "./x87.js";

export type { InstructionOptions, InstructionRow } from "./format.js";

/** The families of the table, by the name of their chapter. */
export const INSTRUCTION_FAMILIES: Readonly<Record<string, readonly InstructionRow[]>> = {
  general, strings, transfer, system, legacy, x87, mmx, sse, sse2, sse3, ssse3, sse4,
};

/** All rows. */
export function instructionRows(): readonly InstructionRow[] {
  return Object.values(INSTRUCTION_FAMILIES).flat();
}
