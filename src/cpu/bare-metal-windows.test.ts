/** Loops whose accesses are looked up together (translator/page-windows.ts) or in the page of the round before (kept-pages.ts), in both tiers: over page ends, at what may not be written, and where mappings change in between. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU, WINDOWS_MISSED_MAX } from "../abi/layout.js";
import { DATA, label, VECTOR } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { AT, type BareMachine } from "./bare-metal/machine.js";
import { assertInRegions, PAGE_BITS, ROUNDS, runAll } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX, RDI, RDX, RSI } from "./index.js";

const R8 = 8, R9 = 9;
const PAGE = 0x1000;
const HALF = 1000;
const SMAP = 0x20_0000n;
const SUPERVISOR_BITS = 0x63n;
const READ_ONLY_BITS = 0x65n;
/** CR0.WP: the kernel minds, too. */
const WRITE_PROTECT = 0x1_0000n;

/** A structure that moves over the pages, by three registers that are told from each other by constants. */
const FIELDS = listing(0x10000, `
  48 8b 06     again: mov rax, [rsi]
  48 03 46 08  add rax, [rsi+8]
  48 89 46 10  mov [rsi+16], rax
  48 01 c3     add rbx, rax
  48 8d 7e 20  lea rdi, [rsi+32]
  49 89 f8     mov r8, rdi
  49 01 48 f8  add [r8-8], rcx
  48 83 c6 10  add rsi, 16
  48 ff c9     dec rcx
  75 de        jnz again
  f4           hlt
`);

const STACK = listing(0x10000, `
  51              again: push rcx
  53              push rbx
  48 83 ec 20     sub rsp, 32
  48 89 44 24 08  mov [rsp+8], rax
  48 89 e5        mov rbp, rsp
  48 01 4d 08     add [rbp+8], rcx
  48 8b 44 24 08  mov rax, [rsp+8]
  48 83 c4 20     add rsp, 32
  5b              pop rbx
  5a              pop rdx
  48 01 d3        add rbx, rdx
  48 31 c3        xor rbx, rax
  48 ff c9        dec rcx
  75 d8           jnz again
  f4              hlt
`);

/** Registers change by exchange, by a string instruction (the interpreter's function), and by what keeps no distance. */
const MOVES_ABOUT = listing(0x10000, `
  48 03 06     again: add rax, [rsi]
  48 87 fe     xchg rsi, rdi
  48 01 4e 08  add [rsi+8], rcx
  48 a5        movsq
  48 03 1e     add rbx, [rsi]
  48 03 5f 08  add rbx, [rdi+8]
  48 83 ee 08  sub rsi, 8
  48 83 ef 08  sub rdi, 8
  48 83 e6 f7  and rsi, -9
  48 03 1e     add rbx, [rsi]
  48 ff c9     dec rcx
  75 d9        jnz again
  f4           hlt
`);

/** All in one place. */
const STILL = listing(0x10000, `
  48 8b 06     again: mov rax, [rsi]
  48 03 5e 08  add rbx, [rsi+8]
  48 89 4e 08  mov [rsi+8], rcx
  48 89 0e     mov [rsi], rcx
  48 ff c9     dec rcx
  75 ed        jnz again
  f4           hlt
`);

/** Each round of the inner loop has a byte behind its store that is written only at the end, and in the third that is in the next page; nothing leads from there to where the loop is come to from. */
const FILLS = listing(0x10000, `
  48 89 f7        outer: mov rdi, rsi
  ba 04 00 00 00  mov edx, 4
  48 31 d3        xor rbx, rdx
  48 89 0f        inner: mov [rdi], rcx
  48 8d 7f 08     lea rdi, [rdi+8]
  ff ca           dec edx
  75 f5           jnz inner
  80 07 01        add byte ptr [rdi], 1
  48 03 46 18     add rax, [rsi+24]
  48 ff c9        dec rcx
  75 de           jnz outer
  f4              hlt
`);

