/** Programs whose loops run in translated code: what they compute, how often, and what ends or changes them in the middle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { DATA, label, VECTOR } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { BareMachine } from "./bare-metal/machine.js";
import { BUDGET, type Finished, module, PAGE_BITS, ROUNDS, run } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX, RDX, RSI } from "./index.js";

const CALLER = 0x10000;
const CALLEE = 0x11000;
const OTHER_CALLEE = 0x12000;
const HALF = 1000;

const MIXED = listing(CALLER, `
  48 8d 04 48     again: lea rax, [rax+rcx*2]
  f6 c1 03        test cl, 3
  74 03           jz even
  48 31 c8        xor rax, rcx
  c1 c0 03        even: rol eax, 3
  e8 06 00 00 00  call leaf
  48 ff c9        dec rcx
  75 e7           jnz again
  f4              hlt
  48 11 c3        leaf: adc rbx, rax
  48 0f cb        bswap rbx
  c3              ret
`);

const PATCHES_ITSELF = listing(CALLER, `
  48 39 d1                 again: cmp rcx, rdx
  75 08                    jne patch
  c6 04 25 0f 00 01 00 c3  mov byte ptr [patch + 2], 0xc3
  48 ff c0                 patch: inc rax
  48 ff c9                 dec rcx
  75 eb                    jnz again
  f4                       hlt
`);

const PATCHES_CALLEE = listing(CALLER, `
  e8 fb 0f 00 00           again: call callee
  48 39 d1                 cmp rcx, rdx
  75 08                    jne skip
  c6 04 25 02 10 01 00 c3  mov byte ptr [callee + 2], 0xc3
  48 ff c9                 skip: dec rcx
  75 e9                    jnz again
  f4                       hlt
`);

const REMAPS_CALLEE = listing(CALLER, `
  e8 fb 0f 00 00           again: call callee
  48 39 d1                 cmp rcx, rdx
  75 0b                    jne skip
  48 89 33                 mov [rbx], rsi
  0f 01 3c 25 00 10 01 00  invlpg [callee]
  48 ff c9                 skip: dec rcx
  75 e6                    jnz again
  f4                       hlt
`);

const COUNTS_RAX = listing(CALLEE, `
  48 ff c0  inc rax
  c3        ret
`);
const COUNTS_RBX = listing(OTHER_CALLEE, `
  48 ff c3  inc rbx
  c3        ret
`);

/** Where a return leads to that is no return is in nobody's region but its own. */
const CALLS_BY_TRAMPOLINE = listing(CALLER, `
  48 39 d1        again: cmp rcx, rdx
  e8 f8 2f 00 00  call trampoline
  48 ff c9        dec rcx
  75 f3           jnz again
  f4              hlt
`);
const TRAMPOLINE = listing(0x13000, `
  53  push rbx
  c3  ret
`);
const READS_FLAGS = listing(CALLEE, `
  40 0f 9f c6  setg sil
  48 01 f0     add rax, rsi
  48 d1 c0     rol rax, 1
  c3           ret
`);

const FILLS = listing(CALLER, `
  48 89 0b     again: mov [rbx], rcx
  48 83 c3 08  add rbx, 8
  48 83 e9 01  minus: sub rcx, 1
  51           push rcx
  5a           pop rdx
  75 f1        jnz again
  f4           hlt
`);

const THREE_LOOPS = [
  listing(CALLER, `
    48 89 f1        mov rcx, rsi
    48 01 c8        one: add rax, rcx
    48 ff c9        dec rcx
    75 f8           jnz one
    e9 f0 0f 00 00  jmp second
  `),
  listing(CALLEE, `
    48 89 f1        second: mov rcx, rsi
    48 31 cb        two: xor rbx, rcx
    48 01 c3        add rbx, rax
    48 ff c9        dec rcx
    75 f5           jnz two
    e9 ed 0f 00 00  jmp third
  `),
  listing(OTHER_CALLEE, `
    48 89 f1           third: mov rcx, rsi
    48 8d 04 58        three: lea rax, [rax+rbx*2]
    48 ff c9           dec rcx
    75 f7              jnz three
    48 ff ca           dec rdx
    0f 85 eb df ff ff  jnz first
    f4                 hlt
  `),
] as const;

