/** Runs with an exact budget (VCPU.exactBudget): they stop between any two instructions, wherever a trace or region would end. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EXIT_BUDGET, EXIT_HLT, REGION_OVERDRAFT_MAX, VCPU } from "../abi/layout.js";
import { listing } from "./bare-metal/listing.js";
import { BareMachine } from "./bare-metal/machine.js";
import { compileCore } from "./core.raw.js";
import { RAX, RBX, RCX } from "./index.js";

/** Straight pieces of several lengths, a branch that is mostly taken, calls, and an instruction pair that the decoder fuses. */
const PROGRAM = listing(0x10000, `
  48 8d 04 48     again: lea rax, [rax+rcx*2]
  f6 c1 03        test cl, 3
  75 09           jnz odd
  48 31 c8        xor rax, rcx
  48 01 c3        add rbx, rax
  48 0f cb        bswap rbx
  c1 c0 03        odd: rol eax, 3
  50              push rax
  e8 0e 00 00 00  call leaf
  5a              pop rdx
  48 ff c9        dec rcx
  48 83 f9 00     cmp rcx, 0
  75 db           jnz again
  f4              hlt
  0f 1f 00        nop
  48 11 c3        leaf: adc rbx, rax
  48 ff c0        inc rax
  48 ff c8        dec rax
  c3              ret
`);
const ROUNDS = 6000;
/** Budgets that no loop of the program is in step with; regions are entered where there is more than they may overdraw. */
const BUDGETS = [1, 97, 2, 31, REGION_OVERDRAFT_MAX + 32, 33, 2 * REGION_OVERDRAFT_MAX + 211, 5];

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

function start(translated: boolean): BareMachine {
  const machine = new BareMachine(module, 1, translated && {});
  machine.start("kernel64", PROGRAM);
  machine.state.writeU32(VCPU.exactBudget, 1);
  for (const [n, value] of [[RAX, 3n], [RBX, 5n], [RCX, BigInt(ROUNDS)]] as const) machine.state.setGpr(n, value);
  return machine;
}

/** RIP before each instruction of the program, as single steps of the interpreter find it. */
function stepThrough(): readonly bigint[] {
  const machine = start(false);
  const rips = [machine.state.rip];
  while (machine.core.run(1) === EXIT_BUDGET) {
    assert.equal(machine.state.instructionsRetired, rips.length);
    rips.push(machine.state.rip);
  }
  return rips;
}

const RIPS = stepThrough();

for (const tier of ["interpreter", "translator"]) {
  test(`an exact budget ends a run of the ${tier} at the instruction that it counts to`, () => {
    const machine = start(tier === "translator");
    let reason: number = EXIT_BUDGET;
    for (let turn = 0, done = 0; ; turn++) {
      const budget = BUDGETS[turn % BUDGETS.length]!;
      reason = machine.core.run(budget);
      machine.core.translateHot();
      if (reason !== EXIT_BUDGET) break;
      done += budget;
      assert.deepEqual([machine.state.instructionsRetired, machine.state.rip], [done, RIPS[done]]);
    }
    assert.equal(reason, EXIT_HLT);
    assert.equal(machine.state.gpr(RCX), 0n);
    if (tier === "translator") assert.ok(machine.state.translation.entries > 100, `expected regions to run, got ${machine.state.translation.entries} entries`);
  });
}

test("without an exact budget the run goes on to a trace's end", () => {
  const machine = start(false);
  machine.state.writeU32(VCPU.exactBudget, 0);
  machine.core.run(5);
  assert.ok(machine.state.instructionsRetired > 5);
});