const READS_ON = listing(0x10000, `
  48 03 06     again: add rax, [rsi]
  48 03 5e 08  second: add rbx, [rsi+8]
  48 83 c6 08  add rsi, 8
  48 ff c9     dec rcx
  75 f0        jnz again
  f4           hlt
`);

/** The store is never done. */
const MAY_STORE = listing(0x10000, `
  48 03 06     again: add rax, [rsi]
  48 83 f9 00  cmp rcx, 0
  79 04        jns over
  48 89 46 08  store: mov [rsi+8], rax
  48 ff c9     over: dec rcx
  75 ee        jnz again
  f4           hlt
`);

/** RDI is the page's entry, R8 and R9 where it goes in turns. */
const REMAPS = listing(0x10000, `
  48 03 06  again: add rax, [rsi]
  4c 89 07  mov [rdi], r8
  4d 87 c8  xchg r8, r9
  0f 01 3e  invlpg [rsi]
  48 03 1e  add rbx, [rsi]
  48 ff c9  dec rcx
  75 ec     jnz again
  f4        hlt
`);

/** Once it reads user mode's page without having opened it. */
const FORGETS_STAC = listing(0x10000, `
  0f 01 cb     again: stac
  48 03 06     add rax, [rsi]
  0f 01 ca     clac
  48 39 d1     cmp rcx, rdx
  75 04        jne over
  48 03 5e 08  shut: add rbx, [rsi+8]
  48 ff c9     over: dec rcx
  75 e9        jnz again
  f4           hlt
`);

/** Of each access the page is another one now and then; the first and the third lie in two at times. */
const WALKS = listing(0x10000, `
  4a 03 04 16     again: add rax, [rsi+r10]
  4a 89 04 17     mov [rdi+r10], rax
  42 33 5c 16 02  xor ebx, [rsi+r10+2]
  42 80 04 57 03  add byte ptr [rdi+r10*2], 3
  49 83 c2 0c     add r10, 12
  48 ff c9        dec rcx
  75 e5           jnz again
  f4              hlt
`);

/** Reads a page of the kernel (RDI) and, opened, one of user mode (RSI) in turns; once that without having opened it. */
const OPENS = listing(0x10000, `
  49 89 f8     again: mov r8, rdi
  f6 c1 01     test cl, 1
  74 06        je over
  0f 01 cb     stac
  49 89 f0     mov r8, rsi
  48 39 d1     over: cmp rcx, rdx
  4c 0f 44 c6  cmove r8, rsi
  4b 03 04 10  access: add rax, [r8+r10]
  0f 01 ca     clac
  48 ff c9     dec rcx
  75 df        jnz again
  f4           hlt
`);

function fill(machine: BareMachine): void {
  for (let page = DATA; page < DATA + 0x1_0000; page += PAGE) machine.write(page, Array.from({ length: PAGE }, (_, at) => (at * 7 + (page >> 12)) & 0xff));
}

for (const start of ["kernel64", "user64"] as const) {
  test(`a structure that moves over pages is read and written as the interpreter does it, ${start}`, () => {
    const at = DATA - DATA % PAGE + 4;
    assertInRegions(runAll(FIELDS, { [RCX]: ROUNDS, [RSI]: at }, { start, prepare: fill }));
  });

  test(`what is pushed, popped and kept in a frame is found, ${start}`, () => assertInRegions(runAll(STACK, { [RCX]: ROUNDS }, { start })));
}

test("a register that is given another value leads elsewhere", () => {
  assertInRegions(runAll(MOVES_ABOUT, { [RCX]: ROUNDS, [RSI]: DATA + 0x18, [RDI]: DATA + 0x88 }, { prepare: fill }));
});

test("a frame that lies in two pages is found, in the end without leaving regions", () => {
  const rounds = 2 * WINDOWS_MISSED_MAX + 4000;
  for (const [program, register, place] of [[STILL, RSI, DATA + PAGE - 8], [STACK, 4, DATA + PAGE + 8]] as const) {
    const plan = { prepare: (machine: BareMachine) => { fill(machine); machine.budget = 1000; } };
    const registers = { [RCX]: rounds, [register]: place };
    const { machine } = runAll(program, registers, plan);
    const { entries } = machine.state.translation;
    assert.ok(entries > WINDOWS_MISSED_MAX && entries < rounds * 0.7, `expected regions to be left ${WINDOWS_MISSED_MAX} times, got ${entries} entries in ${rounds} rounds`);
  }
});

