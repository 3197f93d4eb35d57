import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { assertFault, DATA, label, machine, RBP, RSP, runs, setControl4, setFlags, start, state, VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { AT, SELECTOR } from "./bare-metal/machine.js";
import * as programs from "./bare-metal/programs.js";
import { RAX, RBX, RCX, RDI, RDX, RSI } from "./index.js";

const { UD, SS, GP, PF, AC } = VECTOR;
const ALIGNMENT_FLAG = 0x4_0000n;
const SMEP = 0x10_0000n, SMAP = 0x20_0000n;
const NOT_CANONICAL = 0x8000_0000_0000n;
const NX = 1n << 63n;

// ---------------------------------------------------------------------------------------------------- modes

test("a processor start-up trampoline goes from real mode through protected mode to long mode", () => {
  start("real", programs.TRAMPOLINE);
  machine.setDescriptor(SELECTOR.code64, 0xa09b);
  machine.setU64(AT.pml4, BigInt(AT.pdpt) | 0x67n);
  machine.setU16(0xa000, 0x7ff);
  machine.setU32(0xa002, AT.gdt);
  const stop = machine.run();
  assert.equal(stop.exit, "hlt");
  assert.deepEqual([state.mode, state.gpr(RAX)], [2, 0x1122_3344_5566_7788n]);
  assert.equal(state.readU64(VCPU.efer), 0xd00n);
});

test("32-bit paging translates 4 KiB and 4 MiB pages, sets accessed and dirty bits and protects from the kernel too", () => {
  start("protected32", programs.PAGED_32);
  machine.setU32(0x2_0000, 0x2_1003);
  machine.setU32(0x2_0000 + 8, 0x83);
  for (let page = 0; page < 0x40; page++) machine.setU32(0x2_1000 + 4 * page, (page << 12) | 3);
  machine.setU32(0x2_1000 + 4 * 0x31, 0x3_1001);
  machine.setU32(0x10, 0xabcd);
  const stop = machine.run();
  assertFault(stop, PF, 3);
  assert.deepEqual([state.readU64(VCPU.cr2), machine.u32(0x3_0010)], [0x3_1000n, 0xabcd]);
  assert.deepEqual([machine.u32(0x2_0000 + 8), machine.u32(0x2_1000 + 4 * 0x30) & 0x60, machine.u32(0x2_0000) & 0x60], [0xa3, 0x60, 0x20]);
});

test("PAE paging translates 2 MiB pages and refuses to execute where NX is set", () => {
  start("protected32", programs.PAGED_PAE);
  machine.setU64(0x2_0000, 0x2_2001n);
  machine.setU64(0x2_2000, 0x2_3003n);
  machine.setU64(0x2_2008, 0x83n);
  for (let page = 0; page < 0x40; page++) machine.setU64(0x2_3000 + 8 * page, BigInt(page << 12) | 3n);
  machine.setU64(0x2_3000 + 8 * 0x31, NX | 0x3_1003n);
  machine.setU32(0x10, 0x1234);
  const stop = machine.run();
  assertFault(stop, PF, 0x11, 0x3_1000);
  assert.equal(machine.u32(0x3_0010), 0x1234);
  assert.equal(machine.u64(0x2_2008), 0xa3n);
});

test("outside 64-bit mode the type of a segment decides on reads and writes", () => {
  start("protected32", programs.WRITE_32, { [RBX]: DATA });
  machine.setDescriptor(SELECTOR.free, 0xc091);
  assertFault(machine.run(), GP, 0, programs.WRITE_32.origin + 8);
  start("protected32", programs.WRITE_32, { [RBX]: DATA });
  machine.setDescriptor(SELECTOR.free, 0xc09b);
  assertFault(machine.run(), GP, 0, programs.WRITE_32.origin + 8);
  start("protected32", programs.EXECUTE_ONLY, { [RBX]: DATA });
  machine.setDescriptor(SELECTOR.free, 0xc099);
  assertFault(machine.run(), GP, 0, label(programs.EXECUTE_ONLY, "next"));
});

test("an access beyond the limit of the stack segment is a stack fault, and a triple fault when no handler has a stack", () => {
  start("protected32", programs.STACK_32);
  machine.setDescriptor(SELECTOR.free, 0x4093, 0, 0x100);
  assertFault(machine.run(), SS, 0, programs.STACK_32.origin + programs.STACK_32.bytes.length - 3);
  start("protected32", programs.PUSH_32);
  machine.setDescriptor(SELECTOR.free, 0x4093, 0, 0x100);
  // The handler's stack is the broken one as well: the double fault finds no room either.
  assert.equal(machine.run().exit, "triple-fault");
});

// ---------------------------------------------------------------------------------------------------- supervisor protection

test("SMEP: the kernel does not execute pages of user mode", () => {
  start("kernel64", programs.JUMPER, { [RDI]: DATA });
  setControl4(SMEP);
  machine.map(programs.JUMPER.origin, BigInt(programs.JUMPER.origin) | 0x63n);
  machine.map(AT.halts, BigInt(AT.halts) | 0x63n);
  assertFault(machine.run(), PF, 0x11, DATA);
});

test("SMAP: the kernel reaches pages of user mode between STAC and CLAC, and after POPF with AC", () => {
  const guarded = (): void => {
    setControl4(SMAP);
    for (const page of [AT.idt, AT.gdt, AT.halts, AT.stackTop - 0x1000, programs.OPEN.origin]) machine.map(page, BigInt(page) | 0x63n);
  };
  start("kernel64", programs.LOADER, { [RDI]: DATA });
  guarded();
  assertFault(machine.run(), PF, 1, programs.LOADER.origin);
  start("kernel64", programs.OPEN, { [RDI]: DATA, [RSI]: SELECTOR.data });
  guarded();
  assertFault(machine.run(), PF, 1, programs.OPEN.origin + programs.OPEN.bytes.length - 4);
});

test("SMAP: the processor's own accesses stay shut out while AC is set", () => {
  start("kernel64", programs.OPEN, { [RDI]: DATA, [RSI]: SELECTOR.free });
  machine.setDescriptor(SELECTOR.free, 0xc093);
  setControl4(SMAP);
  for (const page of [AT.idt, AT.halts, AT.stackTop - 0x1000, programs.OPEN.origin]) machine.map(page, BigInt(page) | 0x63n);
  const stop = machine.run();
  // The GDT is in a page of user mode, so neither FS nor the handler's CS can be loaded.
  assert.equal(stop.exit, "triple-fault");
  assert.equal(state.readU64(VCPU.cr2) & ~0xfffn, BigInt(AT.gdt));
});

test("a jump that the kernel made does not lead user mode into the kernel's pages", () => {
  const jump = listing(0x1_0000, "e9 fb 1f 00 00  jmp 0x12000");
  start("kernel64", jump);
  machine.write(0x1_2000, [0xf4]);
  machine.map(0x1_2000, 0x1_2063n);
  for (let round = 0; round < 2; round++) {
    state.rip = BigInt(jump.origin);
    assert.equal(machine.run().exit, "hlt");
  }
  machine.continueInUserMode(jump.origin);
  assertFault(machine.run(), PF, 0x15, 0x1_2000);
});

test("STAC is invalid in user mode", () => {
  assertFault(runs("user64", programs.USER_STAC), UD, undefined, programs.USER_STAC.origin);
});

// ---------------------------------------------------------------------------------------------------- addresses

test("alignment is checked in user mode with AM and AC, and not in the kernel", () => {
  start("user64", programs.MISALIGNED, { [RDI]: DATA });
  setFlags(ALIGNMENT_FLAG);
  assertFault(machine.run(), AC, 0, programs.MISALIGNED.origin + 2);
  start("kernel64", programs.MISALIGNED, { [RDI]: DATA });
  setFlags(ALIGNMENT_FLAG);
  assert.equal(machine.run().exit, "hlt");
  start("user64", programs.MISALIGNED, { [RDI]: DATA });
  assertFault(machine.run(), GP, 0, programs.MISALIGNED.origin + 5);
});

test("addresses that are not canonical fault: #SS on the stack, #GP elsewhere, and RIP never becomes one", () => {
  const cases: [Listing, Record<number, bigint>, number][] = [
    [programs.LOADER, { [RDI]: NOT_CANONICAL }, GP],
    [programs.LOADER, { [RDI]: NOT_CANONICAL - 4n }, GP],
    [programs.STORER, { [RDI]: NOT_CANONICAL }, GP],
    [programs.BASED, { [RBP]: NOT_CANONICAL }, SS],
    [programs.PUSHER, { [RSP]: NOT_CANONICAL + 8n }, SS],
    [programs.POPPER, { [RSP]: NOT_CANONICAL }, SS],
    [programs.RETURNER, { [RSP]: NOT_CANONICAL }, SS],
    [programs.CALLER, { [RDI]: NOT_CANONICAL }, GP],
    [programs.CALLER, { [RDI]: NOT_CANONICAL, [RSP]: NOT_CANONICAL + 8n }, SS],
    [programs.JUMPER, { [RDI]: NOT_CANONICAL }, GP],
  ];
  for (const [program, registers, vector] of cases) {
    const stop = runs("user64", program, registers);
    assertFault(stop, vector, 0, program.origin);
    assert.equal(stop.rsp, registers[RSP] ?? 0x2_0000n);
  }
  start("user64", programs.RETURNER, { [RSP]: DATA });
  machine.setU64(DATA, NOT_CANONICAL);
  const stop = machine.run();
  assertFault(stop, GP, 0, programs.RETURNER.origin);
  assert.equal(stop.rsp, BigInt(DATA));
});

test("a fault in the second page of an access names that page, and of two missing pages the first", () => {
  for (const [program, write] of [[programs.LOADER, 0], [programs.STORER, 2]] as const) {
    start("user64", program, { [RDI]: DATA + 0xffc });
    machine.map(DATA + 0x1000, 0n);
    assertFault(machine.run(), PF, 4 | write, program.origin);
    assert.equal(state.readU64(VCPU.cr2), BigInt(DATA + 0x1000));
    start("user64", program, { [RDI]: DATA + 0xffc });
    machine.map(DATA, 0n);
    machine.map(DATA + 0x1000, 0n);
    assertFault(machine.run(), PF, 4 | write, program.origin);
    assert.equal(state.readU64(VCPU.cr2), BigInt(DATA + 0xffc));
  }
});

test("a page table outside memory reads as all ones: a fault for a reserved bit", () => {
  start("kernel64", programs.LOADER, { [RDI]: 0x20_0000 });
  machine.setU64(AT.directory + 8, 0x50_0000_0067n);
  const stop = machine.run((exit) => exit === "nested-page-fault" && (state.acceptMmioWrite(BigInt(state.exitAddress)), true));
  assertFault(stop, PF, 9, programs.LOADER.origin);
});

// ---------------------------------------------------------------------------------------------------- encodings

test("LOCK is invalid without a memory destination that is read and written", () => {
  const invalid = ["f0 8b 07", "f0 01 c8", "f0 39 07", "f0 89 07", "f0 0f a3 07", "f0 85 07", "f0 90", "f0 c7 07 00 00 00 00"];
  for (const bytes of invalid) assertFault(runs("user64", listing(0x1_0000, `${bytes}  locked`), { [RDI]: DATA }), UD, undefined, 0x1_0000);
  const valid = ["f0 01 07", "f0 0f b1 07", "f0 0f c7 0f", "f0 ff 07", "f0 87 07", "f0 0f ab 07"];
  for (const bytes of valid) {
    const program = listing(0x1_0000, `${bytes}  locked\n  f4  hlt`);
    assert.equal(runs("kernel64", program, { [RDI]: DATA }).rip, program.origin + program.bytes.length);
  }
});

test("an instruction may have 15 bytes and no more", () => {
  const prefixed = (count: number): Listing => listing(0x1_0000, `${"66 ".repeat(count)}90  nop\n  f4  hlt`);
  assert.equal(runs("kernel64", prefixed(14)).exit, "hlt");
  assertFault(runs("kernel64", prefixed(15)), GP, 0, 0x1_0000);
});

test("an instruction over a page end whose second page is missing or not executable faults with that page in CR2", () => {
  const long = listing(0x1_0ffe, "48 b8 01 02 03 04 05 06 07 08  mov rax, imm64\n  f4  hlt");
  for (const [entry, code] of [[0n, 0x14], [NX | 0x1_1067n, 0x15]] as const) {
    start("user64", long);
    machine.map(0x1_1000, entry);
    assertFault(machine.run(), PF, code, long.origin);
    assert.equal(state.readU64(VCPU.cr2), 0x1_1000n);
  }
  // What fits in front of the page end needs no second page.
  const short = listing(0x1_0ffd, "b0 05  mov al, 5\n  f4  hlt");
  start("kernel64", short);
  machine.map(0x1_1000, 0n);
  assert.equal(machine.run().exit, "hlt");
});

// ---------------------------------------------------------------------------------------------------- code that changes

test("a program sees its own writes to the next instruction, behind a page end, and through another address of the page", () => {
  for (let round = 0; round < 2; round++) {
    assert.equal(runs("kernel64", programs.PATCH_NEXT).exit, "hlt");
    assert.equal(state.gpr(RAX), 7n);
  }
  start("kernel64", programs.PATCH_BEYOND);
  machine.run();
  assert.equal(state.gpr(RAX), 0x77n);
  start("kernel64", programs.PATCH_ALIAS);
  machine.map(DATA, BigInt(programs.PATCH_ALIAS.origin) | 0x67n);
  machine.run();
  assert.equal(state.gpr(RAX), 9n);
});

test("code written by string instructions, pushes and locked instructions is executed as it then stands", () => {
  assert.equal(runs("kernel64", programs.PATCH_BY_STRING, { [RAX]: 9 }).exit, "hlt");
  assert.equal(state.gpr(RBX), 9n);
  const patched = label(programs.PATCH_BY_PUSH, "patched");
  // mov bl, 5; hlt; then NOPs.
  assert.equal(runs("kernel64", programs.PATCH_BY_PUSH, { [RAX]: 0x9090_9090_90f4_05b3n, [RSP]: patched + 8 }).exit, "hlt");
  assert.equal(state.gpr(RBX), 5n);
  assert.equal(runs("kernel64", programs.PATCH_BY_EXCHANGE, { [RAX]: 8 }).exit, "hlt");
  assert.deepEqual([state.gpr(RBX), state.gpr(RCX), state.gpr(RAX)], [8n, 7n, 1n]);
});

test("calls and pushes work on a stack among the code that executes them", () => {
  start("kernel64", programs.STACK_IN_CODE, { [RSP]: 0x1_0038 });
  assert.equal(machine.run().exit, "hlt");
  assert.deepEqual([RBX, RCX, RDX, RSI, RSP].map((n) => state.gpr(n)), [3n, 4n, 0x1234n, 4n, 0x1_0038n]);
});

test("code on a page that the hypervisor took away is fetched again once it is back, also the second half of an instruction", () => {
  const split = listing(0x1_0ffe, "b8 11 22 33 44  mov eax, 0x44332211\n  f4  hlt");
  start("kernel64", split);
  machine.setHostPage(0x11, false);
  const stop = machine.run((exit) => exit === "nested-page-fault" && (machine.setHostPage(state.exitGfn, true), true));
  assert.deepEqual([stop.exit, state.gpr(RAX)], ["hlt", 0x4433_2211n]);
});

test("an instruction over a page end is decoded again when its second page changes", () => {
  const split = listing(0x1_0fff, "b0 01  mov al, 1\n  f4  hlt");
  start("kernel64", split);
  machine.run();
  assert.equal(state.gpr(RAX), 1n);
  machine.write(0x1_1000, [2]);
  machine.core.invalidateCode(0x11);
  state.rip = BigInt(split.origin);
  machine.run();
  assert.equal(state.gpr(RAX), 2n);
});

test("code that the hypervisor replaces is seen, in traces that are linked to each other too", () => {
  start("kernel64", programs.LOOPED, { [RCX]: 1000 });
  machine.run();
  machine.write(programs.LOOPED.origin + 1, [0x55]);
  machine.core.invalidateCode(programs.LOOPED.origin >> 12);
  state.rip = BigInt(programs.LOOPED.origin);
  state.setGpr(RCX, 5n);
  machine.run();
  assert.equal(state.gpr(RAX), 0x55n);
});

test("a flush of frames drops what leads to data and keeps what leads to code", () => {
  const program = listing(0x1_0000, "8b 04 25 00 20 01 00  mov eax, [0x12000]\n  f4  hlt");
  const run = (): bigint => {
    state.rip = BigInt(program.origin);
    assert.equal(machine.run().exit, "hlt");
    return state.gpr(RAX);
  };
  const lookups = (): bigint => state.readU64(VCPU.counterTraceLookups);
  start("kernel64", program);
  machine.setU32(0x1_2000, 1);
  machine.setU32(0x1_3000, 2);
  assert.equal(run(), 1n);
  machine.setHostFrame(0x12, 0x13);
  // The twin without the flush: the TLB still has the old frame.
  assert.equal(run(), 1n);
  const before = lookups();
  machine.core.flushFrames();
  assert.equal(run(), 2n);
  assert.equal(lookups(), before);
  machine.core.flushTlb();
  run();
  assert.ok(lookups() > before);
  machine.setHostPage(0x12, true);
});

// ---------------------------------------------------------------------------------------------------- ports

/** Collects the bytes of OUTS exits. */
function collectOutput(bytes: number[]): (exit: string) => boolean {
  return (exit) => {
    if (exit !== "io") return false;
    const count = (state.exitSize >> 16) & 0xff;
    const size = (state.exitSize >> 8) & 0xff;
    for (let i = 0; i < count * size; i++) bytes.push(Number((state.exitData >> BigInt(8 * i)) & 0xffn));
    state.skipInstruction();
    return true;
  };
}

test("REP OUTSB hands the string over in pieces and ends behind it, over a page end", () => {
  const text = [...Array(21).keys()];
  start("kernel64", programs.OUTPUT, { [RSI]: DATA + 0xff5, [RCX]: text.length, [RDX]: 0xe9 });
  machine.write(DATA + 0xff5, text);
  const sent: number[] = [];
  assert.equal(machine.run(collectOutput(sent)).exit, "hlt");
  assert.deepEqual(sent, text);
  assert.deepEqual([state.gpr(RCX), state.gpr(RSI)], [0n, BigInt(DATA + 0xff5 + text.length)]);
});

test("OUTS in real mode moves words and 16-bit registers", () => {
  start("real", programs.OUTPUT_16, { [RSI]: 0xffff_a100, [RCX]: 0xffff_0002, [RDX]: 0x80 });
  machine.write(0xa100, [1, 2, 3, 4]);
  const sent: number[] = [];
  assert.equal(machine.run(collectOutput(sent)).exit, "hlt");
  assert.deepEqual([sent, state.gpr(RSI), state.gpr(RCX)], [[1, 2, 3, 4], 0xffff_a104n, 0xffff_0000n]);
});

test("INS reads the port once for each element, whatever happens to the store", () => {
  start("kernel64", programs.INPUT, { [RDI]: DATA + 0xffe, [RCX]: 4, [RDX]: 0x60 });
  machine.setHostPage((DATA >> 12) + 1, false);
  let reads = 0;
  const stop = machine.run((exit) => {
    if (exit === "io") state.writeU64(VCPU.exitData, BigInt(++reads));
    else if (exit === "nested-page-fault") machine.setHostPage(state.exitGfn, true);
    else return false;
    return true;
  });
  assert.deepEqual([stop.exit, reads, machine.read(DATA + 0xffe, 4)], ["hlt", 4, [1, 2, 3, 4]]);
  start("kernel64", programs.INPUT, { [RDI]: DATA, [RCX]: 1, [RDX]: 0x60 });
  machine.map(DATA, 0n);
  assertFault(machine.run(), PF, 2, programs.INPUT.origin);
});

test("an interrupt comes behind the store of what an INS has read", () => {
  start("kernel64", programs.INPUT, { [RDI]: DATA, [RCX]: 4, [RDX]: 0x60 });
  setFlags(0x200n);
  const stop = machine.run((exit) => {
    if (exit !== "io") return false;
    state.writeU64(VCPU.exitData, 0x5an);
    state.setPendingInterrupt(0x40);
    return true;
  });
  assert.deepEqual([stop.exit, stop.vector, machine.read(DATA, 2), state.gpr(RDI), state.gpr(RCX)], ["vector", 0x40, [0x5a, 0], BigInt(DATA + 1), 3n]);
});

test("ports are closed to user mode unless IOPL or the permission map opens them", () => {
  start("user64", programs.OUTPUT, { [RSI]: DATA, [RCX]: 1, [RDX]: 0xe9 });
  assertFault(machine.run(), GP, 0, programs.OUTPUT.origin);
  start("user64", programs.OUTPUT, { [RSI]: DATA, [RCX]: 1, [RDX]: 0xe9 });
  machine.write(AT.tss + 0x68 + (0xe9 >> 3), [0xff & ~(1 << (0xe9 & 7))]);
  assertFault(machine.run(collectOutput([])), GP, 0, programs.OUTPUT.origin + 2);
  start("user64", programs.OUTPUT, { [RSI]: DATA, [RCX]: 0, [RDX]: 0xe9 });
  setFlags(0x3000n);
  assertFault(machine.run(), GP, 0, programs.OUTPUT.origin + 2);
});

// ---------------------------------------------------------------------------------------------------- not offered

test("what is not offered ends the run as unsupported at the instruction: task gates, task switches, nested tasks, virtual-8086 mode", () => {
  const interrupt = listing(0x1_0000, "cd 80  int 0x80");
  start("protected32", interrupt);
  machine.setGate(0x80, 0, 0x85);
  assert.deepEqual([machine.run().exit, state.rip], ["unsupported-instruction", 0x1_0000n]);
  const jump = listing(0x1_0000, "ea 00 00 00 00 50 00  jmp 0x50:0");
  start("protected32", jump);
  machine.setDescriptor(SELECTOR.free, 0x89, AT.tss, 0x67);
  assert.deepEqual([machine.run().exit, state.rip], ["unsupported-instruction", 0x1_0000n]);
  const back = listing(0x1_0000, "cf  iret");
  start("protected32", back);
  setFlags(0x4000n);
  assert.deepEqual([machine.run().exit, state.rip], ["unsupported-instruction", 0x1_0000n]);
  start("protected32", back, { [RSP]: DATA });
  [0x1_0000, SELECTOR.code32, 0x2_0002].forEach((word, i) => { machine.setU32(DATA + 4 * i, word); });
  assert.deepEqual([machine.run().exit, state.rip], ["unsupported-instruction", 0x1_0000n]);
});

test("a jump to where there is no memory ends the run instead of going round for ever", () => {
  start("kernel64", programs.JUMPER, { [RDI]: DATA });
  machine.map(DATA, 0x40_0067n);
  const stop = machine.run((exit) => exit === "nested-page-fault" && (state.answerMmioRead(BigInt(state.exitAddress), 0n), true));
  assert.deepEqual([stop.exit, stop.rip], ["unsupported-instruction", DATA]);
});
