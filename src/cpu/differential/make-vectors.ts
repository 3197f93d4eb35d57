/**
 * Makes the vector files on the host's processor.
 *
 *   node dist/cpu/differential/make-vectors.js [TABLE...]    all tables when none is named
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runNatively, compileGenerator } from "./native.js";
import { planRow, whyUntested } from "./plan.js";
import { rowKey } from "./row-shape.js";
import { GENERATOR_SOURCE, loadTables, VECTOR_FOLDER, type InstructionTable } from "./tables.js";
import { packVectors, type RowVectors } from "./vector-file.js";

function makeTable(program: string, table: InstructionTable): RowVectors[] {
  return table.rows.filter((row) => whyUntested(row) === undefined).map((row) => {
    const encodings = planRow(row);
    return { key: rowKey(row), encodings, outcomes: runNatively(program, encodings) };
  });
}

const wanted = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), "differential-"));
try {
  const program = join(scratch, "generate");
  compileGenerator(fileURLToPath(GENERATOR_SOURCE), program);
  mkdirSync(VECTOR_FOLDER, { recursive: true });
  for (const table of await loadTables()) {
    if (wanted.length > 0 && !wanted.includes(table.name)) continue;
    const rows = makeTable(program, table);
    const file = packVectors(rows);
    writeFileSync(new URL(`${table.name}.br`, VECTOR_FOLDER), file);
    const cases = rows.reduce((sum, row) => sum + row.outcomes.reduce((count, outcomes) => count + outcomes.length, 0), 0);
    console.log(`${table.name}: ${rows.length} rows, ${cases} cases, ${file.length} bytes`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