test("a region is made again whose window, in the middle of it, goes over a page's end in each round", () => {
  const rounds = 3 * WINDOWS_MISSED_MAX;
  const { machine } = runAll(FILLS, { [RCX]: rounds, [RSI]: DATA + PAGE - 24 }, { prepare: (each) => { fill(each); each.budget = 1000; } });
  const { entries } = machine.state.translation;
  assert.ok(entries > WINDOWS_MISSED_MAX && entries < rounds * 0.7, `expected regions to be left ${WINDOWS_MISSED_MAX} times, got ${entries} entries in ${rounds} rounds`);
});

test("the second access of a window faults behind the first, which is done", () => {
  const end = DATA + 2 * PAGE;
  const rounds = (end - DATA) / 8;
  const { stop, machine } = runAll(READS_ON, { [RCX]: ROUNDS, [RSI]: DATA }, { prepare: (each) => { fill(each); each.map(end, 0n); } });
  assert.deepEqual([stop.vector, stop.rip, machine.state.readU64(VCPU.cr2)], [VECTOR.PF, label(READS_ON, "second"), BigInt(end)]);
  assert.equal(machine.state.gpr(RCX), BigInt(ROUNDS - rounds + 1));
});

test("a store that is not come to does not ask for a page that may be written", () => {
  const prepare = (machine: BareMachine): void => {
    fill(machine);
    machine.map(DATA, BigInt(DATA) | READ_ONLY_BITS);
    machine.state.writeU64(VCPU.cr0, machine.state.readU64(VCPU.cr0) | WRITE_PROTECT);
  };
  assertInRegions(runAll(MAY_STORE, { [RCX]: ROUNDS, [RSI]: DATA }, { prepare }));
});

test("a page that is mapped elsewhere between two accesses is looked up anew", () => {
  const other = DATA + PAGE;
  const registers = { [RCX]: ROUNDS, [RSI]: DATA, [RDI]: AT.pages + (DATA >> 12) * 8, [R8]: BigInt(other) | PAGE_BITS, [R9]: BigInt(DATA) | PAGE_BITS };
  const finished = runAll(REMAPS, registers, { prepare: fill });
  assert.ok(finished.machine.state.translation.entries > 0);
});

for (const [what, program, fault] of [["by the same register", FORGETS_STAC, "shut"], ["of the next round", OPENS, "access"]] as const) {
  test(`what CLAC has shut is shut for the next access ${what}`, () => {
    const prepare = (machine: BareMachine): void => {
      fill(machine);
      machine.state.writeU64(VCPU.cr4, machine.state.readU64(VCPU.cr4) | SMAP);
      for (const page of [AT.idt, AT.gdt, AT.tss & ~0xfff, AT.halts, AT.stackTop - PAGE, program.origin, DATA + PAGE]) machine.map(page, BigInt(page) | SUPERVISOR_BITS);
    };
    const { stop, machine } = runAll(program, { [RCX]: ROUNDS, [RDX]: HALF, [RSI]: DATA, [RDI]: DATA + PAGE }, { prepare });
    assert.deepEqual([stop.vector, stop.rip, machine.state.gpr(RCX)], [VECTOR.PF, label(program, fault), BigInt(HALF)]);
  });
}

test("a loop that keeps pages goes on to the next ones", () => {
  // The pages that are read lie in memory the other way round.
  const prepare = (machine: BareMachine): void => {
    fill(machine);
    for (let page = 0; page < 8; page++) machine.map(DATA + page * PAGE, BigInt(DATA + (7 - page) * PAGE) | PAGE_BITS);
  };
  assertInRegions(runAll(WALKS, { [RCX]: 2200, [RSI]: DATA + 3, [RDI]: DATA + 8 * PAGE }, { prepare }));
});
