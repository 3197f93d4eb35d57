/** A debugger outside the guest: breakpoints, steps and watchpoints, interpreted and translated, of which the guest sees nothing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { DEBUG_STOP_BREAKPOINT, DEBUG_STOP_NONE, DEBUG_STOP_STEP, DEBUG_STOP_WATCHPOINT, VCPU, WATCH_READ, WATCH_WRITE } from "../abi/layout.js";
import { DATA, label, VECTOR } from "./bare-metal/harness.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { AT, BareMachine, type Stop } from "./bare-metal/machine.js";
import * as programs from "./bare-metal/programs.js";
import { compileCore } from "./core.raw.js";
import { type DebugTable, RAX, RBX, RCX, RDI, RDX, RSI, type Watchpoint, writeDebugTable } from "./index.js";

const ROUNDS = 600;
/** Short turns, so that what is hot is translated while the program runs. */
const BUDGET = 200;
const TRAP_FLAG = 0x100;
const RESUME_FLAG = 0x1_0000;

const LOOP = listing(0x10000, `
  48 01 c8     again: add rax, rcx
  48 85 c9     test rcx, rcx
  75 02        jnz skip
  31 c0        xor eax, eax
  48 89 07     skip: mov [rdi], rax
  48 8b 1e     bp: mov rbx, [rsi]
  48 ff c9     dec rcx
  75 ec        jnz again
  f4           hlt
`);

const FLAGS = listing(0x10000, `
  9c              pushfq
  58              pop rax
  cd 30           int 0x30
  8b 04 25 00 00 10 00  mov eax, [0x100000]
  f4              hlt
`);

const ACCESSES = listing(0x10000, `
  48 89 07     mov [rdi], rax
  48 89 47 08  mov [rdi+8], rax
  48 8b 1f     mov rbx, [rdi]
  48 01 07     add [rdi], rax
  f0 48 0f c1 07  lock xadd [rdi], rax
  48 89 46 fc  mov [rsi-4], rax
  0f 11 47 f8  movups [rdi-8], xmm0
  f4           hlt
`);

const PUSHES = listing(0x10000, `
  50     push rax
  cd 30  int 0x30
  f4     hlt
`);

const module = await compileCore(readFileSync(new URL("./core.wasm", import.meta.url)));

/** One machine and its debugger. */
class Debugged {
  readonly machine: BareMachine;

  constructor(translated: boolean, program: Listing, registers: Readonly<Record<number, bigint | number>> = {}) {
    this.machine = new BareMachine(module, 1, translated ? {} : false);
    this.machine.budget = BUDGET;
    this.machine.start("kernel64", program);
    for (const [n, value] of Object.entries(registers)) this.machine.state.setGpr(Number(n), BigInt(value));
  }

  /** Sets what is looked for, as it is done while the vCPU stands. */
  watch(table: Partial<DebugTable>): void {
    writeDebugTable(this.machine.memory, { breakpoints: [], watchpoints: [], ...table });
    this.machine.core.flushCode();
    this.machine.core.flushFrames();
  }

  /** Runs until the debugger or a HLT stops it. */
  run(): Stop {
    const { machine } = this;
    machine.state.debugStop = DEBUG_STOP_NONE;
    return machine.run((exit) => exit === "debug" && machine.state.debugStop === DEBUG_STOP_NONE);
  }

  /** One step; answers RIP behind it, the exit's name where it was not a step. */
  step(): number | string {
    this.machine.state.isStepping = true;
    const { exit, rip } = this.run();
    this.machine.state.isStepping = false;
    if (exit !== "debug") return exit;
    assert.equal(this.machine.state.debugStop, DEBUG_STOP_STEP);
    return rip;
  }

  /** Goes on until a watchpoint is hit: RIP and the watchpoint's address. undefined = the program ended. */
  nextHit(): [rip: number, address: number] | undefined {
    const { exit, rip } = this.run();
    if (exit !== "debug") return undefined;
    assert.equal(this.machine.state.debugStop, DEBUG_STOP_WATCHPOINT);
    return [rip, Number(this.machine.state.readU64(VCPU.debugWatchAddress))];
  }

