/**
 * Runs the differential vectors by hand.
 *
 *   node dist/cpu/differential/run.js [TABLE...] [--row TEXT] [--samples N] [--core FILE] [--tier interpreter|translator]
 *
 * --row keeps the rows whose opcode and form contain TEXT ("ADD Eb,Gb", "0F AF"); --samples is the number of failing cases shown a row;
 * --core names another core.wasm.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { compileCore } from "../core.raw.js";
import { checkTable, totals } from "./check.js";
import { DifferentialMachine } from "./machine.js";
import { CORE_WASM, loadTables } from "./tables.js";

const { values, positionals } = parseArgs({
  options: { row: { type: "string" }, samples: { type: "string", default: "2" }, core: { type: "string" }, tier: { type: "string", default: "interpreter" } },
  allowPositionals: true,
});
const machine = new DifferentialMachine(await compileCore(readFileSync(values.core ?? CORE_WASM)), values.tier === "translator");
let failed = 0;
for (const table of await loadTables()) {
  if (positionals.length > 0 && !positionals.includes(table.name)) continue;
  const report = checkTable(machine, table, { samplesMax: Number(values.samples), ...(values.row === undefined ? {} : { filter: values.row }) });
  const sum = totals(report);
  failed += sum.failedCases;
  for (const row of report.rows.values()) {
    if (row.failed === 0) continue;
    console.log(`${row.key}: ${row.failed} of ${row.cases} cases differ`);
    for (const sample of row.samples) console.log(`  ${sample}`);
  }
  for (const key of report.missing) console.log(`${key}: no vectors`);
  for (const key of report.orphans) console.log(`${key}: vectors of a row that is not in the table`);
  const differing = `${sum.failedRows} forms with ${sum.failedCases} differing cases`;
  console.log(`${table.name}: ${sum.rows} forms, ${sum.encodings} encodings, ${sum.cases} cases; ${differing}; ${report.untested.length} forms not tested`);
}
process.exitCode = failed === 0 ? 0 : 1;
