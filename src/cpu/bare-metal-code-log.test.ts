import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicStore, sharedWordsOf } from "#sync";
import { CODE_LOG_BASE, EXIT_BUDGET, EXIT_HLT, VCPU } from "../abi/layout.js";
import type { LeavingJob } from "./bare-metal/leaving.worker.js";
import { listing } from "./bare-metal/listing.js";
import { BareMachine } from "./bare-metal/machine.js";
import { compileCore } from "./core.raw.js";
import { RCX, VcpuState } from "./index.js";

const CALLER = 0x10000;
const CALLEE = 0x11000;
const CALLS = listing(CALLER, `
  e8 fb 0f 00 00   again: call callee
  48 ff c9         dec rcx
  75 f6            jnz again
  f4               hlt
`);
const RETURNS = listing(CALLEE, "  c3  callee: ret");
const LOG_ENTRIES = CODE_LOG_BASE + 64;

test("a branch whose code is dropped while its target is decoded is made again, and not left out", { timeout: 60_000 }, async (context) => {
  const machine = new BareMachine(await compileCore(readFileSync(new URL("./core.wasm", import.meta.url))), 2);
  const words = sharedWordsOf(machine.memory.buffer);
  // The other vCPU is in guest mode, and has read the log as far as the caller's page will bring it, so that only the callee's page waits for it.
  const other = new VcpuState(machine.memory, 1);
  atomicStore(words, other.wordIndex(VCPU.guestEpoch), 1);
  atomicStore(words, other.wordIndex(VCPU.codeLogPosition), 2);
  // It stored to the caller's page: the first entry of the log, whose request is still on its way.
  atomicStore(words, LOG_ENTRIES / 4, CALLER / 4096);
  atomicStore(words, LOG_ENTRIES / 4 + 1, 1);
  atomicStore(words, CODE_LOG_BASE / 4, 1);
  machine.start("kernel64", CALLS);
  machine.load(RETURNS);
  machine.state.setGpr(RCX, 3n);
  const job: LeavingJob = { words, log: CODE_LOG_BASE / 4, epoch: other.wordIndex(VCPU.guestEpoch), position: 3 };
  const thread = new Worker(new URL("./bare-metal/leaving.worker.js", import.meta.url), { workerData: job });
  context.after(() => thread.terminate());
  await once(thread, "message");
  let reason: number = EXIT_BUDGET;
  for (let turn = 0; turn < 100 && reason === EXIT_BUDGET; turn++) reason = machine.core.run(1000);
  assert.equal(reason, EXIT_HLT, `exit ${reason} at 0x${machine.state.rip.toString(16)}`);
  assert.equal(machine.state.gpr(RCX), 0n);
});
