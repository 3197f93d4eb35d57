/** The example of docs/explore.md is the file docs/examples/naive-refresher.ts, and the program explores it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), "../..");
const EXAMPLE = "docs/examples/naive-refresher.ts";

function unpinned(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [join(REPOSITORY, "dist/cli/main.js"), ...args], { cwd: REPOSITORY, encoding: "utf8", timeout: 60_000 });
}

test("the example in the documentation is the file", () => {
  const document = readFileSync(join(REPOSITORY, "docs/explore.md"), "utf8");
  assert.ok(document.includes(readFileSync(join(REPOSITORY, EXAMPLE), "utf8").trim()), `docs/explore.md does not have the text of ${EXAMPLE}`);
});

test("exploring the example shows the fault that the documentation shows", () => {
  const { status, stdout, stderr } = unpinned("explore", EXAMPLE);
  assert.equal(status, 1, stderr);
  const document = readFileSync(join(REPOSITORY, "docs/explore.md"), "utf8");
  const [picture] = stdout.split("\nbound:");
  assert.ok(document.includes(picture!.trim()), stdout);
});
