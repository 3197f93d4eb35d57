/** Returns, in both tiers: what a call has noted of where it returns to must not outlive what changes there, nor stand above the address on the stack. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listing, type Listing } from "./bare-metal/listing.js";
import { AT, type Start } from "./bare-metal/machine.js";
import { assertInRegions, type Finished, PAGE_BITS, ROUNDS, runAll } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX, RDI, RDX, RSI } from "./index.js";

const RBP = 5;
const CALLER = 0x1_1000;
const CALLEE = 0x1_2000;
const OTHER_CALLER = 0x1_3000;
/** The HLT there. */
const ELSEWHERE = OTHER_CALLER + 14;
const HALF = 1000;

/** Adds `step` to RAX behind each call; `call` are the 5 bytes in front. By way of the trampoline the called page is no part of the caller's region. */
const counts = (origin: number, call: string, step: string): Listing => listing(origin, `
  ${call}         again: call callee
  48 83 c0 ${step}  add rax, step
  48 ff c9        dec rcx
  75 f2           jnz again
  f4              hlt
`);
const CALLS = { directly: "e8 fb 0f 00 00", "by register": "ff d3 90 90 90", "by a trampoline": "e8 fb 2f 00 00" } as const;
const TRAMPOLINE = listing(0x1_4000, `
  53  push rbx
  c3  ret
`);

/** Changes something in the round in which RCX is RDX, and returns. */
const changes = (length: string, change: string): Listing => listing(CALLEE, `
  48 39 d1     cmp rcx, rdx
  75 ${length}        jne back
  ${change}    change
  c3           back: ret
`);
const PATCHES = changes("08", "c6 04 25 08 10 01 00 03");
const REMAPS = changes("0b", "48 89 37 0f 01 3c 25 00 10 01 00");
const REMAPS_BY_CR3 = changes("09", "48 89 37 0f 20 dd 0f 22 dd");
const RETURNS_ELSEWHERE = changes("04", "48 89 2c 24");

function runChange(call: string, callee: Listing, start: Start): Finished {
  const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RBX]: CALLEE, [RBP]: ELSEWHERE, [RDI]: AT.pages + (CALLER >> 12) * 8, [RSI]: BigInt(OTHER_CALLER) | PAGE_BITS };
  const finished = runAll(counts(CALLER, call, "01"), registers, {
    start,
    prepare: (machine) => {
      machine.load(callee);
      machine.load(TRAMPOLINE);
      machine.load(counts(OTHER_CALLER, call, "03"));
    },
  });
  assertInRegions(finished);
  return finished;
}

for (const [how, call] of Object.entries(CALLS)) {
  for (const [what, callee, start] of [
    ["written", PATCHES, "kernel64"], ["written, by a user", PATCHES, "user64"], ["mapped elsewhere", REMAPS, "kernel64"],
    ["mapped elsewhere, with a new CR3", REMAPS_BY_CR3, "kernel64"],
  ] as const) {
    test(`called ${how}, a return sees that its page has been ${what} since the call`, () => {
      const { machine } = runChange(call, callee, start);
      assert.equal(machine.state.gpr(RAX), BigInt(ROUNDS - HALF + 3 * HALF));
      if (how === "by a trampoline") assert.ok(machine.state.translation.links > ROUNDS, `expected returns to go from region to region, got ${machine.state.translation.links} links`);
    });
  }

  test(`called ${how}, a return goes by the address on the stack`, () => {
    const { machine, stop } = runChange(call, RETURNS_ELSEWHERE, "kernel64");
    assert.deepEqual([stop.rip, machine.state.gpr(RAX)], [ELSEWHERE + 1, BigInt(ROUNDS - HALF)]);
  });
}
