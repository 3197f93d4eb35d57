/** The source that ships under every schedule within a bound, and under planted faults. Longer: npm run explore:deep -- shipped-... */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { explore } from "../../explore/index.js";
import type { ExploreOptions } from "../../explore/index.js";
import { faultsOf, loadShippedScenario, SHIPPED_SCENARIOS } from "../index.js";

/** Scenarios small enough for all schedules; the others with so many preemptions. */
const BOUNDS: Readonly<Record<string, ExploreOptions>> = {
  "shipped-slot-and-use": {},
  "shipped-move-and-sleepless-user": {},
  "shipped-move-and-use": { preemptions: 2 },
  "shipped-move-and-guest": { preemptions: 2 },
};
const BOUND_OTHERWISE: ExploreOptions = { preemptions: 1 };

describe("the source that ships holds", { timeout: 300_000 }, () => {
  for (const { name, says } of SHIPPED_SCENARIOS) {
    it(`${name}: ${says}`, async (context) => {
      const report = explore((await loadShippedScenario(name))!, BOUNDS[name] ?? BOUND_OTHERWISE);
      const { schedules, states, steps } = report.tally;
      context.diagnostic(`${schedules} schedules, ${states} states, ${steps} steps, ${Math.round(report.elapsedMs)} ms`);
      assert.equal(report.verdict, "holds", report.text);
      // A thread that ended at once would hold, too.
      assert.ok(schedules > 5 && states > 1000, report.text);
    });
  }
});

/** Faults whose shortest schedule takes half a minute to find: with UNPINNED_EXPLORE=long. */
const SLOW = new Set(process.env["UNPINNED_EXPLORE"] === "long" ? [] : ["M5", "M19"]);

describe("a fault planted in the source that ships is found, and its schedule can be replayed", { timeout: 600_000 }, () => {
  for (const { name } of SHIPPED_SCENARIOS) {
    for (const { id, what } of faultsOf(name).filter((fault) => !SLOW.has(fault.id))) {
      it(`${id}, ${what}: ${name}`, async (context) => {
        const scenario = (await loadShippedScenario(name, id))!;
        const report = explore(scenario, { preemptions: 1, mutation: id });
        assert.equal(report.verdict, "fails", report.text);
        const { replay } = report.schedule!;
        context.diagnostic(`${report.findings[0]!.kind}: ${replay}`);
        const again = explore((await loadShippedScenario(name, id))!, { replay, mutation: id });
        // One schedule is looked at for data races, too, which a search leaves out behind what it stopped at.
        assert.ok(again.findings.some(({ kind }) => kind === report.findings[0]!.kind), again.text);
      });
    }
  }
});

test("a name that is none, and a fault that is none, are told apart from what there is", async () => {
  assert.equal(await loadShippedScenario("shipped-nothing"), undefined);
  const scenario = (await loadShippedScenario("shipped-move-and-use", "M999"))!;
  assert.throws(() => explore(scenario, { mutation: "M999" }), { name: "ExploreOptionError", message: /has no mutation "M999"/ });
});
