import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "unpinned-explore-test-"));
after(() => rmSync(folder, { recursive: true }));

function explore(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [PROGRAM, "explore", ...args], { encoding: "utf8", timeout: 60_000 });
}

const OWN = `import { load, store } from "unpinned/explore";
export const scenario = {
  name: "own", says: "loses an addition", expected: "end",
  create: () => ({
    words: [{ name: "count", value: 0 }],
    threads: ["a", "b"].map((name) => ({ name, *run() { yield store(0, (yield load(0)) + 1); } })),
    atEnd: (view) => (view.value(0) === 2 ? undefined : "an addition is lost"),
  }),
};
`;

test("without a name the scenarios are listed with what they show and their faults", () => {
  const { status, stdout } = explore();
  assert.equal(status, 0);
  assert.match(stdout, /^dekker {2}\(holds\)\n {4}two threads .*\n {4}--mutation "no barrier"$/m);
  assert.match(stdout, /^naive-refresher {2}\(shows use-after-free\)$/m);
});

test("a scenario that holds ends with 0, one that fails with 1 and a schedule that can be replayed", () => {
  const holds = explore("lost-wakeup", "--preemptions", "3");
  assert.equal(holds.status, 0);
  assert.match(holds.stdout, /holds within this bound: .*3 preemptions/);
  const args = ["lost-wakeup", "--mutation", "counter read too late"];
  const fails = explore(...args, "--json");
  assert.equal(fails.status, 1);
  const { findings, schedule } = JSON.parse(fails.stdout) as { findings: { kind: string }[]; schedule: { replay: string } };
  assert.equal(findings[0]!.kind, "deadlock");
  const replayed = explore(...args, "--replay", schedule.replay);
  assert.equal(replayed.status, 1);
  assert.match(replayed.stdout, /deadlock: nobody can go on/);
});

test("a file of the user's own is explored, JavaScript and TypeScript", () => {
  for (const [name, text] of [["own.js", OWN], ["own.mjs", OWN], ["own.ts", OWN.replace("(view)", "(view: { value(cell: number): number })")]] as const) {
    // The folder has no package.json: a .js file says by its syntax what it is only where that is given.
    if (name === "own.js") writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, name), text);
    const { status, stdout, stderr } = explore(join(folder, name));
    assert.equal(status, 1, `${name}: ${stderr}`);
    assert.match(stdout, /own fails: end: an addition is lost \(4 steps, 1 preemption, the fewest there are\)/);
  }
});

test("a page is written", () => {
  const path = join(folder, "page.html");
  assert.equal(explore("lock-order", "--mutation", "other order", "--html", path).status, 1);
  assert.match(readFileSync(path, "utf8"), /^<!doctype html>/);
});

test("wrong use is one line and status 2", () => {
  writeFileSync(join(folder, "empty.mjs"), "export const other = 1;\n");
  writeFileSync(join(folder, "broken.mjs"), "export const = 1;\n");
  for (const args of [
    ["no-such"], ["dekker", "--mutation", "none"], ["dekker", "--scheduler", "best"], ["dekker", "--preemptions", "x"], ["dekker", "--replay", "1.2"], ["--tso"],
    ["dekker", "--replay", "lost-wakeup::sc:3:0"], ["dekker", "extra"], [join(folder, "empty.mjs")], [join(folder, "broken.mjs")], [join(folder, "missing.js")],
    ["dekker", "--preemptions", "1", "--scheduler", "random"], ["lock-order", "--mutation", "other order", "--html", join(folder, "none/page.html")],
  ]) {
    const { status, stdout, stderr } = explore(...args);
    assert.deepEqual([status, stdout], [2, ""], `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, /^unpinned: [^\n]+\n$/, args.join(" "));
  }
});
