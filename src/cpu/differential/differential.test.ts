/**
 * Every instruction form against the vectors that a real processor made (test/differential/README.md). One test a
 * table; a failure shows the first cases of each row, each with the bytes and what differed.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { compileCore } from "../core.raw.js";
import { checkTable, failureText, totals } from "./check.js";
import { DifferentialMachine } from "./machine.js";
import { CORE_WASM, loadTables } from "./tables.js";

describe("differential tests against the vectors of a real processor", async () => {
  const tables = await loadTables();
  const sums = { forms: 0, encodings: 0, cases: 0, untested: 0 };
  let machine: DifferentialMachine;
  before(async () => { machine = new DifferentialMachine(await compileCore(readFileSync(CORE_WASM))); });
  after(() => {
    const { forms, encodings, cases, untested } = sums;
    console.log(`differential: ${forms} instruction forms, ${encodings} encodings, ${cases} cases; ${untested} forms without vectors, each with its reason`);
  });

  for (const table of tables) {
    test(`every form of table ${table.name} does what the processor did`, () => {
      const report = checkTable(machine, table, { samplesMax: 1 });
      const sum = totals(report);
      sums.forms += sum.rows;
      sums.encodings += sum.encodings;
      sums.cases += sum.cases;
      sums.untested += report.untested.length;
      assert.deepEqual(report.missing, [], "these forms have no vectors: make them again (test/differential/README.md)");
      assert.deepEqual(report.orphans, [], "these vectors belong to no row: make them again");
      assert.equal(sum.failedCases, 0, `\n${failureText(report)}\n`);
    });
  }

  test("a wrong expectation is noticed", () => {
    const [table] = tables;
    assert.ok(table !== undefined);
    const report = checkTable(machine, table, { samplesMax: 1, spoil: true });
    const sum = totals(report);
    assert.equal(sum.failedCases, sum.cases, "each case with one flipped result bit must differ");
  });
});
