import assert from "node:assert/strict";
import { test } from "node:test";
import {
  APIC_ACCESS_GFN, APIC_PAGE, FRAMES_BASE, NPT_LEAF_ENTRIES, NPT_PRESENT, NPT_ROOT_BASE, NPT_WRITABLE, VCPU, VCPU_AREA, VCPU_AREA_BASE,
} from "../abi/layout.js";
import { DATA, machine, start, state } from "./bare-metal/harness.js";
import { doublewordBytes, listing, type Listing } from "./bare-metal/listing.js";
import type { Stop } from "./bare-metal/machine.js";

const RAX = 0;
const RCX = 1;
const RDI = 7;
/** The frame behind guest page DATA (bare-metal/machine.ts), and another one. */
const FRAME = FRAMES_BASE + 0x1000 + DATA;
const OTHER_FRAME = FRAME + 0x1000;
const CURRENT_COUNT = 0x390;
const COMMAND = APIC_PAGE.icrLow;

const { words } = state;
const pageIndex = (VCPU_AREA_BASE + VCPU_AREA.virtualApic) >>> 2;
const register = (offset: number): number => words[pageIndex + (offset >>> 2)]! >>> 0;
const setRegister = (offset: number, value: number): void => void (words[pageIndex + (offset >>> 2)] = value);
const program = (...lines: readonly string[]): Listing => listing(0x1_0000, [...lines, "f4  hlt"].join("\n"));
const read = (offset: number): string => `8b 87 ${doublewordBytes(offset)}  mov eax, [rdi + offset]`;
const write = (offset: number): string => `89 8f ${doublewordBytes(offset)}  mov [rdi + offset], ecx`;
const orHundred = (offset: number): string => `81 8f ${doublewordBytes(offset)} 00 01 00 00  or dword ptr [rdi + offset], 0x100`;

/** Starts a program whose RDI is at the page and whose ECX is `value`; the page is all zero. */
function begin(text: Listing, value = 0, frame = FRAME): void {
  start("kernel64", text, { [RDI]: DATA, [RCX]: value });
  words.fill(0, pageIndex, pageIndex + 0x400);
  state.apicAccessFrame = frame;
}

/** Runs a program that has to end without an exit. */
function runsThrough(text: Listing, value?: number): void {
  begin(text, value);
  assert.equal(machine.run().exit, "hlt");
}

/** The exit that a program makes. */
function exits(stop: Stop): unknown {
  return { exit: stop.exit, address: state.exitAddress, write: state.exitWrite, readsFirst: state.exitReadsFirst };
}

test.after(() => { state.apicAccessFrame = 0; });

test("a read of the APIC access page is answered from the virtual-APIC page, and of no other page", () => {
  machine.setU32(DATA + APIC_PAGE.id, 0x1234);
  for (const [frame, expected] of [[FRAME, 0x0700_0000], [0, 0x1234], [OTHER_FRAME, 0x1234]] as const) {
    begin(program(read(APIC_PAGE.id)), 0, frame);
    setRegister(APIC_PAGE.id, 0x0700_0000);
    assert.equal(machine.run().exit, "hlt");
    assert.equal(state.gpr(RAX), BigInt(expected));
  }
});

test("every register that holds its value is read without an exit, one that is computed is not", () => {
  const offsets = [APIC_PAGE.version, APIC_PAGE.taskPriority, APIC_PAGE.isr + 0x70, APIC_PAGE.irr, APIC_PAGE.icrHigh, APIC_PAGE.lvt + 0x50, APIC_PAGE.timerDivide];
  for (const offset of offsets) {
    begin(program(read(offset)));
    setRegister(offset, offset | 0x8000_0000);
    assert.equal(machine.run().exit, "hlt", offset.toString(16));
    assert.equal(state.gpr(RAX), BigInt((offset | 0x8000_0000) >>> 0));
  }
  for (const offset of [CURRENT_COUNT, 0xa0, 0x90, 0x40, 0x3f0, 0x400, 0xffc]) {
    begin(program(read(offset)));
    const stop = machine.run((exit) => {
      if (exit !== "apic-access") return false;
      state.answerMmioRead(BigInt(DATA + offset), 0x77n);
      return true;
    });
    assert.equal(stop.exit, "hlt", offset.toString(16));
    assert.equal(state.gpr(RAX), 0x77n);
  }
});

test("writes without effects change the register and nothing else", () => {
  for (const [offset, value, kept] of [
    [APIC_PAGE.logicalDestination, 0x1234_5678, 0x1200_0000], [APIC_PAGE.destinationFormat, 0x1234_5678, 0x1fff_ffff],
    [APIC_PAGE.icrHigh, 0x1234_5678, 0x1234_5678], [APIC_PAGE.taskPriority, 0x1_0030, 0x30],
  ] as const) {
    machine.setU32(DATA + offset, 0);
    runsThrough(program(write(offset)), value);
    assert.equal(register(offset), kept);
    assert.equal(machine.u32(DATA + offset), 0, "the frame itself is not touched");
  }
});

