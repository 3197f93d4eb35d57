/** Counters of address translation: each walk is counted once, by its kind and by what becomes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXIT_HLT, EXIT_NPT } from "../abi/layout.js";
import { DATA, machine, start, state } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { type AddressTranslationFigures, RBX, RSI } from "./index.js";

const CLEAN_BITS = 0x27n;
const LEVELS = 4;

/** Two reads of a page, a write that makes it dirty, one more, INVLPG, a read, MOV to CR3, a read. */
const PROGRAM = listing(0x10000, `
  48 8b 03     mov rax, [rbx]
  48 8b 43 08  mov rax, [rbx + 8]
  48 89 03     mov [rbx], rax
  48 89 43 08  mov [rbx + 8], rax
  0f 01 3b     invlpg [rbx]
  48 8b 03     mov rax, [rbx]
  0f 20 da     mov rdx, cr3
  0f 22 da     mov cr3, rdx
  48 8b 03     mov rax, [rbx]
  f4           hlt
`);

/** What `body` adds to the counters. */
function counted(body: () => void): AddressTranslationFigures {
  const before = state.addressTranslation;
  body();
  const after = state.addressTranslation;
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name as keyof typeof before]])) as unknown as AddressTranslationFigures;
}

test("walks are counted by kind, with the look-ups and flushes behind them", () => {
  start("kernel64", PROGRAM, { [RBX]: DATA });
  machine.map(DATA, BigInt(DATA) | CLEAN_BITS);
  const { walkReads, walkWrites, walkFetches, withheldWrites, fills, pageFaults, nestedLookups, nestedMisses, flushesNonGlobal, flushesPage, flushesAll } =
    counted(() => void machine.run());
  // The code's page is fetched once, and again behind MOV to CR3.
  assert.deepEqual({ walkReads, walkWrites, walkFetches, withheldWrites }, { walkReads: 3, walkWrites: 1, walkFetches: 2, withheldWrites: 1 });
  assert.deepEqual({ fills, pageFaults, nestedLookups, nestedMisses }, { fills: 6, pageFaults: 0, nestedLookups: 6 * (LEVELS + 1), nestedMisses: 0 });
  assert.deepEqual({ flushesNonGlobal, flushesPage, flushesAll }, { flushesNonGlobal: 1, flushesPage: 1, flushesAll: 0 });
});

test("a walk that ends at a missing frame, and one that ends in #PF, are told apart", () => {
  const reads = listing(0x10000, `
    48 8b 03  mov rax, [rbx]
    48 8b 06  mov rax, [rsi]
    f4        hlt
  `);
  start("kernel64", reads, { [RBX]: DATA, [RSI]: DATA + 0x1000 });
  machine.map(DATA + 0x1000, 0n);
  machine.setHostPage(DATA >> 12, false);
  const missing = counted(() => assert.equal(machine.core.run(1000), EXIT_NPT));
  assert.deepEqual([missing.walkReads, missing.nestedMisses, missing.pageFaults], [1, 1, 0]);
  machine.setHostPage(DATA >> 12, true);
  const faulting = counted(() => assert.equal(machine.core.run(1000), EXIT_HLT));
  // The page that was missing, the one that faults, and for the delivery IDT and GDT.
  assert.deepEqual([faulting.walkReads, faulting.nestedMisses, faulting.pageFaults], [4, 0, 1]);
  machine.core.flushFrames();
  assert.equal(counted(() => machine.core.flushFrames()).flushesFrames, 1);
});
