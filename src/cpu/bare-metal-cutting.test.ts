import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicStore, sharedWordsOf } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, EXIT_NPT, NPT_ACCESSED, NPT_DIRTY } from "../abi/layout.js";
import type { CuttingJob } from "./bare-metal/cutting.worker.js";
import { DATA, machine, RBP, RSP, setDebug, start, state } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { RBX, RCX, RDI, RDX } from "./index.js";

const ADD_OVER_PAGE_END = listing(0x10000, `
  f0 48 01 53 fc   again: lock add [rbx - 4], rdx
  48 ff c9         dec rcx
  75 f6            jnz again
  f4               hlt
`);
const ROUNDS = 300_000;
const PAGE_END = DATA + 0x2000;

/** Runs what was started while the host takes pages away, whose entries have lost the flags of `forgotten` when they come back. */
async function runWhileCut(context: TestContext, gfns: readonly number[], forgotten: number): Promise<void> {
  const stop = sharedWordsOf(new SharedArrayBuffer(4));
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
}

/** Adds while the host takes the pages away. */
async function addWhileCut(context: TestContext, forgotten: number): Promise<void> {
  start("kernel64", ADD_OVER_PAGE_END, { [RBX]: PAGE_END, [RCX]: ROUNDS, [RDX]: 0x1_0000_0001n });
  machine.setU64(PAGE_END - 4, 0n);
  await runWhileCut(context, [PAGE_END / 4096, PAGE_END / 4096 - 1], forgotten);
  assert.equal(machine.u64(PAGE_END - 4), BigInt(ROUNDS) * 0x1_0000_0001n);
}

test("a locked addition over a page end is done wholly or not at all while the host takes the pages away", { timeout: 120_000 }, async (context) => {
  await addWhileCut(context, 0);
});

test("an entry that the host takes away while the processor notes its access in it leads to no frame", { timeout: 120_000 }, async (context) => {
  await addWhileCut(context, NPT_ACCESSED | NPT_DIRTY);
});

test("ENTER over a page end builds its frame wholly or not at all while the host takes the pages away", { timeout: 120_000 }, async (context) => {
  // Invlpg: what has a TLB entry is not looked up. The frame is 24 bytes from 12 above the page end down, and what ENTER allocates ends in the lower page.
  const program = listing(0x10000, `
    0f 01 3b                  again: invlpg [rbx]
    0f 01 7b f8               invlpg [rbx-0x8]
    4c 89 c4                  mov rsp, r8
    4c 89 cd                  mov rbp, r9
    c8 20 00 02               enter 0x20, 0x2
    4c 39 4d 00               cmp [rbp+0x0], r9
    75 2e                     jne wrong
    48 81 7d f8 77 07 00 00   cmp [rbp-0x8], 0x777
    75 24                     jne wrong
    48 39 6d f0               cmp [rbp-0x10], rbp
    75 1e                     jne wrong
    48 8d 45 d0               lea rax, [rbp-0x30]
    48 39 e0                  cmp rax, rsp
    75 15                     jne wrong
    0f 57 c0                  xorps xmm0, xmm0
    0f 11 45 f8               movups XMMWORD PTR [rbp-0x8], xmm0
    48 c7 45 f0 00 00 00 00   mov [rbp-0x10], 0x0
    48 ff c9                  dec rcx
    75 bc                     jne again
    f4                        hlt
    0f 0b                     wrong: ud2
  `);
  const stackTop = PAGE_END + 12;
  start("kernel64", program, { [RBX]: PAGE_END, [RCX]: ROUNDS, 8: stackTop, 9: DATA + 0x100 });
  machine.setU64(DATA + 0xf8, 0x777n);
  await runWhileCut(context, [PAGE_END / 4096, PAGE_END / 4096 - 1], 0);
  assert.deepEqual([state.gpr(RBP), state.gpr(RSP)], [BigInt(stackTop - 8), BigInt(stackTop - 56)]);
});

/** A guest page whose frame will be the leaf of the NPT, in which each guest page has four bytes. The leaf lies right below the guest's frames. */
const LEAF = 0x30;
const FRAME_OF_LEAF = -1;
const AT_LEAF = FRAME_OF_LEAF * 4096;

/** Fills MMX register 0 with zeroes and 1 with a mask of all bytes, and stores by it. */
const MASKED_STORE = `
  0f ef c0         pxor mm0, mm0
  0f 76 c9         pcmpeqd mm1, mm1
  0f f7 c1         maskmovq mm0, mm1
  f4               hlt
`;

test("a masked store over a page end is done wholly when its first bytes take the second page away", () => {
  const last = 0x3ff;
  const program = listing(0x1_0000, MASKED_STORE);
  // Under a breakpoint, be it elsewhere, no TLB entry stands in for a look.
  start("kernel64", program, { [RDI]: (LEAF + 1) * 4096 - 4 });
  setDebug(0, 0x1234_5678n);
  setDebug(7, 0x1_0001n | 0x402n);
  machine.setHostFrame(LEAF, FRAME_OF_LEAF);
  machine.setHostFrame(last, LEAF + 1);
  machine.map((LEAF + 1) * 4096, BigInt(last * 4096) | 0x67n);
  machine.setU64((LEAF + 1) * 4096, 0x1122_3344_5566_7788n);
  const stop = machine.run();
  const stored = machine.u64((LEAF + 1) * 4096);
  machine.setHostPage(LEAF, true);
  assert.deepEqual([stop.exit, stored.toString(16)], ["hlt", "1122334400000000"]);
});

test("a masked store within a page with code is done wholly when its first byte takes the page away", () => {
  // The program is in the leaf itself, where entries of pages that are not there would be.
  const origin = LEAF * 4096 + 0x800;
  const program = listing(origin, MASKED_STORE);
  start("kernel64", program, { [RDI]: LEAF * 4096 + 4 * LEAF });
  machine.setHostFrame(LEAF, FRAME_OF_LEAF);
  machine.write(AT_LEAF + 0x800, program.bytes);
  const stop = machine.run();
  const left = machine.u32(AT_LEAF + 4 * (LEAF + 1));
  machine.write(AT_LEAF + 0x800, program.bytes.map(() => 0));
  machine.setHostPage(LEAF, true);
  machine.setHostPage(LEAF + 1, true);
  assert.deepEqual([stop.exit, left], ["hlt", 0]);
});
