/**
 * Every tool of busybox that has a fixed answer, in the guest and on the host.
 *
 * What: each case is a short script; the very binary that is in the guest runs it on the host, too. Where the host cannot run it
 * (no x86-64 Linux), the answers recorded on one that could are compared with: answers.json, made by record.mjs.
 * Why: a broad sweep of compiled code (hashes, packers, number formatting, regular expressions, sorting) over system calls, pipes and files.
 * How it can tell: output and exit status have to be the same. The two sides get the same files and the same environment.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { canRunOnHost, ENVIRONMENT, runCasesOnHost } from "../support/busybox.mjs";
import { bootGuest, runInGuest } from "../support/guest.mjs";
import { cases, preparation } from "./cases.mjs";

/** @type {import("../../../dist/machine/index.js").VirtualMachine} */
let vm;
/** @type {Map<string, { exitCode: number, stdout: string }>} */
let answers;
const environment = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`).join(" ");

before(async () => {
  vm = await bootGuest();
  const recorded = () => JSON.parse(readFileSync(new URL("answers.json", import.meta.url), "utf8"));
  answers = canRunOnHost ? await runCasesOnHost(preparation, cases) : new Map(Object.entries(recorded()));
  const { exitCode, stderr } = await runInGuest(vm, `mkdir /tmp/prepared; cd /tmp/prepared; export ${environment}; ${preparation}`);
  assert.equal(exitCode, 0, stderr);
});
after(async () => await vm?.dispose());

for (const [index, [name, script]] of cases.entries()) {
  test(`busybox answers as on the host: ${name}`, async () => {
    const { exitCode, stdout } = await runInGuest(vm, `mkdir /tmp/${index}; cd /tmp/${index}; cp /tmp/prepared/* .; export ${environment}; ${script}`);
    const host = answers.get(name);
    assert.ok(host !== undefined, "there is no recorded answer: run record.mjs on an x86-64 Linux host");
    assert.equal(stdout, host.stdout);
    assert.equal(exitCode, host.exitCode);
  });
}

test("sha256sum and gzip -9 | gunzip of 4 MiB give back what went in", async () => {
  const make = "seq 1 700000 | head -c 4194304";
  const { stdout } = await runInGuest(vm, `${make} >/tmp/big; sha256sum </tmp/big; gzip -9 </tmp/big | gunzip | sha256sum`);
  const [before, afterwards] = stdout.trim().split("\n");
  assert.equal(before, numbersDigest());
  assert.equal(afterwards, before);
});

/** The same digest by Node.js. */
function numbersDigest() {
  const text = Array.from({ length: 700_000 }, (_, n) => `${n + 1}\n`).join("").slice(0, 4 << 20);
  return `${createHash("sha256").update(text).digest("hex")}  -`;
}
