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
  let module: WebAssembly.Module;
  let regionsOfAll = 0;
  before(async () => { module = await compileCore(readFileSync(CORE_WASM)); });
  after(() => { console.log(`differential: ${regionsOfAll} regions translated`); });

  for (const table of tables) {
    test(`every form of table ${table.name} does what the processor did when it is translated`, () => {
      // Each has a core of its own: V8 (11.3) goes through all instances that ever imported a core's table whenever a function is put into it, and
      // with 16,000 regions in one table that was three fifths of the time.
      const machine = new DifferentialMachine(module, true);
      const report = checkTable(machine, table, { samplesMax: 1 });
      const sum = totals(report);
      assert.equal(sum.failedCases, 0, `\n${failureText(report)}\n`);
      // Half of the encodings are those of 32-bit mode, which is not translated.
      const regions = machine.translatedRegions;
      assert.ok(table.name === "legacy" || regions > sum.encodings / 4, `expected code to be translated, got ${regions} regions for ${sum.encodings} encodings`);
      regionsOfAll += regions;
    });
  }
});
