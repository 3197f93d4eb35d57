import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicAdd, atomicStore, sharedWordsOf } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, VCPU } from "../abi/layout.js";
import { DATA } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { BareMachine } from "./bare-metal/machine.js";
import type { OtherVcpuJob } from "./bare-metal/other-vcpu.worker.js";
import { compileCore } from "./core.raw.js";
import { RAX, RBX, RCX, RDI, RDX, RSI, VcpuState } from "./index.js";

const STATE_BYTES = 0x600;
const PAGE_END = DATA + 0x2000;
const CODE = 0x1_0000;
/** Turns of the first vCPU's loop in one pass. */
const ROUNDS = 500;
/** How long both work, what the second one has to count, and how long it may take to. */
const TIME_MIN_MS = 800;
const COUNT_MIN = 20_000;
const TIME_MAX_MS = 20_000;

type Registers = Readonly<Record<number, number | bigint>>;

/** What one of two vCPUs does, from what registers on. */
interface Work {
  readonly program: Listing;
  readonly registers: Registers;
}

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

/** What came of two vCPUs' work. */
interface Together {
  readonly machine: BareMachine;
  /** How often the first program has run to its HLT. */
  readonly passes: number;
  /** RAX of the second vCPU, which counts. */
  readonly count: number;
}

/**
 * A machine of two vCPUs: the first one runs its program again and again, until the second one, on a thread of its own, has counted
 * enough and is stopped.
 */
async function runTogether(context: TestContext, [first, second]: readonly [Work, Work], prepare: (machine: BareMachine) => void): Promise<Together> {
  const machine = new BareMachine(module, 2);
  start(machine, second);
  const other = new VcpuState(machine.memory, 1);
  for (let offset = 0; offset < STATE_BYTES; offset += 8) other.writeU64(offset, machine.state.readU64(offset));
  start(machine, first);
  machine.load(second.program);
  prepare(machine);
  const stop = sharedWordsOf(new SharedArrayBuffer(4));
  const job: OtherVcpuJob = { module, memory: machine.memory, vcpuIndex: 1, stop };
  const thread = new Worker(new URL("./bare-metal/other-vcpu.worker.js", import.meta.url), { workerData: job });
  const ended = once(thread, "exit");
  context.after(() => thread.terminate());
  await once(thread, "message");
  const begunMs = performance.now();
  const isDone = (): boolean => performance.now() - begunMs > (other.gpr(RAX) < COUNT_MIN ? TIME_MAX_MS : TIME_MIN_MS);
  let passes = 0;
  for (; !isDone(); passes++) {
    machine.state.rip = BigInt(first.program.origin);
    setRegisters(machine, first.registers);
    runToHalt(machine);
  }
  atomicStore(stop, 0, 1);
  await ended;
  context.diagnostic(`${passes} passes, the other vCPU counts ${other.gpr(RAX)}`);
  assert.ok(other.gpr(RAX) >= COUNT_MIN, "expected the other vCPU to go on");
  return { machine, passes, count: Number(other.gpr(RAX)) };
}

function start(machine: BareMachine, { program, registers }: Work): void {
  machine.start("kernel64", program);
  setRegisters(machine, registers);
}

function setRegisters(machine: BareMachine, registers: Registers): void {
  for (const [n, value] of Object.entries(registers)) machine.state.setGpr(Number(n), BigInt(value));
}

function runToHalt({ core, state }: BareMachine): void {
  let reason: number = EXIT_BUDGET;
  while (reason === EXIT_BUDGET) {
    atomicAdd(state.words, state.wordIndex(VCPU.guestEpoch), 1);
    reason = core.run(10_000);
    atomicAdd(state.words, state.wordIndex(VCPU.guestEpoch), 1);
  }
  assert.equal(reason, EXIT_HLT, `exit ${reason} at 0x${state.rip.toString(16)}`);
}

/** Stopped at the end of a trace, the other vCPU may have changed memory once more than it has counted, and no more. */
function assertCounted(found: number, count: number): void {
  assert.ok(found === count || found === count + 1, `${found} of ${count} changes by the other vCPU are left`);
}

const addSplit = listing(CODE, `
  f0 48 01 13      again: lock add [rbx], rdx
  48 ff c9         dec rcx
  75 f7            jnz again
  f4               hlt
`);

