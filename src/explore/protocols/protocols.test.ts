/** Every scenario comes to the verdict it names, the tables are whole, and docs/protocols.md says what exploring shows. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { explore } from "../explore.js";
import { ALL_SCENARIOS } from "./catalogue.js";
import { protocolsDocument, questionsTable, Verdicts } from "./document.js";
import { QUESTIONS } from "./questions.js";
import { exploreVariant } from "./search.js";
import { load, protocol, store, thread, useWrite, free, Words } from "./steps.js";
import { BUGS, MUTATIONS } from "./table.js";
import type { FaultRow, Place } from "./table.js";

const verdicts = new Verdicts();
const expectedAt = ({ scenario, variant }: Place): string | undefined => (variant === undefined ? scenario.expected : scenario.variants[variant]);

for (const scenario of ALL_SCENARIOS) {
  test(`${scenario.name}: ${scenario.says}`, (context) => {
    for (const variant of [undefined, ...Object.keys(scenario.variants)]) {
      const place = variant === undefined ? { scenario } : { scenario, variant };
      const { verdict, says, replay, preemptionsMax, tally } = verdicts.of(place);
      const expected = expectedAt(place);
      context.diagnostic(`${variant ?? "as it is"}: ${verdict}; ${preemptionsMax === Infinity ? "all schedules" : `preemptions up to ${preemptionsMax}`}, ${tally.states} states`);
      assert.equal(verdict, expected, `${scenario.name}, ${variant ?? "as it is"}: expected ${expected}, got ${verdict}: ${says} (${replay})`);
    }
  });
}

test("every schedule of the document, replayed, shows the finding that it is listed for", () => {
  for (const scenario of ALL_SCENARIOS) {
    for (const variant of [undefined, ...Object.keys(scenario.variants)]) {
      const { verdict, replay } = verdicts.of(variant === undefined ? { scenario } : { scenario, variant });
      if (replay === "") continue;
      const mutation = variant === undefined ? {} : { mutation: variant };
      const { findings } = explore(scenario, { ...mutation, replay, memoryModel: scenario.isTso === true ? "tso" : "sc" });
      assert.ok(findings.some(({ kind }) => kind === verdict), `${replay}: expected ${verdict}, got ${findings.map(({ kind }) => kind).join(", ")}`);
    }
  }
});

test("every scenario has a broken twin that is caught", () => {
  const without = ALL_SCENARIOS.filter(({ expected, variants }) => expected === "holds" && !Object.values(variants).some((kind) => kind !== "holds"));
  assert.deepEqual(without.map(({ name }) => name), []);
});

function checkTable(rows: readonly FaultRow[], ids: readonly string[]): void {
  assert.deepEqual(rows.map(({ id }) => id), ids);
  for (const { id, shown, fixed, remark } of rows) {
    assert.ok(shown !== undefined || (remark ?? "").length > 20, `${id} is neither shown nor explained`);
    if (shown !== undefined) assert.notEqual(verdicts.of(shown).verdict, "holds", `${id} is not found`);
    if (fixed !== undefined) assert.equal(verdicts.of(fixed).verdict, "holds", `${id}: without the fault something is found`);
  }
}

test("all historic bugs are in the table, are found, and are not found where they are fixed", () => {
  const numbers = Array.from({ length: 43 }, (_, n) => `B${String(n + 1).padStart(2, "0")}`);
  checkTable(BUGS, numbers.flatMap((id) => (id === "B07" ? [id, "B07b"] : [id])));
  assert.deepEqual(BUGS.filter(({ shown, fixed }) => shown !== undefined && fixed === undefined).map(({ id }) => id), []);
});

test("all forty mutations are in the table, and are found in the shipped protocol or cannot matter there", () => {
  checkTable(MUTATIONS, Array.from({ length: 40 }, (_, n) => `M${n + 1}`));
});

test("all questions of the mail have an answer", () => {
  assert.deepEqual(QUESTIONS.map(({ id }) => id), Array.from({ length: 13 }, (_, n) => `Q${n + 1}`));
  assert.ok(QUESTIONS.every(({ shown }) => shown.length > 0));
});

test("docs/protocols.md is up to date", () => {
  const committed = readFileSync(new URL("../../../docs/protocols.md", import.meta.url), "utf8");
  assert.ok(committed === protocolsDocument(verdicts), "docs/protocols.md is out of date: run node scripts/docs.mjs and commit what it writes");
});

test("the questions in docs/page-lifetimes.md are up to date", () => {
  const committed = readFileSync(new URL("../../../docs/page-lifetimes.md", import.meta.url), "utf8");
  assert.ok(committed.includes(`-->\n${questionsTable(verdicts)}<!-- end -->`), "docs/page-lifetimes.md is out of date: run node scripts/docs.mjs and commit what it writes");
});

test("a wrong expectation is noticed", () => {
  const freed = protocol({
    name: "freed", says: "a frame is freed and used", expected: "holds", variants: {}, create: () => {
      const words = new Words();
      const flag = words.word("flag");
      return { words: words.list, framesAtStart: 1, threads: [
        thread("user", function* () {
          if ((yield load(flag)) === 0) yield useWrite(1);
        }),
        thread("host", function* () {
          yield store(flag, 1);
          yield free(1);
        }),
      ] };
    },
  });
  assert.equal(exploreVariant(freed, undefined).verdict, "use-after-free");
  assert.throws(() => exploreVariant(freed, "no such variant"), /no variant/);
});