  get regionEntries(): bigint {
    return this.machine.state.readU64(VCPU.counterRegionEntries);
  }
}

for (const translated of [false, true]) {
  const tier = translated ? "translated" : "interpreted";

  test(`${tier}: a breakpoint stops before its instruction each time, a step goes over it, and the code in memory is the guest's own`, () => {
    const vcpu = new Debugged(translated, LOOP, { [RCX]: ROUNDS, [RDI]: DATA, [RSI]: DATA + 8 });
    const bp = label(LOOP, "bp");
    for (let turn = 0; turn < 10; turn++) vcpu.machine.core.run(BUDGET), vcpu.machine.core.translateHot();
    if (translated) assert.ok(vcpu.regionEntries > 0n, "expected the loop to be translated before the breakpoint is set");
    vcpu.watch({ breakpoints: [BigInt(bp)] });
    let hits = 0;
    let counter = Infinity;
    for (let stop = vcpu.run(); stop.exit === "debug"; stop = vcpu.run()) {
      assert.deepEqual([stop.rip, vcpu.machine.state.debugStop], [bp, DEBUG_STOP_BREAKPOINT]);
      assert.ok(vcpu.machine.state.gpr(RCX) < counter, "expected each stop in a round of its own");
      if (hits > 0) assert.equal(Number(vcpu.machine.state.gpr(RCX)), counter - 1);
      counter = Number(vcpu.machine.state.gpr(RCX));
      // Not stepped over, it is hit again with nothing done.
      if (hits % 50 === 0) assert.deepEqual([vcpu.run().rip, Number(vcpu.machine.state.gpr(RCX))], [bp, counter]);
      assert.equal(vcpu.step(), bp + 3);
      hits++;
    }
    assert.equal(counter, 1);
    assert.ok(hits > ROUNDS / 2, `expected most rounds to be left when it was set, got ${hits}`);
    assert.equal(vcpu.machine.state.gpr(RAX), BigInt(ROUNDS * (ROUNDS + 1) / 2));
    assert.deepEqual(vcpu.machine.read(LOOP.origin, LOOP.bytes.length), [...LOOP.bytes]);
  });

  test(`${tier}: a breakpoint that is taken away is not met again, and the loop is hot again`, () => {
    const vcpu = new Debugged(translated, LOOP, { [RCX]: ROUNDS, [RDI]: DATA, [RSI]: DATA + 8 });
    vcpu.watch({ breakpoints: [BigInt(label(LOOP, "bp")), BigInt(label(LOOP, "skip"))] });
    assert.deepEqual([vcpu.run().rip, vcpu.step(), vcpu.run().rip], [label(LOOP, "skip"), label(LOOP, "bp"), label(LOOP, "bp")]);
    vcpu.watch({});
    const before = vcpu.regionEntries;
    assert.equal(vcpu.run().exit, "hlt");
    assert.equal(vcpu.regionEntries > before, translated);
    assert.equal(vcpu.machine.state.gpr(RAX), BigInt(ROUNDS * (ROUNDS + 1) / 2));
  });

  test(`${tier}: watchpoints stop behind the access, in whatever instruction, and only where the bytes are touched`, () => {
    const begin = ACCESSES.origin;
    // Behind: mov, mov of the next word, load, add, xadd, a store over the end of the page, one that covers it among others.
    const all = { [RAX]: 1, [RDI]: DATA + 0x800, [RSI]: DATA + 0x1000 };
    const cases: readonly (readonly [Watchpoint, number[]])[] = [
      [{ address: BigInt(DATA + 0x800), lengthBytes: 8, kind: WATCH_WRITE }, [3, 13, 18, 26]],
      [{ address: BigInt(DATA + 0x804), lengthBytes: 1, kind: WATCH_READ }, [10, 13, 18]],
      [{ address: BigInt(DATA + 0x800), lengthBytes: 4, kind: WATCH_WRITE | WATCH_READ }, [3, 10, 13, 18, 26]],
      [{ address: BigInt(DATA + 0x80f), lengthBytes: 1, kind: WATCH_WRITE }, [7]],
      [{ address: BigInt(DATA + 0x1003), lengthBytes: 2, kind: WATCH_WRITE }, [22]],
      [{ address: BigInt(DATA + 0x7f9), lengthBytes: 1, kind: WATCH_WRITE | WATCH_READ }, [26]],
      [{ address: BigInt(DATA + 0x810), lengthBytes: 0x700, kind: WATCH_WRITE | WATCH_READ }, []],
    ];
    for (const [watchpoint, offsets] of cases) {
      const vcpu = new Debugged(translated, ACCESSES, all);
      vcpu.watch({ watchpoints: [watchpoint] });
      const hits: (number | undefined)[] = [];
      for (let hit = vcpu.nextHit(); hit !== undefined; hit = vcpu.nextHit()) {
        assert.equal(hit[1], Number(watchpoint.address));
        hits.push(hit[0] - begin);
      }
      assert.deepEqual(hits, offsets, `${watchpoint.address.toString(16)}, ${watchpoint.lengthBytes} bytes, kind ${watchpoint.kind}`);
      assert.equal(vcpu.machine.u64(DATA + 0x808), 1n);
    }
  });

  test(`${tier}: a watchpoint is met in a hot loop, and its neighbours in the page cost no stop`, () => {
    const vcpu = new Debugged(translated, LOOP, { [RCX]: ROUNDS, [RDI]: DATA, [RSI]: DATA + 8 });
    vcpu.watch({ watchpoints: [{ address: BigInt(DATA + 8), lengthBytes: 8, kind: WATCH_WRITE | WATCH_READ }] });
    let hits = 0;
    for (let hit = vcpu.nextHit(); hit !== undefined; hit = vcpu.nextHit()) {
      assert.equal(hit[0], label(LOOP, "bp") + 3);
      hits++;
    }
    assert.equal(hits, ROUNDS);
    assert.equal(vcpu.machine.state.gpr(RAX), BigInt(ROUNDS * (ROUNDS + 1) / 2));
    assert.equal(vcpu.machine.u64(DATA), vcpu.machine.state.gpr(RAX));
    if (translated) assert.ok(vcpu.regionEntries > 0n);
  });
}

