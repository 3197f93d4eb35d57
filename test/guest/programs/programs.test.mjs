/**
 * Runs every C program of these folders in one guest and on the host, and compares what they print and how they end.
 *
 * Each source says in its head what it does, why, and how it can tell. A test that fails here means that the guest's
 * processor, or what the kernel needs below it, differs from the real one; the first lines that differ are shown.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bootGuest, putFile, runInGuest } from "../support/guest.mjs";
import { buildPrograms, describeDifference, hostLacks, listPrograms, missingForPrograms, runOnHost } from "../support/programs.mjs";
import { timeLimit } from "../support/tier.mjs";

/** Of a program that cannot be run on this kernel. */
const EXIT_SKIPPED = 77;
/** A program that runs away is cut off here, so that what it said so far can be seen. */
const PROGRAM_TIMEOUT_S = timeLimit(60);
const OUTPUT_BYTES_MAX = 4 << 20;

const programs = listPrograms(fileURLToPath(new URL(".", import.meta.url)));

for (const bits of [64, 32]) {
  const chosen = programs.filter(({ builds }) => builds.includes(bits));
  const skip = missingForPrograms(bits);
  describe(`${bits}-bit programs`, { skip }, () => {
    /** @type {import("../../../dist/machine/index.js").VirtualMachine} */
    let vm;
    /** @type {ReturnType<typeof buildPrograms>} */
    let built;

    before(async () => {
      built = buildPrograms(chosen, bits);
      vm = await bootGuest({ memoryBytes: 256 << 20 });
      await putFile(vm, "/tmp/programs", built.bytes);
    });
    after(async () => {
      built?.remove();
      await vm?.dispose();
    });

    for (const program of chosen) {
      const { name, claim, isCompared } = program;
      test(`${claim} (${name})`, async (context) => {
        const guest = await runInGuest(vm, `set -o pipefail; timeout -s KILL ${PROGRAM_TIMEOUT_S} /tmp/programs ${name} | head -c ${OUTPUT_BYTES_MAX}`);
        if (guest.exitCode === EXIT_SKIPPED) return context.skip(guest.stdout.trim());
        const lacking = isCompared ? hostLacks(program, bits) : undefined;
        if (lacking !== undefined) context.diagnostic(`not compared: this host has no ${lacking}`);
        if (!isCompared || lacking !== undefined) {
          assert.equal(guest.exitCode, 0, `${guest.stdout}${guest.stderr}`);
          assert.notEqual(guest.stdout, "");
          return;
        }
        const host = runOnHost(built.path, name);
        assert.notEqual(host.stdout, "", "the program says nothing on the host");
        assert.equal(describeDifference(guest.stdout, host.stdout), "", "standard output differs");
        assert.equal(guest.stderr, host.stderr);
        assert.equal(guest.exitCode, host.exitCode);
      });
    }

    test("the kernel has nothing to complain of after them", async () => {
      const { stdout } = await runInGuest(vm, "dmesg");
      assert.doesNotMatch(stdout, /BUG:|WARNING:|Oops|Call Trace|rcu.*stall|lockup|general protection fault[,:]/i);
    });
  });
}
