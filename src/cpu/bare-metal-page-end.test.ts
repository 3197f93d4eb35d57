/** Loops that lie over a page's end with one instruction in both pages, in both tiers: how they run translated, and what of the second page has to be noticed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { AT, BareMachine, type BareTranslation, type Start, type Stop } from "./bare-metal/machine.js";
import { compileCore } from "./core.raw.js";
import { RAX, RBX, RCX, RDI, RDX, RSI } from "./index.js";

/** The instruction that ends in the page behind. */
const OVER_END = 0x1_0ffd;
const SECOND = 0x1_1000;
const OTHER_SECOND = 0x1_2000;
const ROUNDS = 3000;
const HALF = 1000;
/** Short turns, so that what is hot is translated while the program runs. */
const BUDGET = 200;
const TURNS_MAX = 1000;
const PAGE_BITS = 0x67n;
const GLOBAL_BIT = 0x100n;

type Registers = Readonly<Record<number, bigint | number>>;

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

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

interface Finished { readonly machine: BareMachine; readonly stop: Stop }

interface Plan { readonly start?: Start; readonly prepare?: (machine: BareMachine) => void }

function run(program: Listing, registers: Registers, translated: false | BareTranslation, { start = "kernel64", prepare }: Plan): Finished {
  const machine = new BareMachine(module, 1, translated);
  machine.budget = BUDGET;
  machine.start(start, program);
  for (const [n, value] of Object.entries(registers)) machine.state.setGpr(Number(n), BigInt(value));
  prepare?.(machine);
  for (let turn = 0; ; turn++) {
    try {
      return { machine, stop: machine.run() };
    } catch (error) {
      if (turn > TURNS_MAX) throw error;
    }
  }
}

/** Runs in both tiers, and in lock step; both have to leave the same. Returns the translated one. */
function runAll(program: Listing, registers: Registers, plan: Plan = {}): Finished {
  const [interpreted, checked, translated] = ([false, { checkEvery: 3 }, {}] as const).map((how) => run(program, registers, how, plan)) as [Finished, Finished, Finished];
  for (const { machine, stop } of [checked, translated]) {
    assert.deepEqual(stop, interpreted.stop);
    for (const n of [RAX, RBX, RCX]) assert.equal(machine.state.gpr(n), interpreted.machine.state.gpr(n));
    assert.equal(machine.state.instructionsRetired, interpreted.machine.state.instructionsRetired);
  }
  return translated;
}

/** Whether it ran in regions: the interpreter comes back for each turn's budget, not for each round. */
function assertInRegions({ machine }: Finished): void {
  const { regions, entries } = machine.state.translation;
  assert.ok(regions > 0 && entries > 0 && entries < ROUNDS / 10, `expected regions to go over the page's end, got ${regions} regions, ${entries} entries`);
}

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