test("steps go through every instruction, also those that the hypervisor completes, one element of a REP at a time, up to HLT", () => {
  const vcpu = new Debugged(false, programs.STEPS, { [RSI]: DATA, [RDX]: 0x80 });
  const { machine } = vcpu;
  const seen: number[] = [];
  machine.state.isStepping = true;
  for (;;) {
    machine.state.debugStop = DEBUG_STOP_NONE;
    const stop = machine.run((exit) => {
      if (!["cpuid", "rdmsr", "wrmsr", "io", "rdrand"].includes(exit)) return false;
      machine.state.skipInstruction();
      return true;
    });
    if (stop.exit !== "debug") {
      assert.equal(stop.exit, "hlt");
      break;
    }
    seen.push(stop.rip - programs.STEPS.origin);
  }
  // As under TF, but behind MOV SS too, which holds back a trap of the guest's; HLT is the run loop's.
  assert.deepEqual(seen, [2, 7, 9, 11, 13, 14, 17, 21, 26, 26, 28, 31, 33, 34]);
});

test("a step leaves no flag for the guest to see, enters handlers of INT and of faults, and brings them the guest's own flags", () => {
  const vcpu = new Debugged(false, FLAGS);
  const { machine } = vcpu;
  machine.map(0x3_f000, 0n);
  const at = (offset: number): number => FLAGS.origin + offset;
  const handler = (vector: number): number => AT.halts + vector * 16;
  assert.deepEqual([vcpu.step(), vcpu.step()], [at(1), at(2)]);
  assert.equal(Number(machine.state.gpr(RAX)) & (TRAP_FLAG | RESUME_FLAG), 0);
  assert.equal(vcpu.step(), handler(0x30));
  assert.equal(machine.u32(Number(machine.state.gpr(4)) + 16) & (TRAP_FLAG | RESUME_FLAG), 0);
  machine.state.rip = BigInt(at(4));
  assert.equal(vcpu.step(), handler(VECTOR.PF));
  assert.equal(machine.u64(Number(machine.state.gpr(4)) + 8), BigInt(at(4)), "the fault names its instruction");
});