/** Counts in RAX, so that what it has done is known when it is stopped. */
const addAligned = listing(CODE + 0x1000, `
  f0 48 01 13      again: lock add [rbx], rdx
  48 ff c0         inc rax
  eb f7            jmp again
`);

for (const [name, operand] of [["over a page end", PAGE_END - 4], ["within a page", DATA + 0x104]] as const) {
  test(`a locked addition ${name} and an aligned one of another vCPU to some of its bytes lose nothing`, { timeout: 60_000 }, async (context) => {
    const { machine, passes, count } = await runTogether(context, [
      { program: addSplit, registers: { [RBX]: operand, [RCX]: ROUNDS, [RDX]: 0x1_0000_0001n } },
      // Its upper half is the lower half of the other one's.
      { program: addAligned, registers: { [RBX]: operand - 4, [RDX]: 0x1_0000_0000n } },
    ], (prepared) => {
      prepared.setU64(operand - 4, 0n);
      prepared.setU64(operand + 4, 0n);
    });
    assertCounted(machine.u32(operand) - passes * ROUNDS, count);
    assert.deepEqual([machine.u32(operand - 4), machine.u32(operand + 4)], [0, passes * ROUNDS]);
  });
}

test("two vCPUs with locked additions that overlap over a page end lose nothing and stop each other", { timeout: 60_000 }, async (context) => {
  const { machine, passes, count } = await runTogether(context, [
    { program: addSplit, registers: { [RBX]: PAGE_END - 4, [RCX]: ROUNDS, [RDX]: 1n } },
    { program: addAligned, registers: { [RBX]: PAGE_END - 2, [RDX]: 0x1_0000n } },
  ], (prepared) => {
    prepared.setU64(PAGE_END - 8, 0n);
    prepared.setU64(PAGE_END, 0n);
  });
  const sum = machine.u64(PAGE_END - 4);
  assert.equal(Number(sum & 0xffff_ffffn), passes * ROUNDS);
  assertCounted(Number(sum >> 32n), count);
});

test("a plain store into a page with code is not undone by another vCPU's locked addition beside it", { timeout: 60_000 }, async (context) => {
  const datum = CODE + 0x800;
  const addInCode = listing(CODE, `
    f0 48 01 13      again: lock add [rbx], rdx
    48 ff c9         dec rcx
    75 f7            jnz again
    f4               hlt
  `);
  // It halts, and counts no more, when what it has stored is not there.
  const storeAndLook = listing(CODE + 0x1000, `
    ff c0            again: inc eax
    89 43 04         mov [rbx + 4], eax
    89 c2            mov edx, eax
    3b 43 04         cmp eax, [rbx + 4]
    74 f4            jz again
    f4               hlt
  `);
  const { machine, passes } = await runTogether(context, [
    { program: addInCode, registers: { [RBX]: datum, [RCX]: ROUNDS, [RDX]: 1n } },
    { program: storeAndLook, registers: { [RBX]: datum } },
  ], (prepared) => prepared.setU64(datum, 0n));
  assert.ok(new VcpuState(machine.memory, 1).rip < CODE + 0x100c, "a store was lost");
  assert.equal(machine.u32(datum), passes * ROUNDS);
});

test("a 16-byte exchange and another vCPU's additions to one half lose nothing", { timeout: 60_000 }, async (context) => {
  const addToPair = listing(CODE, `
    4c 89 c0            again: mov rax, r8
    4c 89 ca            mov rdx, r9
    48 89 c3            try: mov rbx, rax
    48 83 c3 01         add rbx, 1
    48 89 d1            mov rcx, rdx
    48 83 c1 01         add rcx, 1
    f0 48 0f c7 0e      lock cmpxchg16b [rsi]
    75 eb               jnz try
    48 ff cf            dec rdi
    75 e0               jnz again
    f4                  hlt
  `);
  const datum = DATA + 0x200;
  const { machine, passes, count } = await runTogether(context, [
    { program: addToPair, registers: { [RSI]: datum, [RDI]: ROUNDS } },
    { program: addAligned, registers: { [RBX]: datum + 8, [RDX]: 0x1_0000_0000n } },
  ], (prepared) => {
    prepared.setU64(datum, 0n);
    prepared.setU64(datum + 8, 0n);
  });
  const high = machine.u64(datum + 8);
  assert.equal(machine.u64(datum), BigInt(passes * ROUNDS));
  assert.equal(Number(high & 0xffff_ffffn), passes * ROUNDS);
  assertCounted(Number(high >> 32n), count);
});
