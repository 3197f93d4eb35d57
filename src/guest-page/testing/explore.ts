/**
 * Program that explores scenarios under drawn schedules for longer than the tests do, in a copy of the code:
 *
 *     node dist/guest-page/testing/explore.js [--seconds N] [--module PATH_FROM_DIST] [--name SCENARIO] [--seed N] [--rounds N]
 *
 * Without a name all scenarios of the module run one after the other. A failure is printed with its seed; `--seed N --rounds 1` runs it again.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import type { CheckModule } from "./catcher.js";
import { MutantTree } from "./mutant-tree.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" }, module: { type: "string", default: "guest-page/testing/page-scenarios.js" },
    name: { type: "string" }, seed: { type: "string", default: "1" }, rounds: { type: "string", default: "Infinity" },
  },
});
const { SCENARIOS = [], CHECKS = {} } = (await import(new URL(`../../${values.module}`, import.meta.url).href)) as CheckModule;
const names = values.name !== undefined ? [values.name] : [...SCENARIOS.map(({ name }) => name), ...Object.keys(CHECKS)];
const tree = MutantTree.create();
let failures = 0;
for (const name of names) {
  const timeMs = (Number(values.seconds) * 1000) / names.length;
  const { status } = spawnSync(process.execPath, [tree.path("guest-page/testing/catcher.js"), values.module, name, String(timeMs), values.seed, values.rounds], { stdio: "inherit" });
  if (status !== 0) failures++;
}
tree.remove();
process.exitCode = failures === 0 ? 0 : 1;
