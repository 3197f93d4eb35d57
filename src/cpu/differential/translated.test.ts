/** The vectors of the real processor once more, every instruction translated. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { compileCore } from "../core.raw.js";
import { checkTable, failureText, totals } from "./check.js";
import { DifferentialMachine } from "./machine.js";
import { CORE_WASM, loadTables } from "./tables.js";

describe("differential tests of translated code", async () => {
  const tables = await loadTables();
  let machine: DifferentialMachine;
  before(async () => { machine = new DifferentialMachine(await compileCore(readFileSync(CORE_WASM)), true); });
  after(() => { console.log(`differential: ${machine.translatedRegions} regions translated`); });

  for (const table of tables) {
    test(`every form of table ${table.name} does what the processor did when it is translated`, () => {
      const before = machine.translatedRegions;
      const report = checkTable(machine, table, { samplesMax: 1 });
      const sum = totals(report);
      assert.equal(sum.failedCases, 0, `\n${failureText(report)}\n`);
      // Half of the encodings are those of 32-bit mode, which is not translated.
      const regions = machine.translatedRegions - before;
      assert.ok(table.name === "legacy" || regions > sum.encodings / 4, `expected code to be translated, got ${regions} regions for ${sum.encodings} encodings`);
    });
  }
});
