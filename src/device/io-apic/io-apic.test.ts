import assert from "node:assert/strict";
import { test } from "node:test";
import { FRAMES_BASE } from "../../abi/layout.js";
import { InterruptBus } from "../local-apic/interrupt-bus.js";
import { LocalApic } from "../local-apic/local-apic.js";
import { IoApic } from "./io-apic.js";

function createMemory(): WebAssembly.Memory {
  const pages = FRAMES_BASE / 65536;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

function create(): { ioApic: IoApic; sent: [number, number][] } {
  const sent: [number, number][] = [];
  const ioApic = new IoApic(createMemory(), (low, destination) => sent.push([low, destination]) > 0);
  ioApic.reset();
  return { ioApic, sent };
}

function read(ioApic: IoApic, register: number): number {
  ioApic.writeMmio(0, register);
  return ioApic.readMmio(0x10) >>> 0;
}

function write(ioApic: IoApic, register: number, value: number): void {
  ioApic.writeMmio(0, register);
  ioApic.writeMmio(0x10, value);
}

test("it has 24 inputs, all masked at first", () => {
  const { ioApic } = create();
  assert.equal(read(ioApic, 1), 0x0017_0011);
  for (let input = 0; input < 24; input++) assert.equal(read(ioApic, 0x10 + 2 * input), 0x1_0000);
  assert.equal(read(ioApic, 0x40), 0, "there is no more");
});

test("the id and the entries keep their writable bits", () => {
  const { ioApic } = create();
  write(ioApic, 0, 0xffff_ffff);
  assert.equal(read(ioApic, 0), 0x0f00_0000);
  write(ioApic, 0x19, 0xffff_ffff);
  write(ioApic, 0x18, 0xffff_ffff);
  assert.equal(read(ioApic, 0x19), 0xff00_0000);
  assert.equal(read(ioApic, 0x18), 0x1_afff);
});

test("an input that goes up sends its entry's interrupt, once an edge", () => {
  const { ioApic, sent } = create();
  write(ioApic, 0x19, 0x0200_0000);
  write(ioApic, 0x18, 0x0031);
  ioApic.setLine(4, true);
  ioApic.setLine(4, true);
  assert.deepEqual(sent, [[0x31, 2]]);
  ioApic.setLine(4, false);
  ioApic.setLine(4, true);
  assert.equal(sent.length, 2);
  ioApic.setLine(5, true);
  assert.equal(sent.length, 2, "another input is masked");
});

test("an edge while masked is sent when the entry is unmasked and the input is still up", () => {
  const { ioApic, sent } = create();
  ioApic.setLine(4, true);
  ioApic.setLine(5, true);
  ioApic.setLine(5, false);
  write(ioApic, 0x18, 0x31);
  write(ioApic, 0x1a, 0x32);
  write(ioApic, 0x18, 0x33);
  assert.deepEqual(sent, [[0x31, 0]]);
});

const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const MASKED = 0x1_0000;

test("a level is sent once until its EOI, and again after it while the input is up", () => {
  const { ioApic, sent } = create();
  write(ioApic, 0x18, LEVEL | 0x31);
  write(ioApic, 0x1a, LEVEL | 0x32);
  ioApic.setLine(4, true);
  assert.equal(read(ioApic, 0x18), LEVEL | REMOTE_IRR | 0x31);
  ioApic.setLine(4, false);
  ioApic.setLine(4, true);
  ioApic.endInterrupt(0x32);
  assert.deepEqual(sent, [[LEVEL | 0x31, 0]], "not before its own EOI");
  ioApic.endInterrupt(0x31);
  assert.equal(sent.length, 2, "still up");
  ioApic.setLine(4, false);
  ioApic.endInterrupt(0x31);
  ioApic.endInterrupt(0x31);
  assert.equal(sent.length, 2, "down at its EOI");
  assert.equal(read(ioApic, 0x18), LEVEL | 0x31);
  ioApic.setLine(4, true);
  assert.equal(sent.length, 3);
});

test("a level that is masked at its EOI is sent when it is unmasked, if it is still up, and remote IRR is not the guest's to write", () => {
  const { ioApic, sent } = create();
  write(ioApic, 0x18, LEVEL | 0x31);
  ioApic.setLine(4, true);
  write(ioApic, 0x18, MASKED | LEVEL | 0x31);
  assert.equal(read(ioApic, 0x18), MASKED | LEVEL | REMOTE_IRR | 0x31, "a write of the entry keeps it");
  write(ioApic, 0x18, LEVEL | 0x31);
  write(ioApic, 0x18, MASKED | LEVEL | REMOTE_IRR | 0x31);
  assert.equal(sent.length, 1, "in service");
  ioApic.endInterrupt(0x31);
  assert.equal(sent.length, 1, "masked");
  write(ioApic, 0x18, LEVEL | REMOTE_IRR | 0x31);
  assert.equal(sent.length, 2);
  ioApic.setLine(4, false);
  write(ioApic, 0x18, MASKED | 0x31);
  write(ioApic, 0x18, MASKED | LEVEL | 0x31);
  assert.equal(read(ioApic, 0x18), MASKED | LEVEL | 0x31, "an edge for a moment clears it");
  write(ioApic, 0x18, LEVEL | 0x31);
  assert.equal(sent.length, 2, "down");
});

test("a level that no local APIC takes is not in service", () => {
  let isTaken = false;
  const ioApic = new IoApic(createMemory(), () => isTaken);
  ioApic.reset();
  write(ioApic, 0x18, LEVEL | 0x31);
  ioApic.setLine(4, true);
  assert.equal(read(ioApic, 0x18), LEVEL | 0x31);
  isTaken = true;
  write(ioApic, 0x18, LEVEL | 0x31);
  assert.equal(read(ioApic, 0x18), LEVEL | REMOTE_IRR | 0x31);
});

test("inputs that share a vector are both looked at when it ends", () => {
  const { ioApic, sent } = create();
  write(ioApic, 0x18, LEVEL | 0x31);
  write(ioApic, 0x1a, LEVEL | 0x31);
  ioApic.setLine(4, true);
  ioApic.setLine(5, true);
  ioApic.setLine(4, false);
  ioApic.endInterrupt(0x31);
  assert.equal(sent.length, 3);
  assert.deepEqual([read(ioApic, 0x18), read(ioApic, 0x1a)], [LEVEL | 0x31, LEVEL | REMOTE_IRR | 0x31]);
});

test("an edge has no EOI: nothing is repeated, and each edge counts while one is in service", () => {
  const { ioApic, sent } = create();
  write(ioApic, 0x18, 0x31);
  ioApic.setLine(4, true);
  ioApic.endInterrupt(0x31);
  assert.equal(sent.length, 1);
  ioApic.setLine(4, false);
  ioApic.setLine(4, true);
  assert.equal(sent.length, 2);
  assert.equal(read(ioApic, 0x18), 0x31);
});

test("from the input to the EOI and round again: the local APIC shows a level in TMR and tells of its end, of an edge not", () => {
  const memory = createMemory();
  const ended: number[] = [];
  const signals = { kick: () => undefined, init: () => undefined, startup: () => undefined, nmi: () => undefined };
  const apic = new LocalApic(memory, 0, {
    signals: { ...signals, ended: (vector) => (ended.push(vector), ioApic.endInterrupt(vector)) },
  });
  const bus = new InterruptBus(memory, 1, () => undefined);
  const ioApic = new IoApic(memory, (low, destination) => bus.send(low, destination));
  ioApic.reset();
  apic.writeMmio(0xf0, 0x1ff);
  apic.writeMmio(0xd0, 0);
  const take = (): number => {
    const vector = apic.pendingVector();
    if (vector >= 0) apic.accept(vector);
    return vector;
  };
  write(ioApic, 0x18, LEVEL | 0x31);
  write(ioApic, 0x1a, 0x41);
  ioApic.setLine(4, true);
  assert.equal(apic.readMmio(0x190), 1 << 17, "TMR");
  assert.equal(apic.hasSoleInterrupt(0x31), false, "its end has to be told");
  assert.equal(take(), 0x31);
  assert.equal(apic.hasSoleInterrupt(-1), false);
  apic.writeMmio(0xb0, 0);
  assert.equal(take(), 0x31, "still up");
  ioApic.setLine(4, false);
  ioApic.setLine(5, true);
  assert.equal(take(), 0x41);
  apic.writeMmio(0xb0, 0);
  assert.deepEqual(ended, [0x31], "the edge was served first, and told nobody");
  apic.writeMmio(0xb0, 0);
  assert.deepEqual([ended, take()], [[0x31, 0x31], -1]);
  assert.equal(read(ioApic, 0x18), LEVEL | 0x31);
  apic.raise(0x31);
  assert.equal(apic.readMmio(0x190), 0, "the same vector as an edge");
  assert.equal(apic.hasSoleInterrupt(0x31), true);
});

test("interrupts reach the local APICs that the destination names, and wake them", () => {
  const memory = createMemory();
  const apics = [0, 1, 2].map((vcpu) => new LocalApic(memory, vcpu, { vcpuCount: 3 }));
  for (const apic of apics) {
    apic.writeMmio(0xf0, 0x1ff);
    apic.writeMmio(0xd0, 0);
  }
  apics[1]!.writeMmio(0xd0, 0x0200_0000);
  apics[2]!.writeMmio(0xd0, 0x0400_0000);
  const kicks: number[] = [];
  const bus = new InterruptBus(memory, 3, (vcpu) => kicks.push(vcpu));
  const pending = (): number[] => apics.map((apic) => apic.pendingVector());
  bus.send(0x31, 1);
  assert.deepEqual(pending(), [-1, 0x31, -1]);
  bus.send(0x800 | 0x41, 0x06);
  assert.deepEqual(pending(), [-1, 0x41, 0x41], "logical destination");
  bus.send(0x900 | 0x51, 0x06);
  assert.deepEqual(pending(), [-1, 0x51, 0x41], "lowest priority: one of them");
  bus.send(0x61, 0xff);
  assert.deepEqual(pending(), [0x61, 0x61, 0x61]);
  assert.deepEqual(kicks, [1, 1, 2, 1, 0, 1, 2]);
  bus.send(0x61, 0);
  assert.equal(kicks.length, 7, "already requested");
  bus.send(0x0f, 0);
  bus.send(0x400 | 0x71, 0);
  apics[0]!.writeMmio(0xf0, 0xff);
  bus.send(0x71, 0);
  assert.equal(kicks.length, 7, "illegal vector, NMI, disabled APIC");
});
