/** Finds the instruction tables: every module of src/cpu/table that exports `rows`. */
import { readdirSync } from "node:fs";
import type { InstructionRow } from "../table/format.js";

/** One table and its name. */
export interface InstructionTable {
  /** File name without extension; its vectors are <name>.br. */
  readonly name: string;
  readonly rows: readonly InstructionRow[];
}

/** Folders, seen from dist/cpu/differential. */
export const VECTOR_FOLDER = new URL("../../../test/differential/vectors/", import.meta.url);
export const GENERATOR_SOURCE = new URL("../../../test/differential/generate.c", import.meta.url);
export const CORE_WASM = new URL("../core.wasm", import.meta.url);
const TABLE_FOLDER = new URL("../table/", import.meta.url);

/** All tables, by name. */
export async function loadTables(): Promise<InstructionTable[]> {
  const tables: InstructionTable[] = [];
  for (const file of readdirSync(TABLE_FOLDER).sort()) {
    if (!file.endsWith(".js") || /^(index|format)\.|\.test\./.test(file)) continue;
    const module = (await import(new URL(file, TABLE_FOLDER).href)) as { rows?: readonly InstructionRow[] };
    if (Array.isArray(module.rows)) tables.push({ name: file.replace(/\.js$/, ""), rows: module.rows });
  }
  return tables;
}
