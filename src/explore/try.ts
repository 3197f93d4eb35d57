// trial
import { searchAll, type SearchName } from "./testing/search.js";
import { makeProgram } from "./testing/programs.js";
const from = Number(process.argv[2] ?? 1), to = Number(process.argv[3] ?? 300), tso = process.argv[4] === "tso", big = process.argv[5] === "big";
let sums: Record<string, number> = {}; let bad = 0; let skipped = 0; let times: Record<string, number> = {};
for (let seed = from; seed < to; seed++) {
  const create = makeProgram(seed, { stepsMax: big ? 4 : 3, threadsMax: 3, isTso: tso, hasInvariant: seed % 3 === 0 });
  const seen: Record<string, string> = {};
  try {
    for (const name of ["states", "every", "dpor"] as SearchName[]) {
      const t = performance.now();
      const r = searchAll(create, name, { isTso: tso, stepsLimit: 3_000_000 });
      times[name] = (times[name] ?? 0) + performance.now() - t;
      sums[name] = (sums[name] ?? 0) + r.tally.schedules; sums[name + "S"] = (sums[name + "S"] ?? 0) + r.tally.steps;
      sums[name+"P"] = (sums[name+"P"] ?? 0) + r.tally.pruned;
      seen[name] = JSON.stringify([[...r.outcomes].sort(), [...r.findings].sort()]);
    }
  } catch (e) { if (/more than/.test(String(e))) { skipped++; continue; } console.log(seed, e); throw e; }
  if (seen.every !== seen.dpor || seen.every !== seen.states) { bad++; if (bad < 6) console.log(seed, seen); }
}
console.log({ bad, skipped, sums, times });
