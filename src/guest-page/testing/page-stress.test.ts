/** The page stress on real threads, for UNPINNED_STRESS_SECONDS (default: some seconds); longer: page-stress.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeReports, stressPages } from "./page-stress.js";

const SECONDS = Number(process.env["UNPINNED_STRESS_SECONDS"] ?? 8);

test("users of pages and all that takes pages away leave each page with its own contents, each counter whole, nothing behind", { timeout: SECONDS * 1000 + 60_000 }, async (context) => {
  const reports = await stressPages({ seconds: SECONDS, seed: 1 });
  for (const line of describeReports(reports)) context.diagnostic(line);
  const users = reports.filter(({ role }) => role === "user");
  assert.ok(users.every(({ counts }) => (counts["access: done"] ?? 0) > 100 && (counts["tryAccess: done"] ?? 0) > 50));
  const mangled = reports.find(({ role }) => role === "mangler")!.counts;
  for (const name of ["remap", "discard", "move", "swap out", "merge", "replace memslot", "move memslot"]) {
    assert.ok((mangled[name] ?? 0) > 0, `expected some of "${name}"`);
  }
});

test("a VM that ends at any moment of all that lets every thread go and gives everything back", { timeout: 60_000 }, async () => {
  for (let seed = 2; seed < 8; seed++) await stressPages({ seconds: 0.1 * seed, seed, swapSlots: 8, stopsHost: true });
});
