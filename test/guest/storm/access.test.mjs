/**
 * Three ways to hold guest pages, one load.
 *
 * What: the block that has the guest's shared_info is to go offline while the guest works and pages move: with pinned pages, with pages mapped for
 *   each access, and with revocable ones.
 * Why: this is the difference that the whole of this hypervisor is about.
 * How it can tell: pinned, the block stays, the outcome names the page and who holds it, and the storm counts pages that it may not move; in
 *   the other two ways it goes, without a frame in use, and the guest's answers are right in all three.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootGuest } from "../support/guest.mjs";
import { assertQuietKernel, Load, runSteps } from "../support/load.mjs";
import { missingForPrograms } from "../support/programs.mjs";
import { timeLimit } from "../support/tier.mjs";

const MIB = 1 << 20;
const TIMEOUT_MS = timeLimit(300_000);
const skip = missingForPrograms(64);

/** @typedef {import("../../../dist/machine/index.js").VirtualMachine} VirtualMachine */

/** @type {Load} */
let load;
before(() => void (skip === undefined && (load = new Load({ programs: "few", files: 1, fileMib: 8, rounds: 1 }))));
after(() => load?.remove());

/** Asks every block to go, under load, and brings each back. Returns the outcomes. @param {VirtualMachine} vm */
async function takeBlocks(vm) {
  const outcomes = [];
  for (const { index } of (await vm.memory.show()).blocks) {
    const outcome = await vm.memory.offline(index);
    outcomes.push(outcome);
    if (outcome.result !== "offline") continue;
    const block = (await vm.memory.show()).blocks.find((one) => one.index === index);
    assert.equal(block?.free, block?.framesTotal);
    assert.deepEqual(await vm.memory.online(index), { result: "online" });
  }
  return outcomes;
}

for (const pageAccess of /** @type {const} */ (["pinned", "map-each-time", "revocable"])) {
  test(`with page access ${pageAccess}, ${pageAccess === "pinned" ? "the block of shared_info stays, and who holds it is said" : "every block goes offline"}`, { skip, timeout: TIMEOUT_MS }, async (t) => {
    const vm = await bootGuest({ vcpus: 2, memoryBytes: 128 * MIB, pageAccess, storm: 500, files: load.files });
    t.after(() => vm.dispose());
    await load.prepare(vm);
    const working = runSteps(vm, [...load.makeFiles(), ...load.filesAreRight(), ...load.runPrograms()]);
    const [outcomes] = await Promise.all([takeBlocks(vm), working]);
    const refused = outcomes.filter(({ result }) => result !== "offline");
    const { storm } = vm.stats();
    assert.ok(storm.moves > 100, JSON.stringify(storm));
    if (pageAccess === "pinned") {
      const held = refused.flatMap((outcome) => ("pages" in outcome ? outcome.pages : []));
      const page = held.find(({ users }) => users.includes("shared_info"));
      assert.ok(page !== undefined, JSON.stringify(refused));
      const [{ detail }] = refused.filter((outcome) => "pages" in outcome && outcome.pages.includes(page));
      assert.match(detail, new RegExp(`gfn 0x${page.gfn.toString(16)} by [a-z_ ]*shared_info`));
      t.diagnostic(detail);
      for (const { reason, pages } of refused) assert.ok(reason === "pinned" && pages.length > 0 && pages.every(({ users }) => users.length > 0));
      assert.ok(storm.pinned > 0, JSON.stringify(storm));
    } else {
      assert.deepEqual(refused, []);
      if (pageAccess === "revocable") assert.equal(storm.pinned, 0);
    }
    await assertQuietKernel(vm);
  });
}
