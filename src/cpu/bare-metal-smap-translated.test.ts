/** SMAP in translated code: RFLAGS.AC, and with it the TLB that answers, may change in a region and outlast it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { DATA, label, VECTOR } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { AT, BareMachine } from "./bare-metal/machine.js";
import { compileCore } from "./core.raw.js";
import { RBX, RCX, RDI, RSI } from "./index.js";

const SMAP = 0x20_0000n;
const SUPERVISOR_BITS = 0x63n;
const ROUNDS = 2000;
/** Pages of the kernel; DATA is user mode's. */
const OTHER = DATA + 0x1000, THIRD = DATA + 0x2000;

/** Behind INVLPG the region is entered with user pages open; it shuts them, and is left at the page that INVLPG has dropped. */
const SHUTS = listing(0x10000, `
  0f 01 cb  again: stac
  0f 01 3e  invlpg [rsi]
  48 8b 03  mov rax, [rbx]
  0f 01 ca  clac
  48 8b 16  mov rdx, [rsi]
  48 8b 17  mov rdx, [rdi]
  48 ff c9  dec rcx
  75 e9     jnz again
  48 8b 03  shut: mov rax, [rbx]
  f4        hlt
`);

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

test("what a region has shut with CLAC is shut for the interpreter behind it, and its own pages are not looked for among the open ones", () => {
  const machine = new BareMachine(module, 1, {});
  machine.budget = 200;
  machine.start("kernel64", SHUTS);
  const { state } = machine;
  state.writeU64(VCPU.cr4, state.readU64(VCPU.cr4) | SMAP);
  for (const page of [AT.idt, AT.gdt, AT.tss & ~0xfff, AT.halts, AT.stackTop - 0x1000, SHUTS.origin, OTHER, THIRD]) machine.map(page, BigInt(page) | SUPERVISOR_BITS);
  for (const [n, value] of [[RBX, DATA], [RSI, OTHER], [RDI, THIRD], [RCX, ROUNDS]] as const) state.setGpr(n, BigInt(value));
  let stop;
  // Short turns, so that the loop is translated while it runs.
  while (stop === undefined) {
    try {
      stop = machine.run();
    } catch (error) {
      if (state.gpr(RCX) === 0n) throw error;
    }
  }
  assert.ok(state.translation.entries > ROUNDS / 2, `expected translated code to run, got ${state.translation.entries} entries`);
  assert.deepEqual([stop.vector, stop.rip, state.readU64(VCPU.cr2)], [VECTOR.PF, label(SHUTS, "shut"), BigInt(DATA)]);
  const { walkReads } = state.addressTranslation;
  assert.ok(walkReads < ROUNDS * 1.2, `expected one walk a round, for the page that is dropped, got ${walkReads} in ${ROUNDS}`);
});
