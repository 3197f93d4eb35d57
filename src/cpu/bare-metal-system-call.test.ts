/** System calls in a loop, in both tiers: regions go through SYSCALL, SYSRET and IRETQ by themselves, and stop where the dispatcher has to look. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VCPU } from "../abi/layout.js";
import { DATA, label, VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { BareMachine, type BareTranslation } from "./bare-metal/machine.js";
import { BUDGET, finish, type Finished, module, ROUNDS } from "./bare-metal/tiers.js";
import { RAX, RBX, RDI, RDX, RSI } from "./index.js";

const USER = 0x1_0000;
const KERNEL = 0x1_2000;
const HALF = 1000;
const USER_PAGE = 0x3_0000;
const OTHER_USER_PAGE = 0x3_1000;
/** Kernel selectors from 8 on, user's from 1B on; as the machine's GDT has them. */
const STAR = 0x001b_0008_0000_0000n;
const IF = 0x200n;
const SUPERVISOR_PAGE = 0x63n;
const INTERRUPT = 0x40;

const CALLS = listing(USER, `
  0f 05     again: syscall
  48 ff cb  behind: dec rbx
  75 f9     jnz again
  f4        hlt
`);

/** Loads from [RSI], which is the kernel's, in the round RDX. */
const TRESPASSES = listing(USER, `
  0f 05     again: syscall
  48 39 d3  cmp rbx, rdx
  75 03     jne within
  48 8b 0e  trespass: mov rcx, [rsi]
  48 ff cb  within: dec rbx
  75 f1     jnz again
  f4        hlt
`);

/** Loads from [RSI], and goes to RDI. */
const JUMPS = listing(USER, `
  0f 05     again: syscall
  48 8b 0e  mov rcx, [rsi]
  ff e7     jmp rdi
`);

const COUNTS = listing(KERNEL, `
  0f 01 f8                    swapgs
  48 ff c0                    inc rax
  65 48 ff 04 25 00 00 00 00  inc qword ptr gs:[0]
  0f 01 f8                    swapgs
  48 0f 07                    sysretq
`);

/** Returns with the trap flag in the round RDX. */
const RETURNS_STEPPING = listing(KERNEL, `
  48 ff c0     inc rax
  31 f6        xor esi, esi
  48 39 d3     cmp rbx, rdx
  40 0f 94 c6  sete sil
  c1 e6 08     shl esi, 8
  49 09 f3     or r11, rsi
  48 0f 07     sysretq
`);

/** The way back by IRETQ, with interrupts open in between and LEAVE. */
const RETURNS_BY_IRET = listing(KERNEL, `
  48 89 e5     mov rbp, rsp
  48 89 f4     mov rsp, rsi
  6a 23        push 0x23
  55           push rbp
  41 53        push r11
  6a 2b        push 0x2b
  51           push rcx
  55           push rbp
  48 89 e5     mov rbp, rsp
  fb           sti
  48 ff c0     inc rax
  fa           cli
  c9           leave
  48 cf        iretq
`);

function start(user: Listing, kernel: Listing, translated: false | BareTranslation): BareMachine {
  const machine = new BareMachine(module, 1, translated);
  machine.budget = BUDGET;
  machine.start("user64", user);
  machine.load(kernel);
  machine.map(DATA, BigInt(DATA) | SUPERVISOR_PAGE);
  const { state } = machine;
  state.writeU64(VCPU.star, STAR);
  state.writeU64(VCPU.lstar, BigInt(KERNEL));
  state.writeU64(VCPU.sfmask, IF);
  state.writeU64(VCPU.kernelGsBase, BigInt(DATA));
  state.writeU64(VCPU.rflags, state.readU64(VCPU.rflags) | IF);
  for (const [register, value] of [[RBX, ROUNDS], [RDX, HALF], [RSI, DATA + 0x800]] as const) state.setGpr(register, BigInt(value));
  return machine;
}

