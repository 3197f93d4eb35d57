/** Code that belongs at one place of the PC cache, in both tiers: it is found there, and forgotten when it has to be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { doublewordBytes, listing, type Listing } from "./bare-metal/listing.js";
import { type Finished, ROUNDS, run, runAll } from "./bare-metal/tiers.js";
import { VCPU } from "../abi/layout.js";
import { RAX, RBX, RCX, RDX, RSI } from "./index.js";

/** The first two belong at one place, the third at the neighbour's (pcCacheSlot in interpreter/code-cache.ts). */
const FIRST = 0x1_2010;
const SECOND = FIRST ^ 0x4001;
const NEIGHBOUR = FIRST ^ 0x8003;
const HALF = 1000;
const FEW = 60;

/** Adds 1 to RAX. */
const callee = (origin: number): Listing => listing(origin, `
  48 83 c0 01  add rax, 1
  c3           ret
`);

/** Calls what RBX and RSI say in each of RCX rounds. */
const CALLS = listing(0x1_1000, `
  ff d3     again: call rbx
  ff d6     call rsi
  48 ff c9  dec rcx
  75 f7     jnz again
  f4        hlt
`);

/** As CALLS, and in the round in which RCX is RDX the step of the callee at `patched` becomes 3. */
const patches = (patched: number): Listing => listing(0x1_1000, `
  ff d3                    again: call rbx
  ff d6                    call rsi
  48 39 d1                 cmp rcx, rdx
  75 08                    jne on
  c6 04 25 ${doublewordBytes(patched + 3)} 03  mov byte ptr [patched + 3], 3
  48 ff c9                 on: dec rcx
  75 ea                    jnz again
  f4                       hlt
`);

const load = (machine: Finished["machine"]): void => { for (const origin of [FIRST, SECOND, NEIGHBOUR]) machine.load(callee(origin)); };

for (const [what, other] of [["belong at one place", SECOND], ["belong at neighbouring places", NEIGHBOUR]] as const) {
  for (const [tier, translated] of [["interpreter", false], ["translator", {}]] as const) {
    test(`two callees that ${what} are looked for once, not at each call (${tier})`, () => {
      const { machine } = run(CALLS, { [RBX]: FIRST, [RSI]: other, [RCX]: ROUNDS }, translated, { prepare: load });
      assert.equal(machine.state.gpr(RAX), BigInt(2 * ROUNDS));
      const lookups = Number(machine.state.readU64(VCPU.counterTraceLookups));
      assert.ok(lookups < FEW, `expected few look-ups, got ${lookups}`);
    });
  }

  for (const [which, patched] of [["first", FIRST], ["other", other]] as const) {
    test(`of two callees that ${what} the ${which} is written, and runs as it is now`, () => {
      const { machine } = runAll(patches(patched), { [RBX]: FIRST, [RSI]: other, [RCX]: ROUNDS, [RDX]: HALF }, { prepare: load });
      // The round in which it is written has called it before.
      assert.equal(machine.state.gpr(RAX), BigInt(2 * ROUNDS + 2 * (HALF - 1)));
    });
  }
}
