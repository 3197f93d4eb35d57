/**
 * Scenarios whose threads run the source that ships, instrumented: what the model contributes is the memory, the contents of
 * frames, and a processor that keeps a translation as a TLB does.
 *
 * Bounds that all of them have: a frame's contents are the words that the scenario names; words that only count are no accesses; a sleep with a
 * time-out ends at once; there are fewer reader slots and event channels (smaller/), and 64-bit values are below 2^32.
 */
import type { Edit } from "../guest-page/testing/mutant-tree.js";
import type { Scenario, ScenarioDescription } from "../explore/index.js";
import { EVENT_SCENARIOS } from "./event-scenarios.js";
import { faultsOf } from "./faults.js";
import { $now, setAtOnce } from "./instrument/runtime.js";
import { loadExplored } from "./modules.js";
import { PAGE_SCENARIOS } from "./page-scenarios.js";
import { RUNSTATE_SCENARIOS } from "./runstate-scenarios.js";
import { Setting } from "./setting.js";
import type { ShippedScenario } from "./setting.js";
import { CellMap } from "./world.js";

const SHIPPED: readonly ShippedScenario[] = [...PAGE_SCENARIOS, ...EVENT_SCENARIOS, ...RUNSTATE_SCENARIOS];

/** Scenarios over the source that ships, by name. */
export const SHIPPED_SCENARIOS: readonly Omit<ScenarioDescription, "create">[] = SHIPPED.map(({ name, says }) =>
  ({ name, says: `the source that ships: ${says}`, expected: "holds", mutations: faultsOf(name).map(({ id }) => id) }));

/** The scenario `name` over the source that ships, with one of its faults planted if wished; undefined = there is none of that name. */
export async function loadShippedScenario(name: string, mutation?: string): Promise<ScenarioDescription | undefined> {
  const fault = faultsOf(name).find(({ id }) => id === mutation);
  return await loadWithEdits(name, fault?.edits);
}

/** As above, with any edits of the compiled modules. Throws Error where one does not fit. */
export async function loadWithEdits(name: string, edits: readonly Edit[] = []): Promise<ScenarioDescription | undefined> {
  const scenario = SHIPPED.find((candidate) => candidate.name === name);
  const description = SHIPPED_SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario === undefined || description === undefined) return undefined;
  // A word has the same cell in every execution.
  const map = new CellMap();
  nameCells(scenario, Setting.first({ modules: await loadExplored(), map, scenario }));
  const common = { modules: await loadExplored(edits), map, scenario };
  const first = Setting.first(common);
  setAtOnce(undefined);
  let words: Scenario["words"] | undefined;
  return {
    ...description,
    create: () => {
      const setting = Setting.next(common, first);
      const parts = scenario.make(setting);
      return setting.finish(parts, (words ??= setting.world.words()));
    },
  };
}

/**
 * Lets each thread run by itself, one after the other, so that the words which they touch have names before the first schedule.
 * Precondition: without a fault planted, with which one might wait for another that has ended.
 */
function nameCells(scenario: ShippedScenario, setting: Setting): void {
  const { threads } = setting.finish(scenario.make(setting), []);
  setAtOnce(setting.world);
  for (const thread of [...threads].sort((a, b) => Number(a.name === WAITING) - Number(b.name === WAITING))) $now(thread.run());
  setAtOnce(undefined);
}

/** The thread that waits for what the others do goes last. */
const WAITING = "vCPU";