/** Runs in both tiers, and in lock step; all have to leave the same. Returns the translated one, in which regions have gone on by themselves. */
function runAll(user: Listing, kernel: Listing): Finished {
  const [interpreted, checked, translated] = ([false, { checkEvery: 3 }, {}] as const).map((how) => {
    const machine = start(user, kernel, how);
    return { machine, stop: finish(machine) };
  }) as [Finished, Finished, Finished];
  for (const { machine, stop } of [checked, translated]) {
    assert.deepEqual(stop, interpreted.stop);
    for (const n of [RAX, RBX]) assert.equal(machine.state.gpr(n), interpreted.machine.state.gpr(n));
    assert.equal(machine.u64(DATA), interpreted.machine.u64(DATA));
    assert.equal(machine.state.instructionsRetired, interpreted.machine.state.instructionsRetired);
  }
  const { links, entries } = translated.machine.state.translation;
  assert.ok(links > ROUNDS && entries < ROUNDS / 5, `expected regions to go through the kernel and back, got ${links} times, ${entries} entries`);
  return translated;
}

test("a system call goes from region to region, each with its own TLB", () => {
  const { machine, stop } = runAll(CALLS, COUNTS);
  assert.deepEqual([stop.vector, machine.state.gpr(RAX), machine.u64(DATA)], [VECTOR.GP, BigInt(ROUNDS), BigInt(ROUNDS)]);
});

test("behind a system call user mode does not reach what the kernel has reached", () => {
  const { stop } = runAll(TRESPASSES, COUNTS);
  assert.deepEqual([stop.vector, stop.errorCode, stop.rip], [VECTOR.PF, 5, label(TRESPASSES, "trespass")]);
});

test("SYSRET with the trap flag lets one instruction happen", () => {
  const { machine, stop } = runAll(CALLS, RETURNS_STEPPING);
  assert.deepEqual([stop.vector, stop.rip, machine.state.gpr(RBX)], [VECTOR.DB, label(CALLS, "behind") + 3, BigInt(HALF - 1)]);
});

test("a way back by IRETQ goes from region to region", () => {
  const { machine, stop } = runAll(CALLS, RETURNS_BY_IRET);
  assert.deepEqual([stop.vector, machine.state.gpr(RAX)], [VECTOR.GP, BigInt(ROUNDS)]);
});

/** A machine in the middle of the loop, in regions; after another `budget` instructions, which may end in the kernel or in user mode. */
function warm(user: Listing, budget: number, registers: Readonly<Record<number, number>> = {}): BareMachine {
  const machine = start(user, COUNTS, {});
  machine.map(KERNEL, BigInt(KERNEL) | SUPERVISOR_PAGE);
  for (const [n, value] of Object.entries(registers)) machine.state.setGpr(Number(n), BigInt(value));
  for (let turn = 0; turn < 20; turn++) {
    machine.core.run(BUDGET);
    machine.core.translateHot();
  }
  assert.ok(machine.state.translation.links > 0);
  machine.core.run(budget);
  return machine;
}

const inKernel = (machine: BareMachine): boolean => machine.state.readU32(VCPU.cpl) === 0;

test("an interrupt that comes in the kernel is delivered as soon as SYSRET has opened them", () => {
  const machines = Array.from({ length: 20 }, (_, n) => warm(CALLS, 400 + n)).filter(inKernel);
  assert.ok(machines.length > 0);
  for (const machine of machines) {
    const round = machine.state.gpr(RBX);
    machine.state.writeU32(VCPU.pendingInterrupt, INTERRUPT);
    const stop = finish(machine);
    assert.deepEqual([stop.vector, stop.rip, machine.state.gpr(RBX)], [INTERRUPT, label(CALLS, "behind"), round]);
  }
});

test("user mode does not get into the kernel by what the interpreter knew before a region came back from it", () => {
  const machines = Array.from({ length: 20 }, (_, n) => warm(JUMPS, 400 + n, { [RSI]: USER_PAGE, [RDI]: USER })).filter(inKernel);
  assert.ok(machines.length > 0);
  for (const machine of machines) {
    // The load misses the TLB, so that the interpreter does it, and the jump behind it.
    machine.state.setGpr(RSI, BigInt(OTHER_USER_PAGE));
    machine.state.setGpr(RDI, BigInt(KERNEL));
    const stop = finish(machine);
    assert.deepEqual([stop.vector, stop.errorCode, stop.rip], [VECTOR.PF, 0x15, KERNEL]);
  }
});
