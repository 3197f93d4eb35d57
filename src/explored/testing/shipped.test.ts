/** The source that ships under every schedule within a bound, and under planted faults. Longer: npm run explore:deep -- shipped-... */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it, test } from "node:test";
import { explore } from "../../explore/index.js";
import type { ExploreOptions } from "../../explore/index.js";
import { exploreFault, faultRow } from "../document.js";
import { HARMLESS_FAULTS, NOT_PLANTED, SHIPPED_FAULTS } from "../faults.js";
import { faultsOf, loadShippedScenario, SHIPPED_SCENARIOS } from "../index.js";

const IS_LONG = process.env["UNPINNED_EXPLORE"] === "long";
const DOCUMENT = readFileSync(new URL("../../../docs/page-lifetimes.md", import.meta.url), "utf8");

/** Scenarios that are explored further than with one preemption: all schedules, or so many preemptions. */
const BOUNDS: Readonly<Record<string, ExploreOptions>> = {
  "shipped-slot-and-use": {},
  "shipped-move-and-sleepless-user": {},
  "shipped-move-and-walk": {},
  "shipped-move-and-warm-guest": {},
  "shipped-move-and-slots": {},
  "shipped-search-and-slots": {},
  "shipped-discard-and-guest": {},
  "shipped-event-and-poll": {},
  "shipped-runstate-and-registration": {},
  "shipped-move-and-use": { preemptions: 2 },
  "shipped-move-and-guest": { preemptions: 2 },
  "shipped-event-and-registration": { preemptions: 2 },
  "shipped-registration-and-sender": { preemptions: 2 },
  "shipped-event-and-shared-info": { preemptions: 2 },
  "shipped-runstate-and-reader": { preemptions: 2 },
};
/** With UNPINNED_EXPLORE=long: two threads under all schedules, three with two preemptions. */
const LONG_BOUNDS: Readonly<Record<string, ExploreOptions>> = {
  ...BOUNDS,
  "shipped-move-and-use": {}, "shipped-move-and-guest": {}, "shipped-event-and-registration": {}, "shipped-registration-and-sender": {},
  "shipped-event-and-shared-info": {},
  "shipped-runstate-and-reader": {}, "shipped-move-and-reference": {}, "shipped-swap-in": {}, "shipped-swap-in-and-out": {},
  "shipped-swap-out-and-use": {}, "shipped-swap-out-and-slots": {}, "shipped-use-and-exchange": {},
};

function boundOf(name: string): ExploreOptions {
  return (IS_LONG ? LONG_BOUNDS : BOUNDS)[name] ?? { preemptions: IS_LONG ? 2 : 1 };
}

describe("the source that ships holds", { timeout: 3_000_000 }, () => {
  for (const { name, says } of SHIPPED_SCENARIOS) {
    it(`${name}: ${says}`, async (context) => {
      const report = explore((await loadShippedScenario(name))!, boundOf(name));
      const { schedules, cut, states, steps } = report.tally;
      context.diagnostic(`${schedules} schedules, ${states} states, ${steps} steps, ${Math.round(report.elapsedMs)} ms`);
      assert.equal(report.verdict, "holds", report.text);
      // Every thread came to its end in every schedule (I14, I16), and none at once.
      assert.equal(cut, 0, report.text);
      assert.ok(schedules > 1 && states > 500, report.text);
    });
  }
});

/** Faults that take more than a few seconds to find: with UNPINNED_EXPLORE=long. */
const SLOW = new Set(IS_LONG ? [] : ["M7"]);

describe("a fault planted in the source that ships is found, by the schedule that the documentation shows", { timeout: 1_200_000 }, () => {
  for (const fault of SHIPPED_FAULTS.filter(({ id }) => !SLOW.has(id))) {
    it(`${fault.id}, ${fault.what}: ${fault.scenario}`, async (context) => {
      const found = await exploreFault(fault);
      assert.equal(found.verdict, "fails", found.text);
      context.diagnostic(`${found.broken}: ${found.replay}`);
      assert.equal(found.preemptions, fault.preemptions, found.text);
      assert.ok(DOCUMENT.includes(faultRow(found)), `docs/page-lifetimes.md is out of date (node scripts/docs.mjs): ${faultRow(found)}`);
      const again = explore(found.scenario, { replay: found.replay, mutation: fault.id });
      assert.ok(again.findings.some(({ kind }) => found.broken.startsWith(kind)), again.findings.map(({ says }) => says).join());
    });
  }
});

describe("a fault that is said to do no harm does none", { timeout: 600_000 }, () => {
  for (const fault of HARMLESS_FAULTS) {
    it(`${fault.id}, ${fault.what}: ${fault.scenario}`, async () => {
      const found = await exploreFault(fault);
      assert.equal(found.verdict, "holds", found.text);
      assert.ok(DOCUMENT.includes(faultRow(found)), faultRow(found));
    });
  }
});

test("each of the forty mutations is planted, or it is said why not, and the documentation has it", () => {
  const known = [...SHIPPED_FAULTS, ...HARMLESS_FAULTS].map(({ id }) => id);
  for (let number = 1; number <= 40; number++) {
    const id = `M${number}`;
    assert.ok(known.includes(id) !== (NOT_PLANTED[id] !== undefined), `${id} is planted, or explained, and not both`);
    assert.ok(DOCUMENT.includes(`\n| ${id} | `), `docs/page-lifetimes.md has no ${id}`);
  }
});

test("a name that is none, and a fault that is none, are told apart from what there is", async () => {
  assert.equal(await loadShippedScenario("shipped-nothing"), undefined);
  assert.deepEqual(faultsOf("shipped-nothing"), []);
  const scenario = (await loadShippedScenario("shipped-move-and-use", "M999"))!;
  assert.throws(() => explore(scenario, { mutation: "M999" }), { name: "ExploreOptionError", message: /has no mutation "M999"/ });
});