test("a step over an instruction under the guest's own TF arrives in the guest's handler, with its DR6", () => {
  const vcpu = new Debugged(false, LOOP, { [RCX]: 1, [RDI]: DATA, [RSI]: DATA });
  vcpu.machine.state.writeU64(VCPU.rflags, 2n | BigInt(TRAP_FLAG));
  assert.equal(vcpu.step(), AT.halts + VECTOR.DB * 16);
  assert.equal(vcpu.machine.state.readU64(VCPU.dr + 48) & 0x4000n, 0x4000n);
  assert.equal(vcpu.machine.u64(Number(vcpu.machine.state.gpr(4))), BigInt(LOOP.origin + 3));
});

test("the guest's data breakpoint and the host's watchpoint on the same bytes are both met", () => {
  const vcpu = new Debugged(false, ACCESSES, { [RAX]: 1, [RDI]: DATA, [RSI]: DATA + 0x1000 });
  vcpu.machine.state.writeU64(VCPU.dr, BigInt(DATA));
  vcpu.machine.state.writeU64(VCPU.dr + 56, 0x400n | 1n | (1n << 16n));
  vcpu.watch({ watchpoints: [{ address: BigInt(DATA), lengthBytes: 4, kind: WATCH_WRITE }] });
  const [rip] = vcpu.nextHit()!;
  assert.equal(rip, AT.halts + VECTOR.DB * 16, "the guest's trap comes behind the same instruction");
  assert.equal(vcpu.machine.state.readU64(VCPU.dr + 48) & 1n, 1n);
});

test("what the delivery of an interrupt writes to a watched stack is told at the handler", () => {
  const vcpu = new Debugged(false, PUSHES, { [RAX]: 7 });
  // RAX goes to stackTop - 8; the frame of five words ends below, on a boundary of 16 bytes.
  vcpu.watch({ watchpoints: [{ address: BigInt(AT.stackTop - 24), lengthBytes: 8, kind: WATCH_WRITE }] });
  assert.deepEqual(vcpu.nextHit(), [AT.halts + 0x30 * 16, AT.stackTop - 24]);
  vcpu.watch({ watchpoints: [{ address: BigInt(AT.stackTop - 8), lengthBytes: 8, kind: WATCH_WRITE }] });
  vcpu.machine.state.rip = BigInt(PUSHES.origin);
  vcpu.machine.state.setGpr(4, BigInt(AT.stackTop));
  assert.deepEqual(vcpu.nextHit(), [PUSHES.origin + 1, AT.stackTop - 8]);
});

test("a repeated string instruction stops behind the element that touches the watched byte", () => {
  const vcpu = new Debugged(false, programs.REPEATED, { [RSI]: DATA, [RDI]: DATA + 0x100, [RCX]: 200, [RBX]: 0, [RDX]: 0 });
  vcpu.watch({ watchpoints: [{ address: BigInt(DATA + 0x100 + 150), lengthBytes: 1, kind: WATCH_WRITE }] });
  assert.deepEqual(vcpu.nextHit(), [programs.REPEATED.origin, DATA + 0x100 + 150]);
  assert.equal(vcpu.machine.state.gpr(RCX), 49n);
  assert.equal(vcpu.nextHit(), undefined);
  assert.equal(vcpu.machine.state.gpr(RCX), 0n);
});