/** Whether regions are left for a turn's budget, not each round. */
function assertStays(machine: BareMachine): void {
  const { entries } = machine.state.translation;
  assert.ok(entries < ROUNDS / 5, `expected regions to go on after the change, got ${entries} entries`);
}

function assertTranslated(machine: BareMachine): void {
  const { regions, entries } = machine.state.translation;
  assert.ok(regions > 0 && entries > 0, `expected translated code to run, got ${regions} regions, ${entries} entries`);
}

test("a loop with branches, a call and a return computes in translated code what the interpreter does, in as many instructions", () => {
  const registers = { [RCX]: ROUNDS, [RAX]: 0x1234_5678_9abc_def0n, [RBX]: 7 };
  const [interpreted, translated] = [run(MIXED, registers, false), run(MIXED, registers, {})];
  assertTranslated(translated.machine);
  for (const n of [RAX, RBX, RCX]) assert.equal(translated.machine.state.gpr(n), interpreted.machine.state.gpr(n));
  assert.deepEqual(translated.stop, interpreted.stop);
  assert.equal(translated.machine.state.instructionsRetired, interpreted.machine.state.instructionsRetired);
});

test("a store to the page that runs is seen by the instruction behind it", () => {
  const { machine } = run(PATCHES_ITSELF, { [RCX]: ROUNDS, [RDX]: HALF }, {});
  assertTranslated(machine);
  assert.deepEqual([machine.state.gpr(RAX), machine.state.gpr(RBX)], [BigInt(ROUNDS - HALF), BigInt(HALF)]);
});

test("a store to another page of the same region is seen by the next call", () => {
  const { machine } = run(PATCHES_CALLEE, { [RCX]: ROUNDS, [RDX]: HALF }, {}, { prepare: (bare) => bare.load(COUNTS_RAX) });
  assertTranslated(machine);
  assertStays(machine);
  assert.deepEqual([machine.state.gpr(RAX), machine.state.gpr(RBX)], [BigInt(ROUNDS - HALF + 1), BigInt(HALF - 1)]);
});

test("a page of a region that the guest maps elsewhere is left behind", () => {
  const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RBX]: 0x4000 + (CALLEE >> 12) * 8, [RSI]: BigInt(OTHER_CALLEE) | PAGE_BITS };
  const { machine } = run(REMAPS_CALLEE, registers, {}, {
    prepare: (bare) => {
      bare.load(COUNTS_RAX);
      bare.load(COUNTS_RBX);
    },
  });
  assertTranslated(machine);
  assertStays(machine);
  assert.deepEqual([machine.state.gpr(RAX), machine.state.gpr(RBX) - BigInt(registers[RBX])], [BigInt(ROUNDS - HALF + 1), BigInt(HALF - 1)]);
});

test("a region goes on in another that begins with a look at the flags", () => {
  const registers = { [RCX]: ROUNDS, [RDX]: HALF, [RBX]: CALLEE };
  const [interpreted, translated] = ([false, {}] as const).map((how) => run(CALLS_BY_TRAMPOLINE, registers, how, {
    prepare: (bare) => { for (const each of [READS_FLAGS, TRAMPOLINE]) bare.load(each); },
  })) as [Finished, Finished];
  const { entries, links } = translated.machine.state.translation;
  assert.ok(links > ROUNDS && entries < ROUNDS / 10, `expected regions to go on in each other, got ${links} times, ${entries} entries`);
  assert.equal(translated.machine.state.gpr(RAX), interpreted.machine.state.gpr(RAX));
});

test("a page fault in a region leaves the state of its instruction, flags included", () => {
  const registers = { [RBX]: DATA, [RCX]: ROUNDS };
  const prepare = (bare: BareMachine): void => bare.map(DATA + 0x1000, 0n);
  const [interpreted, translated] = [run(FILLS, registers, false, { prepare }), run(FILLS, registers, {}, { prepare })];
  assertTranslated(translated.machine);
  assert.deepEqual(translated.stop, interpreted.stop);
  assert.deepEqual([translated.stop.vector, translated.stop.rip], [VECTOR.PF, CALLER]);
  for (const n of [RBX, RCX, RDX]) assert.equal(translated.machine.state.gpr(n), interpreted.machine.state.gpr(n));
  assert.equal(translated.machine.state.gpr(RCX), BigInt(ROUNDS - 512));
});

