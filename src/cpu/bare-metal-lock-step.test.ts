/** The lock-step check of translated code, in programs: it agrees with sound translations, changes nothing, and finds unsound ones. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicAdd, atomicLoad, atomicStore, sharedWordsOf, type SharedWords } from "#sync";
import { EXIT_BUDGET, EXIT_HLT, LOCK_STEP_HOLDER_ADDRESS, SPLIT_LOCK_ADDRESS, VCPU } from "../abi/layout.js";
import { DATA, VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { BareMachine, type BareTranslation, type Stop } from "./bare-metal/machine.js";
import { compileCore } from "./core.raw.js";
import { type LockStepDifference, type LockStepFigures, LockStepReport, RAX, RBX, RCX, RDX, RSI, VcpuState } from "./index.js";
import { writeRegion } from "./translator/region.js";
import type { WriteRegion } from "./translator/translate.js";

const CODE = 0x1_0000;
const OTHER_CODE = 0x1_1000;
const ROUNDS = 2000;
const HALF = 900;
const BUDGET = 200;
/** How long two threads work together. */
const TOGETHER_MS = 600;
const STATE_BYTES = 0x600;

type Registers = Readonly<Record<number, bigint | number>>;

const SUMS = listing(CODE, `
  48 8d 14 41     again: lea rdx, [rcx+rax*2]
  48 39 d1        cmp rcx, rdx
  72 03           jb smaller
  48 31 d0        xor rax, rdx
  48 01 d0        smaller: add rax, rdx
  48 11 c3        adc rbx, rax
  e8 07 00 00 00  call leaf
  48 ff c9        dec rcx
  75 e4           jnz again
  f4              hlt
  90              nop
  c1 cb 05        leaf: ror ebx, 5
  48 0f cb        bswap rbx
  c3              ret
`);

const STORES = listing(CODE, `
  48 89 0b        again: mov [rbx], rcx
  48 01 4b f8     add [rbx-8], rcx
  f0 48 01 0e     lock add [rsi], rcx
  48 83 c3 08     add rbx, 8
  48 83 e9 01     sub rcx, 1
  51              push rcx
  5a              pop rdx
  75 e9           jnz again
  f4              hlt
`);

const LOCKS_SPLIT = listing(CODE, `
  f0 48 01 0e     again: lock add [rsi], rcx
  48 ff c9        dec rcx
  75 f7           jnz again
  f4              hlt
`);

const PATCHES_ITSELF = listing(CODE, `
  48 39 d1                 again: cmp rcx, rdx
  75 08                    jne patch
  c6 04 25 0f 00 01 00 c3  mov byte ptr [patch + 2], 0xc3
  48 ff c0                 patch: inc rax
  48 83 e9 01              sub rcx, 1
  75 ea                    jnz again
  f4                       hlt
`);

const COMPARES = listing(CODE, `
  48 83 e9 01     again: sub rcx, 1
  74 05           jz done
  48 39 c8        cmp rax, rcx
  eb f5           jmp again
  f4              done: hlt
`);

const ASKS_TIME = listing(CODE, `
  48 01 cb        again: add rbx, rcx
  0f 31           rdtsc
  48 01 c3        add rbx, rax
  48 ff c9        dec rcx
  75 f3           jnz again
  f4              hlt
`);

const COUNTS = listing(CODE, `
  48 01 13        again: add [rbx], rdx
  48 83 06 01     add qword ptr [rsi], 1
  48 ff c9        dec rcx
  75 f4           jnz again
  f4              hlt
`);

/** Counts in RAX, so that what it has done is known when it is stopped. */
const COUNTS_ELSEWHERE = listing(OTHER_CODE, `
  48 01 13        again: add [rbx], rdx
  48 ff c0        inc rax
  eb f8           jmp again
`);

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

/** Runs `program` from these registers to its end, or to the difference that ends it; `prepare` comes before the first instruction. */
function run(program: Listing, registers: Registers, translated: false | BareTranslation, prepare = (_machine: BareMachine): void => {}): { machine: BareMachine; stop: Stop } {
  const machine = new BareMachine(module, 1, translated);
  machine.budget = BUDGET;
  machine.start("kernel64", program);
  setRegisters(machine, registers);
  prepare(machine);
  // More turns than a program of this length needs.
  for (let round = 0; ; round++) {
    try {
      return { machine, stop: machine.run() };
    } catch (error) {
      if (round > ROUNDS) throw error;
    }
  }
}

function setRegisters({ state }: BareMachine, registers: Registers): void {
  for (const [n, value] of Object.entries(registers)) state.setGpr(Number(n), BigInt(value));
}