test("a task priority that lets a requested vector through, and an EOI with one waiting, are for the run loop", () => {
  begin(program(write(APIC_PAGE.taskPriority)), 0x20);
  setRegister(APIC_PAGE.taskPriority, 0x40);
  setRegister(APIC_PAGE.irr + 0x10, 1);
  assert.deepEqual(exits(machine.run()), { exit: "apic-access", address: DATA + 0x80, write: true, readsFirst: false });
  assert.equal(state.exitData, 0x20n);
  assert.equal(register(APIC_PAGE.taskPriority), 0x40);
  begin(program(write(APIC_PAGE.endOfInterrupt)));
  setRegister(APIC_PAGE.isr + 0x20, 1);
  setRegister(APIC_PAGE.irr + 0x10, 1);
  assert.equal(machine.run().exit, "apic-access");
  assert.equal(register(APIC_PAGE.isr + 0x20), 1);
});

test("EOI ends the highest vector in service", () => {
  begin(program(write(APIC_PAGE.endOfInterrupt)));
  setRegister(APIC_PAGE.isr + 0x20, 0x9000_0001);
  setRegister(APIC_PAGE.isr + 0x10, 4);
  assert.equal(machine.run().exit, "hlt");
  assert.deepEqual([register(APIC_PAGE.isr + 0x20), register(APIC_PAGE.isr + 0x10)], [0x1000_0001, 4]);
});

test("EOI of an interrupt that came as a level is for the run loop, and of others below it not", () => {
  begin(program(write(APIC_PAGE.endOfInterrupt)));
  setRegister(APIC_PAGE.isr + 0x20, 0x9000_0000);
  setRegister(APIC_PAGE.tmr + 0x20, 0x8000_0000);
  assert.equal(machine.run().exit, "apic-access");
  assert.equal(register(APIC_PAGE.isr + 0x20), 0x9000_0000);
  begin(program(write(APIC_PAGE.endOfInterrupt)));
  setRegister(APIC_PAGE.isr + 0x20, 0x9000_0000);
  setRegister(APIC_PAGE.tmr + 0x20, 0x1000_0000);
  assert.equal(machine.run().exit, "hlt");
  assert.equal(register(APIC_PAGE.isr + 0x20), 0x1000_0000);
});

test("a write with an effect leaves with its value, and is done once", () => {
  begin(program(write(COMMAND), read(COMMAND)), 0x4_00f6);
  const data: bigint[] = [];
  const stop = machine.run(() => {
    data.push(state.exitData);
    setRegister(COMMAND, Number(state.exitData));
    state.acceptMmioWrite(BigInt(DATA + COMMAND));
    return true;
  });
  assert.deepEqual([stop.exit, data, state.gpr(RAX)], ["hlt", [0x4_00f6n], 0x4_00f6n]);
});

test("a read-modify-write reads once and writes once, with and without LOCK", () => {
  for (const [offset, prefix] of [[APIC_PAGE.spurious, ""], [APIC_PAGE.spurious, "f0 "], [APIC_PAGE.icrHigh, ""]] as const) {
    begin(program(prefix + orHundred(offset)));
    const log: string[] = [];
    const stop = machine.run((exit) => {
      assert.equal(exit, "apic-access");
      const isRead = state.exitReadsFirst;
      log.push(isRead ? "read" : `write ${state.exitData.toString(16)}`);
      if (isRead) state.answerMmioRead(BigInt(DATA + offset), 0xffn);
      else state.acceptMmioWrite(BigInt(DATA + offset));
      return true;
    });
    assert.equal(stop.exit, "hlt");
    assert.deepEqual(log, offset === APIC_PAGE.icrHigh ? ["read"] : ["read", "write 1ff"]);
    if (offset === APIC_PAGE.icrHigh) assert.equal(register(offset), 0x1ff);
    assert.equal(state.readU32(VCPU.mmioState), 0);
  }
});

test("a vector of the local APIC moves from requested to in service when it is taken, another interrupt does not", () => {
  for (const isFromApic of [true, false]) {
    begin(program("fb  sti", "90  nop", "90  nop"));
    setRegister(APIC_PAGE.irr + 0x20, 3);
    state.setPendingInterrupt(0x41, isFromApic);
    assert.equal(machine.run().vector, 0x41);
    assert.deepEqual([register(APIC_PAGE.irr + 0x20), register(APIC_PAGE.isr + 0x20)], isFromApic ? [1, 2] : [3, 0]);
  }
});

test("the APIC's address: exits where the vCPU has no page there, and is counted when it is plain memory", () => {
  const leaf = words[NPT_ROOT_BASE >>> 2]!;
  const rootIndex = (NPT_ROOT_BASE >>> 2) + Math.floor(APIC_ACCESS_GFN / NPT_LEAF_ENTRIES);
  const entryIndex = (leaf >>> 2) + (APIC_ACCESS_GFN % NPT_LEAF_ENTRIES);
  words[rootIndex] = leaf;
  words[entryIndex] = FRAME | NPT_PRESENT | NPT_WRITABLE;
  const run = (frame: number): Stop => {
    begin(program(read(APIC_PAGE.id)), 0, frame);
    machine.map(DATA, BigInt(APIC_ACCESS_GFN) * 0x1000n | 0x67n);
    return machine.run();
  };
  const before = state.readU64(VCPU.counterApicMemory);
  assert.equal(run(FRAME).exit, "hlt");
  assert.deepEqual(exits(run(0)), { exit: "apic-access", address: 0xfee0_0020, write: false, readsFirst: false });
  assert.equal(state.readU64(VCPU.counterApicMemory), before);
  assert.equal(run(OTHER_FRAME).exit, "hlt");
  assert.equal(state.readU64(VCPU.counterApicMemory), before + 1n);
  words[entryIndex] = 0;
  words[rootIndex] = 0;
});