test("a breakpoint that is set on translated code stops there", () => {
  const machine = new BareMachine(module, 1, {});
  machine.start("kernel64", FILLS);
  machine.state.setGpr(RBX, BigInt(DATA));
  machine.state.setGpr(RCX, 4096n);
  for (let turn = 0; turn < 20; turn++) {
    machine.core.run(BUDGET);
    machine.core.translateHot();
  }
  assertTranslated(machine);
  const at = label(FILLS, "minus");
  machine.state.writeU64(VCPU.dr, BigInt(at));
  machine.state.writeU64(VCPU.dr + 8 * 7, 0x401n);
  const stop = machine.run();
  assert.deepEqual([stop.vector, stop.rip], [VECTOR.DB, at]);
});

test("a loop that is run one instruction at a time, for a breakpoint elsewhere, keeps to its budget", () => {
  const machine = new BareMachine(module);
  machine.start("kernel64", listing(CALLER, "eb fe  jmp $"));
  machine.state.writeU64(VCPU.dr, BigInt(DATA));
  machine.state.writeU64(VCPU.dr + 8 * 7, 0x401n);
  const before = machine.state.instructionsRetired;
  machine.core.run(BUDGET);
  const retired = machine.state.instructionsRetired - before;
  assert.ok(retired >= BUDGET && retired <= BUDGET + 2, `expected the budget, got ${retired}`);
});

test("regions that are given up make room for others, and what ran in them goes on", () => {
  const registers = { [RSI]: 50, [RDX]: 300, [RAX]: 3, [RBX]: 5 };
  const prepare = (machine: BareMachine): void => { for (const part of THREE_LOOPS) machine.load(part); };
  const [interpreted, translated] = [run(THREE_LOOPS[0], registers, false, { prepare }), run(THREE_LOOPS[0], registers, { regionsMax: 1 }, { prepare })];
  const { evictions, regions } = translated.machine.state.translation;
  assert.ok(evictions > 1 && regions > 2, `expected regions to be given up, got ${evictions} times, ${regions} regions`);
  for (const n of [RAX, RBX, RCX]) assert.equal(translated.machine.state.gpr(n), interpreted.machine.state.gpr(n));
  assert.equal(translated.machine.state.instructionsRetired, interpreted.machine.state.instructionsRetired);
});

test("a hot loop keeps to its budget, and goes on where it was", () => {
  const machine = new BareMachine(module, 1, {});
  machine.start("kernel64", MIXED);
  machine.state.setGpr(RCX, 1_000_000_000n);
  for (let turn = 0; turn < 20; turn++) {
    machine.core.run(BUDGET);
    machine.core.translateHot();
  }
  assertTranslated(machine);
  const before = machine.state.instructionsRetired;
  const entries = machine.state.translation.entries;
  machine.core.run(1_000_000);
  const retired = machine.state.instructionsRetired - before;
  assert.ok(retired >= 1_000_000 - 64 && retired <= 1_000_000 + 64, `expected about the budget, got ${retired}`);
  assert.ok(machine.state.translation.entries > entries);
});

test("a loop of many traces is translated when they are hot together", () => {
  const steps = 256;
  const program = listing(CALLER, `${"  48 ff c0  inc rax\n".repeat(steps)}
    48 ff c9           dec rcx
    0f 85 f7 fc ff ff  jnz again
    f4                 hlt
  `);
  // A turn is a sample: each of the nine traces has some 45 in so many rounds.
  const rounds = 320;
  const { machine } = run(program, { [RCX]: rounds }, { hotSamples: 64 });
  assert.equal(machine.state.gpr(RAX), BigInt(rounds * steps));
  assert.equal(machine.state.translation.regions, 1);
});
