// trial
import { explore, SCENARIOS } from "./index.js";
for (const s of SCENARIOS) for (const mutation of [undefined, ...(s.mutations ?? [])]) for (const memoryModel of ["sc", "tso"] as const) {
  const r = explore(s, { ...(mutation ? { mutation } : {}), memoryModel });
  console.log(r.text + "\n" + r.elapsedMs.toFixed(1) + " ms\n");
  if (r.schedule) console.log(explore(s, { ...(mutation ? { mutation } : {}), memoryModel, replay: r.schedule.replay }).verdict);
}