/** Runs with and without checks, and asserts that nothing is different but the checks' figures. Returns those. */
function assertSame(program: Listing, registers: Registers, translated: BareTranslation, prepare?: (machine: BareMachine) => void): LockStepFigures {
  const [plain, checked] = [run(program, registers, false, prepare), run(program, registers, translated, prepare)];
  const { figures, difference } = new LockStepReport(checked.machine.state);
  assert.equal(difference, undefined, JSON.stringify(difference));
  assert.ok(figures.checked > 10 && figures.instructions > ROUNDS / 3, JSON.stringify(figures));
  assert.deepEqual(checked.stop, plain.stop);
  for (const n of [RAX, RBX, RCX, RDX, RSI]) assert.equal(checked.machine.state.gpr(n), plain.machine.state.gpr(n));
  assert.deepEqual(checked.machine.read(DATA, 0x6000), plain.machine.read(DATA, 0x6000));
  assert.equal(checked.machine.state.instructionsRetired, plain.machine.state.instructionsRetired);
  return figures;
}

for (const checkEvery of [1, 3]) {
  test(`with ${checkEvery === 1 ? "every region entry" : "one region entry in three"} checked a program computes what it does without, in as many instructions`, () => {
    assertSame(SUMS, { [RCX]: ROUNDS, [RAX]: 0x1234_5678_9abc_def0n, [RBX]: 7 }, { checkEvery });
    assertSame(STORES, { [RBX]: DATA + 8, [RCX]: HALF, [RSI]: DATA + 0x5000 }, { checkEvery });
  });
}

test("a stretch ends in front of a page fault, which then comes as it does without checks", () => {
  const figures = assertSame(STORES, { [RBX]: DATA + 8, [RCX]: ROUNDS, [RSI]: DATA + 0x5000 }, { checkEvery: 1 }, (machine) => machine.map(DATA + 0x2000, 0n));
  assert.ok((figures.ends["an exception"] ?? 0) > 0, JSON.stringify(figures));
  const { stop } = run(STORES, { [RBX]: DATA + 8, [RCX]: ROUNDS, [RSI]: DATA + 0x5000 }, { checkEvery: 1 }, (machine) => machine.map(DATA + 0x2000, 0n));
  assert.equal(stop.vector, VECTOR.PF);
});

test("a stretch ends in front of a store to its own code, and the changed code runs", () => {
  const figures = assertSame(PATCHES_ITSELF, { [RCX]: ROUNDS, [RDX]: HALF }, { checkEvery: 1 });
  assert.ok((figures.ends["a store to code"] ?? 0) > 0, JSON.stringify(figures));
});

test("a stretch ends in front of the time, and locked additions over a page end are done within one", () => {
  const figures = assertSame(ASKS_TIME, { [RCX]: ROUNDS }, { checkEvery: 1 });
  assert.ok((figures.ends["the time"] ?? 0) > 0, JSON.stringify(figures));
  assertSame(LOCKS_SPLIT, { [RCX]: ROUNDS, [RSI]: DATA + 0xffc }, { checkEvery: 1 });
});

// ---------------------------------------------------------------------------------------------------- unsound translations

/** A writer of regions that takes the instruction `name` for `wrong`. */
const mistaking = (name: string, wrong: string): WriteRegion => (traces, place) => writeRegion(traces.map((trace) => ({
  ...trace, ops: trace.ops.map((op) => op.meaning?.run === name ? { ...op, meaning: { ...op.meaning, run: wrong } } : op),
})), place);

/** The code of `program` that a difference names, block by block. */
function codeOf(program: Listing, { blocks }: LockStepDifference): number[][] {
  return blocks.map(({ rip, length }) => program.bytes.slice(Number(rip) - program.origin, Number(rip) - program.origin + length));
}

test("an ADC translated without the carry is found where it stands, with what was expected", () => {
  const { machine, stop } = run(SUMS, { [RCX]: ROUNDS, [RAX]: 0x1234_5678_9abc_def0n, [RBX]: 7 }, { checkEvery: 1, write: mistaking("adc", "add") });
  const { difference, figures } = new LockStepReport(machine.state);
  assert.equal(stop.exit, "lock-step-difference");
  assert.equal(figures.differences, 1);
  assert.ok(difference?.narrowed === true);
  // Blocks of one round of the loop, and one has the ADC.
  const code = codeOf(SUMS, difference);
  assert.ok(code.length <= 4 && code.some((block) => block.join(" ").includes([0x48, 0x11, 0xc3].join(" "))), JSON.stringify(code));
  const rbx = difference.values.find(({ name }) => name === "rbx");
  assert.ok(rbx !== undefined && rbx.expected !== rbx.actual);
  // The guest is left as the interpreter has it.
  assert.equal(BigInt(rbx.expected), machine.state.gpr(RBX));
});

test("an addition to memory translated as a subtraction is found, with the word of memory", () => {
  const { machine, stop } = run(STORES, { [RBX]: DATA + 8, [RCX]: HALF, [RSI]: DATA + 0x5000 }, { checkEvery: 1, write: mistaking("add", "xor") });
  const { difference } = new LockStepReport(machine.state);
  assert.equal(stop.exit, "lock-step-difference");
  const word = difference?.values.find(({ name }) => name.startsWith("memory at 0x2"));
  assert.ok(word !== undefined, JSON.stringify(difference));
  const address = Number(word.name.slice("memory at ".length));
  assert.equal(BigInt(word.expected), machine.u64(address));
});

