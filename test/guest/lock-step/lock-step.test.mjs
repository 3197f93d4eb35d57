/**
 * Translated code in lock step with the interpreter, in the default guest.
 *
 * What: boots and computes with some of the entries into translated code checked; and the same program with a fault planted in the translator.
 * Why: the tests of the processor compare single instructions and drawn sequences; what a kernel and its programs do is more than those.
 * How it can tell: sound translations give no difference in millions of instructions, and the guest's answers are the host's. The planted fault, ROR
 *   that turns the other way, ends the guest with status 74, and the report names code that has an ROR. The program hashes for a minute or more if nothing stops
 *   it: however late its code is translated, it is still running.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { askGuest, bootGuest } from "../support/guest.mjs";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CHECK_EVERY = 20;
const STATUS_DIFFERENCE = 74;
const ZEROS = 1 << 20;
const TIMEOUT_MS = 600_000;

test(`one entry in ${CHECK_EVERY} is checked while the guest boots, hashes, packs and calculates, and none differs`, { timeout: TIMEOUT_MS }, async (t) => {
  const vm = await bootGuest({ tier: "both", lockStep: CHECK_EVERY });
  t.after(() => vm.dispose());
  const digest = createHash("sha256").update(new Uint8Array(ZEROS)).digest("hex");
  assert.equal(await askGuest(vm, `head -c ${ZEROS} /dev/zero | sha256sum`), `${digest}  -`);
  assert.equal(await askGuest(vm, `head -c ${ZEROS} /dev/zero | gzip | gunzip | sha256sum`), `${digest}  -`);
  assert.equal(await askGuest(vm, "awk 'BEGIN { for (n = 1; n < 20000; n++) sum += n * n / 3; printf \"%.0f\\n\", sum }'"), "888822223333");
  const { lockStep } = vm.stats();
  assert.ok(lockStep !== undefined && lockStep.differences === 0);
  assert.ok(lockStep.checked > 10_000 && lockStep.instructions > 1e6, JSON.stringify(lockStep));
  const skipped = Object.values(lockStep.skipped).reduce((sum, count) => sum + count, 0);
  assert.ok(skipped < lockStep.checked / 2, JSON.stringify(lockStep));
  t.diagnostic(`${lockStep.checked} stretches of ${lockStep.instructions} instructions; not checked: ${JSON.stringify(lockStep.skipped)}`);
});

/** A copy of the program whose translator turns ROR to the left. Returns its folder. */
function plantFault() {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-planted-"));
  for (const part of ["bin", "dist", "package.json"]) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
  const path = join(folder, "dist/bundle/translator-worker.js");
  const [before, after, ...more] = readFileSync(path, "utf8").split('ror: rotate("ror")');
  assert.ok(after !== undefined && more.length === 0, "expected one place for ROR in the translator");
  writeFileSync(path, `${before}ror: rotate("rol")${after}`);
  return folder;
}

test("a fault planted in the translator ends the guest with its own status, and one report that says where and in what", { timeout: TIMEOUT_MS }, (t) => {
  const folder = plantFault();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, "bin/unpinned.js"), "run", "--lock-step", "1", "--exec", "head -c 500000000 /dev/zero | sha256sum; echo done", "--json"],
    { encoding: "utf8", timeout: TIMEOUT_MS });
  assert.equal(status, STATUS_DIFFERENCE, stderr);
  assert.doesNotMatch(stdout, /^done$/m);
  assert.match(stderr, /^unpinned: lock step: translated code differs from the interpreter on vCPU 0 at rip 0x[0-9a-f]+ \([0-9a-f ]+\)/);
  assert.match(stderr, /: expected 0x[0-9a-f]+ \(interpreter\), got 0x[0-9a-f]+ \(translated\)$/m);
  assert.doesNotMatch(stderr, /\.js:\d+/);
  const { error } = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  assert.equal(error.code, "ERR_TRANSLATOR_DIFFERENCE");
  const { blocks, narrowed, values } = error.difference;
  assert.ok(narrowed && values.length > 0);
  // ROR: opcodes C0, C1 and D0 to D3 with /1 and a register.
  assert.match(blocks.map((/** @type {{ bytes: string }} */ { bytes }) => bytes).join(" "), /\b(c[01]|d[0-3]) c[89a-f]\b/);
  t.diagnostic(stderr.split("\n").slice(0, 3).join("\n"));
});
