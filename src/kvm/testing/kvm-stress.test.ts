/** The stress of KVM's pages on real threads, for UNPINNED_STRESS_SECONDS (default: some seconds). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stressKvmPages } from "./kvm-stress.js";

const SECONDS = Number(process.env["UNPINNED_STRESS_SECONDS"] ?? 4);

test("clocks, stolen time, left flushes and EOIs of KVM's personality lose nothing while their pages are taken away", { timeout: SECONDS * 1000 + 60_000 }, async (context) => {
  const { reports, flushes, eois } = await stressKvmPages({ seconds: SECONDS, seed: 1 });
  for (const { role, counts } of reports) context.diagnostic(`${role}: ${Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ")}`);
  assert.ok(flushes > 0 && eois > 10, `${flushes} flushes left and made, ${eois} EOIs given and taken`);
  for (const { role, counts } of reports) {
    const names = role === "vcpu" ? ["clock read", "clock moved", "lossy areas", "sleep"] : ["move", "swap out", "merge", "discard", "remap", "replace memslot", "frames given to the victim"];
    for (const name of names) assert.ok((counts[name] ?? 0) > 0, `expected some of "${name}"`);
  }
});
