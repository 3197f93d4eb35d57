import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { assertFault, complete, DATA, label, machine, setDebug, setFlags, start, state, VECTOR } from "./bare-metal/harness.js";
import { listing } from "./bare-metal/listing.js";
import { AT, SELECTOR } from "./bare-metal/machine.js";
import * as programs from "./bare-metal/programs.js";
import { RAX, RBX, RCX, RDI, RDX, RSI } from "./index.js";

const { DB, PF } = VECTOR;
const TRAP_FLAG = 0x100n;
const RESUME_FLAG = 0x1_0000;

/** What RECORD notes of each #DB: RIP, DR6 and the flags that were saved. */
function recorded(count: number): { rip: number; dr6: number; rflags: number }[] {
  return Array.from({ length: count }, (_, i) => ({
    rip: machine.u32(0x3_0000 + 24 * i), dr6: machine.u32(0x3_0008 + 24 * i), rflags: machine.u32(0x3_0010 + 24 * i),
  }));
}

function recordTraps(): void {
  machine.load(programs.RECORD);
  machine.setGate(DB, programs.RECORD.origin);
  machine.write(0x3_0000, new Uint8Array(0x1000));
  state.setGpr(RBX, 0x3_0000n);
}

test("a single-step trap follows every instruction, also those that the hypervisor completes and HLT", () => {
  start("kernel64", programs.STEPS, { [RSI]: DATA, [RDX]: 0x80 });
  recordTraps();
  setFlags(TRAP_FLAG);
  const stop = machine.run(complete);
  assert.equal(stop.exit, "hlt");
  const at = (offset: number): number => programs.STEPS.origin + offset;
  // REP LODSB traps behind each of its two elements; MOV SS holds its trap back for the NOP's.
  const expected = [2, 7, 9, 11, 13, 14, 17, 21, 26, 26, 28, 31, 34, 35, 36, 37, 44, 45].map(at);
  assert.deepEqual(recorded(expected.length).map(({ rip }) => rip), expected);
  assert.ok(recorded(expected.length).every(({ dr6 }) => (dr6 & 0x400f) === 0x4000));
  assert.equal(recorded(expected.length + 1).at(-1)?.rip, 0);
});

test("REP under single step traps behind each element, with RF set while elements remain", () => {
  start("kernel64", programs.REPEATED, { [RSI]: DATA, [RDI]: DATA + 0x100, [RCX]: 3 });
  recordTraps();
  setFlags(TRAP_FLAG);
  machine.write(DATA, [5, 6, 7]);
  assert.equal(machine.run().exit, "hlt");
  const first = programs.REPEATED.origin;
  const seen = recorded(4).map(({ rip, rflags }) => [rip, rflags & RESUME_FLAG]);
  assert.deepEqual(seen, [[first, RESUME_FLAG], [first, RESUME_FLAG], [first + 2, 0], [first + 3, 0]]);
  assert.deepEqual(machine.read(DATA + 0x100, 3), [5, 6, 7]);
});

test("breakpoints: execution faults once and goes on with RF, data traps over a page end, MOV SS hides them, INT1 sets no bit", () => {
  const { BREAKPOINTS } = programs;
  start("kernel64", BREAKPOINTS, { [RDI]: DATA + 0xffc });
  recordTraps();
  setDebug(0, BigInt(label(BREAKPOINTS, "bp")));
  setDebug(1, BigInt(DATA + 0x1003));
  setDebug(2, BigInt(label(BREAKPOINTS, "shadowed")));
  setDebug(7, 0x400n | 0x15n | (1n << 20n));
  assert.equal(machine.run().exit, "hlt");
  const first = label(BREAKPOINTS, "bp");
  const behindStore = label(BREAKPOINTS, "shadowed") + 5;
  assert.deepEqual(recorded(4).map(({ rip, dr6 }) => [rip, dr6 & 0xf]), [[first, 1], [behindStore, 2], [behindStore + 2, 0], [0, 0]]);
  assert.equal(state.gpr(RDX), 3n);
});

test("an interrupt that waits is taken behind the instruction that follows STI", () => {
  start("kernel64", programs.SHADOWED);
  state.setPendingInterrupt(0x40);
  const stop = machine.run();
  assert.deepEqual([stop.vector, stop.rip, state.gpr(RDX)], [0x40, programs.SHADOWED.origin + 3, 1n]);
  assert.equal(state.hasPendingInterrupt, false);
});

test("a data breakpoint that MOV SS hits is reported behind the next instruction, INT3's handler first", () => {
  const load = listing(0x1_0000, "8e 17  mov ss, word ptr [rdi]\n  cc  int3\n  f4  hlt");
  start("kernel64", load, { [RDI]: DATA });
  machine.setU16(DATA, SELECTOR.data);
  setDebug(0, BigInt(DATA));
  setDebug(7, 0x400n | 1n | (3n << 16n) | (1n << 18n));
  const stop = machine.run();
  // The trap finds the processor at the first instruction of INT3's handler.
  assertFault(stop, DB, undefined, AT.halts + 3 * 16);
  assert.equal(state.readU64(VCPU.dr + 48) & 0xfn, 1n);
});

test("a fault in a repeated comparison leaves the registers at the element and the flags as they were before", () => {
  start("user64", programs.REP_INTERRUPTED, { [RDI]: DATA + 0xffe, [RCX]: 8, [RAX]: 0xff });
  machine.map(DATA + 0x1000, 0n);
  machine.write(DATA + 0xffe, [1, 2]);
  state.setArithmeticFlags(0x8d5n);
  const stop = machine.run();
  assertFault(stop, PF, 4, programs.REP_INTERRUPTED.origin);
  assert.deepEqual([state.gpr(RCX), state.gpr(RDI), stop.rflags & 0x8d5], [6n, BigInt(DATA + 0x1000), 0x8d5]);
});

test("general detect: a move to a debug register faults in front of itself, and its handler may make one", () => {
  const move = listing(0x1_0000, "0f 23 c0  mov dr0, rax\n  f4  hlt");
  start("kernel64", move, { [RAX]: 0x77 });
  setDebug(7, 0x2400n);
  assertFault(machine.run(), DB, undefined, move.origin);
  assert.deepEqual([state.readU64(VCPU.dr), state.readU64(VCPU.dr + 48) & 0x2000n, state.readU64(VCPU.dr + 56) & 0x2000n], [0n, 0x2000n, 0n]);
});

test("a breakpoint on a port traps behind the instruction when CR4.DE is set", () => {
  const output = listing(0x1_0000, "e6 80  out 0x80, al\n  90  nop\n  f4  hlt");
  for (const [control, vector] of [[8n, DB], [0n, undefined]] as const) {
    start("kernel64", output);
    state.writeU64(VCPU.cr4, 0x6a0n | control);
    setDebug(1, 0x80n);
    setDebug(7, 0x404n | (2n << 20n));
    const stop = machine.run(complete);
    assert.deepEqual([stop.vector, stop.rip], [vector, vector === DB ? 0x1_0002 : 0x1_0004]);
  }
});
