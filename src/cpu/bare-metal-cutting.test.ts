import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicStore, sharedWordsOf } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, EXIT_NPT, NPT_ACCESSED, NPT_DIRTY } from "../abi/layout.js";
import type { CuttingJob } from "./bare-metal/cutting.worker.js";
import { DATA, machine, start, state } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { RBX, RCX, RDX } from "./index.js";

const ADD_OVER_PAGE_END = listing(0x10000, `
  f0 48 01 53 fc   again: lock add [rbx - 4], rdx
  48 ff c9         dec rcx
  75 f6            jnz again
  f4               hlt
`);
const ROUNDS = 300_000;
const PAGE_END = DATA + 0x2000;

/** Adds while the host takes the pages away, whose entries have lost the flags of `forgotten` when they come back. */
async function addWhileCut(context: TestContext, forgotten: number): Promise<void> {
  start("kernel64", ADD_OVER_PAGE_END, { [RBX]: PAGE_END, [RCX]: ROUNDS, [RDX]: 0x1_0000_0001n });
  machine.setU64(PAGE_END - 4, 0n);
  const stop = sharedWordsOf(new SharedArrayBuffer(4));
  const gfns = [PAGE_END / 4096, PAGE_END / 4096 - 1];
  const entries = gfns.map((gfn) => machine.hostEntryAddress(gfn) / 4);
  const job: CuttingJob = { words: sharedWordsOf(machine.memory.buffer), entries, forgotten, stop };
  const host = new Worker(new URL("./bare-metal/cutting.worker.js", import.meta.url), { workerData: job });
  context.after(() => host.terminate());
  await once(host, "message");
  let cuts = 0;
  for (;;) {
    const reason = machine.core.run(10_000);
    if (reason === EXIT_HLT) break;
    if (reason === EXIT_NPT) cuts++;
    else assert.equal(reason, EXIT_BUDGET, `exit ${reason} at ${state.rip}`);
  }
  atomicStore(stop, 0, 1);
  await once(host, "exit");
  assert.ok(cuts > 0, "expected the processor to meet a page that is gone");
  assert.equal(machine.u64(PAGE_END - 4), BigInt(ROUNDS) * 0x1_0000_0001n);
}

test("a locked addition over a page end is done wholly or not at all while the host takes the pages away", { timeout: 120_000 }, async (context) => {
  await addWhileCut(context, 0);
});

test("an entry that the host takes away while the processor notes its access in it leads to no frame", { timeout: 120_000 }, async (context) => {
  await addWhileCut(context, NPT_ACCESSED | NPT_DIRTY);
});