test("a translation that differs in flags alone is found", () => {
  const { machine } = run(COMPARES, { [RCX]: ROUNDS, [RAX]: 3 }, { checkEvery: 1, write: mistaking("cmp", "test") });
  assert.deepEqual(new LockStepReport(machine.state).difference?.values.map(({ name }) => name), ["rflags"]);
});

test("one entry in many is checked, and an unsound translation is found all the same", () => {
  const { machine, stop } = run(SUMS, { [RCX]: 100_000, [RAX]: 0x1234_5678_9abc_def0n, [RBX]: 7 }, { checkEvery: 20, write: mistaking("adc", "add") });
  assert.equal(stop.exit, "lock-step-difference");
  assert.notEqual(new LockStepReport(machine.state).difference, undefined);
});

test("behind a difference the other vCPUs go on: nobody has the lock under which they stood", () => {
  const { machine } = run(SUMS, { [RCX]: ROUNDS, [RAX]: 0x1234_5678_9abc_def0n, [RBX]: 7 }, { checkEvery: 1, write: mistaking("adc", "add") });
  const words = sharedWordsOf(machine.memory.buffer);
  assert.equal(new LockStepReport(machine.state).figures.differences, 1);
  assert.deepEqual([atomicLoad(words, SPLIT_LOCK_ADDRESS / 4), atomicLoad(words, LOCK_STEP_HOLDER_ADDRESS / 4)], [0, 0]);
});

// ---------------------------------------------------------------------------------------------------- others at the same page

/** Runs COUNTS on vCPU 0, each entry checked, again and again while `thread` works. Returns how often the program has run. */
async function countWhile(context: TestContext, machine: BareMachine, thread: Worker, stop: SharedWords): Promise<number> {
  const ended = once(thread, "exit");
  context.after(() => thread.terminate());
  await once(thread, "message");
  const { core, state } = machine;
  const begunMs = performance.now();
  let passes = 0;
  for (; performance.now() - begunMs < TOGETHER_MS; passes++) {
    state.rip = BigInt(COUNTS.origin);
    setRegisters(machine, { [RBX]: DATA, [RCX]: ROUNDS, [RDX]: 1, [RSI]: DATA + 0x100 });
    let reason: number = EXIT_BUDGET;
    while (reason === EXIT_BUDGET) {
      atomicAdd(state.words, state.wordIndex(VCPU.guestEpoch), 1);
      reason = core.run(BUDGET * 10);
      atomicAdd(state.words, state.wordIndex(VCPU.guestEpoch), 1);
      core.translateHot();
    }
    assert.equal(reason, EXIT_HLT, JSON.stringify(new LockStepReport(state).difference));
  }
  atomicStore(stop, 0, 1);
  await ended;
  assert.ok(new LockStepReport(state).figures.checked > 100, JSON.stringify(new LockStepReport(state).figures));
  assert.deepEqual([machine.u64(DATA), machine.u64(DATA + 0x100)], [BigInt(passes * ROUNDS), BigInt(passes * ROUNDS)]);
  return passes;
}

test("another vCPU that stores to the same page loses nothing while stretches are run twice and undone", { timeout: 60_000 }, async (context) => {
  const machine = new BareMachine(module, 2, { checkEvery: 1 });
  machine.start("kernel64", COUNTS_ELSEWHERE);
  setRegisters(machine, { [RBX]: DATA + 8, [RDX]: 1 });
  const other = new VcpuState(machine.memory, 1);
  for (let offset = 0; offset < STATE_BYTES; offset += 8) other.writeU64(offset, machine.state.readU64(offset));
  machine.start("kernel64", COUNTS);
  machine.load(COUNTS_ELSEWHERE);
  machine.setU64(DATA, 0n);
  const stop = sharedWordsOf(new SharedArrayBuffer(4));
  const thread = new Worker(new URL("./bare-metal/other-vcpu.worker.js", import.meta.url), { workerData: { module, memory: machine.memory, vcpuIndex: 1, stop } });
  const passes = await countWhile(context, machine, thread, stop);
  context.diagnostic(`${passes} passes, the other vCPU counts ${other.gpr(RAX)}`);
  const found = machine.u64(DATA + 8);
  assert.ok(found > 1000n && (found === other.gpr(RAX) || found === other.gpr(RAX) + 1n), `${found} of ${other.gpr(RAX)} stores of the other vCPU are left`);
});

test("a thread of the hypervisor that stores to the same page loses nothing", { timeout: 60_000 }, async (context) => {
  const machine = new BareMachine(module, 1, { checkEvery: 1 });
  machine.start("kernel64", COUNTS);
  machine.setU64(DATA, 0n);
  const stop = sharedWordsOf(new SharedArrayBuffer(8));
  const address = machine.hostAddress(DATA + 16);
  const thread = new Worker(new URL("./bare-metal/host-section.worker.js", import.meta.url), { workerData: { memory: machine.memory, address, stop } });
  const passes = await countWhile(context, machine, thread, stop);
  const count = atomicLoad(stop, 1);
  context.diagnostic(`${passes} passes, the thread counts ${count}`);
  assert.ok(count > 1000);
  assert.equal(machine.u32(DATA + 16), count);
});
