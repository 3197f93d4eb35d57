/** Loops that lie over a page's end with one instruction in both pages, in both tiers: how they run translated, and what of the second page has to be noticed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { AT } from "./bare-metal/machine.js";
import { assertInRegions, PAGE_BITS, ROUNDS, runAll } from "./bare-metal/tiers.js";
import { RAX, RCX, RDI, RDX, RSI } from "./index.js";

/** The instruction that ends in the page behind. */
const OVER_END = 0x1_0ffd;
const SECOND = 0x1_1000;
const OTHER_SECOND = 0x1_2000;
const HALF = 1000;
const GLOBAL_BIT = 0x100n;

/** Adds 1 to RAX each round, 3 from the one on in which RCX is RDX, by a store to the second half of its instruction. */
const PATCHES_SECOND = listing(0x1_0ff4, `
  48 39 d1                 again: cmp rcx, rdx
  74 11                    je change
  48 31 c3                 add: xor rbx, rax
  90                       nop
  48 81 c0 01 00 00 00     add rax, 1
  48 ff c9                 dec rcx
  75 eb                    jnz again
  f4                       hlt
  c6 04 25 00 10 01 00 03  change: mov byte ptr [0x11000], 3
  eb e5                    jmp add
`);

/** The same with the store in the first page. */
const PATCHES_AHEAD = listing(0x1_0fec, `
  48 39 d1                 again: cmp rcx, rdx
  75 08                    jne add
  c6 04 25 00 10 01 00 03  mov byte ptr [0x11000], 3
  48 31 c3                 add: xor rbx, rax
  90                       nop
  48 81 c0 01 00 00 00     add rax, 1
  48 ff c9                 dec rcx
  75 e3                    jnz again
  f4                       hlt
`);

/** The same, by another page in the place of the second: RSI is its entry, and RDI where that goes. */
const REMAPS_SECOND = listing(0x1_0fea, `
  48 39 d1                 again: cmp rcx, rdx
  75 0b                    jne add
  48 89 37                 mov [rdi], rsi
  0f 01 3c 25 00 10 01 00  invlpg [0x11000]
  48 31 c3                 add: xor rbx, rax
  48 81 c0 01 00 00 00     add rax, 1
  48 ff c9                 dec rcx
  75 e1                    jnz again
  f4                       hlt
`);
const REMAPPED = listing(OTHER_SECOND, `
  03 00 00 00              the rest of add rax, 3
  48 ff c9                 dec rcx
  75 e1                    jnz again
  f4                       hlt
`);

/** Nothing of the second page runs but the end of the jump, which leads to AHEAD when the page is another one. `flush` are 8 bytes. */
const jumpsOverEnd = (flush: string): Listing => listing(0x1_0fe7, `
  48 39 d1                 again: cmp rcx, rdx
  75 0b                    jne count
  48 89 37                 mov [rdi], rsi
  ${flush}                 flush
  48 ff c0                 count: inc rax
  48 ff c9                 dec rcx
  e9 e5 ff ff ff           jmp again
`);
const JUMPS_AHEAD = listing(OTHER_SECOND, "  00 00  the upper half of 10000 more");
const AHEAD = listing(0x2_0fe7, "  f4  hlt");

/** No instruction lies in both pages; each page's first one keeps flags that come from the other. */
const TURNS_AT_END = listing(0x1_0ff2, `
  48 d1 c0                 again: rol rax, 1
  48 83 d0 05              adc rax, 5
  48 31 c3                 xor rbx, rax
  48 83 eb 07              sub rbx, 7
  0f 4f c3                 cmovg eax, ebx
  48 d1 cb                 ror rbx, 1
  48 ff c9                 dec rcx
  75 e7                    jnz again
  f4                       hlt
`);

/** A comparison over the page's end whose flags the next page's first instruction wants, and a return to where it is. */
const COMPARES_OVER_END = listing(0x1_0fed, `
  e8 22 00 00 00           again: call leaf
  48 31 c3                 xor rbx, rax
  48 01 c8                 add rax, rcx
  e8 17 00 00 00           call leaf
  48 81 fb 00 00 00 70     cmp rbx, 0x70000000
  7e 04                    jle small
  48 c1 eb 02              shr rbx, 2
  48 ff c9                 small: dec rcx
  0f 85 da ff ff ff        jnz again
  f4                       hlt
  48 d1 c0                 leaf: rol rax, 1
  c3                       ret
`);

const sum = BigInt(ROUNDS - HALF + 3 * HALF);

for (const start of ["kernel64", "user64"] as const) {
  test(`a loop over a page's end stays in regions, and sees at once that the second page is written, ${start}`, () => {
    for (const program of [PATCHES_SECOND, PATCHES_AHEAD]) {
      const finished = runAll(program, { [RCX]: ROUNDS, [RDX]: HALF }, { start });
      assertInRegions(finished);
      assert.equal(finished.machine.state.gpr(RAX), sum);
    }
  });

  test(`flags go over a page's end, and a call returns to the instruction that lies there, ${start}`, () => {
    for (const program of [COMPARES_OVER_END, TURNS_AT_END]) assertInRegions(runAll(program, { [RCX]: ROUNDS, [RAX]: 0x1234_5678n }, { start }));
  });
}

test("a loop over a page's end sees that the second page is mapped elsewhere", () => {
  const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RDI]: AT.pages + (SECOND >> 12) * 8, [RSI]: BigInt(OTHER_SECOND) | PAGE_BITS };
  const finished = runAll(REMAPS_SECOND, registers, { prepare: (machine) => machine.load(REMAPPED) });
  assertInRegions(finished);
  assert.equal(finished.machine.state.gpr(RAX), sum);
});

for (const [how, flush, isGlobal] of [["INVLPG", "0f 01 3c 25 00 10 01 00", false], ["a new CR3 that the first page outlives", "0f 20 db 0f 22 db 90 90", true]] as const) {
  test(`a jump over a page's end goes by the page that is mapped there after ${how}`, () => {
    const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RDI]: AT.pages + (SECOND >> 12) * 8, [RSI]: BigInt(OTHER_SECOND) | PAGE_BITS };
    const finished = runAll(jumpsOverEnd(flush), registers, {
      prepare: (machine) => {
        for (const each of [JUMPS_AHEAD, AHEAD]) machine.load(each);
        if (isGlobal) machine.map(OVER_END, BigInt(OVER_END & ~0xfff) | PAGE_BITS | GLOBAL_BIT);
      },
    });
    assertInRegions(finished);
    assert.deepEqual([finished.stop.rip, finished.machine.state.gpr(RAX)], [AHEAD.origin + 1, BigInt(ROUNDS - HALF + 1)]);
  });
}

test("a loop over a page's end faults at its instruction when the second page is gone", () => {
  const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RDI]: AT.pages + (SECOND >> 12) * 8, [RSI]: 0 };
  const finished = runAll(REMAPS_SECOND, registers);
  assertInRegions(finished);
  assert.deepEqual([finished.stop.vector, finished.stop.rip], [VECTOR.PF, OVER_END]);
  assert.equal(finished.machine.state.gpr(RAX), BigInt(ROUNDS - HALF));
});
