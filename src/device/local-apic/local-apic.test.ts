/** The local APIC: modes, priorities, IPIs, timer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalApic } from "./local-apic.js";

const BASE = 0x1b;
const TPR = 0x808;
const PPR = 0x80a;
const EOI = 0x80b;
const SVR = 0x80f;
const ISR = 0x810;
const IRR = 0x820;
const ESR = 0x828;
const ICR = 0x830;
const LVT_TIMER = 0x832;
const LVT_ERROR = 0x837;
const INITIAL = 0x838;
const CURRENT = 0x839;
const DIVIDE = 0x83e;
const SELF_IPI = 0x83f;

interface Setup {
  readonly apics: readonly LocalApic[];
  readonly signals: string[];
  readonly clock: { now: number };
}

function setUp(vcpuCount = 1, isX2apic = true): Setup {
  const memory = { buffer: new SharedArrayBuffer(0x1000_0000) };
  const signals: string[] = [];
  const clock = { now: 1000 };
  const apics = Array.from({ length: vcpuCount }, (_, vcpu) => new LocalApic(memory, vcpu, {
    vcpuCount, clock: { nowNs: () => clock.now },
    signals: {
      kick: (target) => signals.push(`kick ${target}`), init: (target) => signals.push(`init ${target}`),
      startup: (target, page) => signals.push(`startup ${target} ${page.toString(16)}`), nmi: (target) => signals.push(`nmi ${target}`),
    },
  }));
  for (const apic of apics) {
    if (isX2apic) assert.ok(apic.writeMsr(BASE, apic.readMsr(BASE)! | 0x400n));
    if (isX2apic) apic.writeMsr(SVR, 0x1ffn);
    else apic.writeMmio(0xf0, 0x1ff);
  }
  return { apics, signals, clock };
}

function one(isX2apic = true): Setup & { apic: LocalApic } {
  const parts = setUp(1, isX2apic);
  return { ...parts, apic: parts.apics[0]! };
}

test("APIC_BASE starts as xAPIC with the boot bit on vCPU 0 only", () => {
  const { apics } = setUp(2, false);
  assert.equal(apics[0]!.readMsr(BASE), 0xfee0_0900n);
  assert.equal(apics[1]!.readMsr(BASE), 0xfee0_0800n);
  assert.equal(apics[0]!.mmioBase(), 0xfee0_0000);
});

test("what Linux touches before x2APIC reads right by MMIO", () => {
  const { apics } = setUp(3, false);
  assert.equal(apics[2]!.readMmio(0x20), 2 << 24);
  assert.equal(apics[2]!.readMmio(0x30), 0x5_0014);
  assert.equal(apics[2]!.readMmio(0x24), 0);
  assert.equal(apics[0]!.readMsr(0x802), undefined);
  assert.equal(apics[0]!.writeMsr(EOI, 0n), false);
});

test("APIC_BASE moves between modes in the allowed order only", () => {
  const { apic } = one(false);
  const base = (mode: number): boolean => apic.writeMsr(BASE, 0xfee0_0000n | BigInt(mode));
  assert.equal(base(0x400), false);
  assert.equal(base(0xc00), true);
  assert.equal(apic.mmioBase(), undefined);
  assert.equal(apic.readMmio(0x20), 0xffff_ffff);
  assert.equal(apic.readMsr(0x802), 0n);
  assert.equal(base(0x800), false);
  assert.equal(base(0x000), true);
  assert.equal(base(0xc00), false);
  assert.equal(base(0x800), true);
  assert.equal(apic.readMsr(BASE), 0xfee0_0900n);
  assert.equal(base(0x801), false);
  assert.equal(apic.writeMsr(BASE, 1n << 40n), false);
});

test("x2APIC registers refuse reserved bits, read-only and absent ones", () => {
  const { apic } = one();
  assert.equal(apic.writeMsr(EOI, 1n), false);
  assert.equal(apic.writeMsr(TPR, 1n << 32n), false);
  assert.equal(apic.writeMsr(0x802, 1n), false);
  assert.equal(apic.writeMsr(0x80d, 1n), false);
  assert.equal(apic.readMsr(EOI), undefined);
  assert.equal(apic.readMsr(0x80e), undefined);
  assert.equal(apic.readMsr(0x831), undefined);
  assert.equal(apic.readMsr(0x8ff), undefined);
  assert.equal(apic.readMsr(0x803), 0x5_0014n);
});

test("the logical id of x2APIC comes from the id", () => {
  assert.equal(setUp(6).apics[5]!.readMsr(0x80d), 0x20n);
});

test("the highest vector above the priority is offered; classes, not vectors, are compared", () => {
  const { apic } = one();
  for (const vector of [0x31, 0x45, 0x4a]) apic.raise(vector);
  assert.equal(apic.pendingVector(), 0x4a);
  apic.accept(0x4a);
  assert.equal(apic.readMsr(ISR + 2), 1n << 10n);
  assert.equal(apic.readMsr(PPR), 0x40n);
  assert.equal(apic.pendingVector(), -1);
  apic.raise(0x50);
  assert.equal(apic.pendingVector(), 0x50);
  apic.accept(0x50);
  apic.writeMsr(EOI, 0n);
  assert.equal(apic.readMsr(PPR), 0x40n);
  apic.writeMsr(EOI, 0n);
  assert.equal(apic.pendingVector(), 0x45);
  assert.equal(apic.readMsr(IRR + 2), 1n << 5n);
  assert.equal(apic.readMsr(IRR + 1), 1n << 17n);
});

test("the task priority holds vectors of its class and below back; CR8 is its upper half", () => {
  const { apic } = one();
  apic.raise(0x45);
  apic.writeMsr(TPR, 0x45n);
  assert.equal(apic.taskPriorityClass, 4);
  assert.equal(apic.readMsr(PPR), 0x45n);
  assert.equal(apic.pendingVector(), -1);
  apic.taskPriorityClass = 3;
  assert.equal(apic.readMsr(TPR), 0x30n);
  assert.equal(apic.pendingVector(), 0x45);
});

test("EOI with nothing in service changes nothing", () => {
  const { apic } = one();
  apic.raise(0x40);
  assert.equal(apic.writeMsr(EOI, 0n), true);
  assert.equal(apic.pendingVector(), 0x40);
});

test("software-disabled: nothing is taken, LVT entries are masked", () => {
  const { apic } = one();
  apic.writeMsr(LVT_TIMER, 0x40n);
  apic.writeMsr(SVR, 0xffn);
  assert.equal(apic.readMsr(LVT_TIMER), 0x1_0040n);
  apic.writeMsr(LVT_TIMER, 0x41n);
  assert.equal(apic.readMsr(LVT_TIMER), 0x1_0041n);
  apic.raise(0x50);
  apic.writeMsr(SVR, 0x1ffn);
  assert.equal(apic.pendingVector(), -1);
});

test("fixed IPIs: physical, logical, shorthands, and once kicked while requested", () => {
  const { apics, signals } = setUp(4);
  const send = (value: bigint): string[] => {
    signals.length = 0;
    assert.ok(apics[1]!.writeMsr(ICR, value));
    return [...signals];
  };
  assert.deepEqual(send((2n << 32n) | 0x50n), ["kick 2"]);
  assert.equal(apics[2]!.pendingVector(), 0x50);
  assert.deepEqual(send((2n << 32n) | 0x50n), []);
  assert.deepEqual(send((0b1001n << 32n) | 0x851n), ["kick 0", "kick 3"]);
  assert.deepEqual(send(0x4_0052n), ["kick 1"]);
  assert.deepEqual(send(0x8_0053n), ["kick 0", "kick 1", "kick 2", "kick 3"]);
  assert.deepEqual(send(0xc_0054n), ["kick 0", "kick 2", "kick 3"]);
  assert.deepEqual(send((0xffff_ffffn << 32n) | 0x55n), ["kick 0", "kick 1", "kick 2", "kick 3"]);
  assert.deepEqual(send((7n << 32n) | 0x56n), []);
  assert.equal(apics[1]!.readMsr(ICR), (7n << 32n) | 0x56n);
  assert.ok(apics[1]!.writeMsr(SELF_IPI, 0x57n));
  assert.equal(apics[1]!.pendingVector(), 0x57);
});

test("Linux's AP start: INIT, de-assert without effect, STARTUP twice", () => {
  const { apics, signals } = setUp(3);
  for (const low of [0xc500n, 0x8500n, 0x699n, 0x699n]) apics[0]!.writeMsr(ICR, (2n << 32n) | low);
  assert.deepEqual(signals, ["init 2", "startup 2 99", "startup 2 99"]);
  assert.equal(apics[0]!.readMsr(ESR), 0n);
  signals.length = 0;
  apics[0]!.writeMsr(ICR, 0xc_0400n);
  assert.deepEqual(signals, ["nmi 1", "nmi 2"]);
});

test("IPIs by the register page: destination in ICR high, flat and cluster logical ids", () => {
  const { apics, signals } = setUp(3, false);
  const send = (destination: number, low: number): string[] => {
    signals.length = 0;
    apics[0]!.writeMmio(0x310, destination << 24);
    apics[0]!.writeMmio(0x300, low);
    return [...signals];
  };
  assert.deepEqual(send(2, 0x4060), ["kick 2"]);
  assert.equal(apics[0]!.readMmio(0x300), 0x4060);
  assert.deepEqual(send(0xff, 0x61), ["kick 0", "kick 1", "kick 2"]);
  for (const [vcpu, apic] of apics.entries()) apic.writeMmio(0xd0, 1 << (24 + vcpu));
  assert.deepEqual(send(0b110, 0x862), ["kick 1", "kick 2"]);
  for (const [vcpu, apic] of apics.entries()) {
    apic.writeMmio(0xe0, 0x0fff_ffff);
    apic.writeMmio(0xd0, (((vcpu >> 1) << 4) | (1 << (vcpu & 1))) << 24);
  }
  assert.deepEqual(send(0x11, 0x863), ["kick 2"]);
});

test("illegal vectors and registers show in ESR after a write to it, and raise the error interrupt", () => {
  const { apic } = one();
  apic.writeMsr(LVT_ERROR, 0xfen);
  apic.writeMsr(ICR, 0x4_0005n);
  assert.equal(apic.pendingVector(), 0xfe);
  assert.equal(apic.readMsr(ESR), 0n);
  apic.writeMsr(ESR, 0n);
  assert.equal(apic.readMsr(ESR), 0x20n);
  apic.writeMsr(ESR, 0n);
  assert.equal(apic.readMsr(ESR), 0n);
  const page = one(false).apic;
  page.readMmio(0x3a0);
  page.writeMmio(0x280, 0);
  assert.equal(page.readMmio(0x280), 0x80);
});

test("the one-shot timer counts down by its divider, fires once, and stays at zero", () => {
  const { apic, clock } = one();
  apic.writeMsr(DIVIDE, 0x3n);
  apic.writeMsr(LVT_TIMER, 0xefn);
  assert.equal(apic.timerDeadlineNs(), Infinity);
  apic.writeMsr(INITIAL, 1000n);
  assert.equal(apic.timerDeadlineNs(), 17_000);
  clock.now = 9_000;
  assert.equal(apic.readMsr(CURRENT), 500n);
  assert.equal(apic.fireTimer(), false);
  clock.now = 17_000;
  assert.equal(apic.readMsr(CURRENT), 0n);
  assert.equal(apic.fireTimer(), true);
  assert.equal(apic.pendingVector(), 0xef);
  assert.equal(apic.timerDeadlineNs(), Infinity);
  assert.equal(apic.fireTimer(), false);
});

test("the periodic timer keeps step and drops ticks nobody saw", () => {
  const { apic, clock } = one();
  apic.writeMsr(DIVIDE, 0xbn);
  apic.writeMsr(LVT_TIMER, 0x2_00efn);
  apic.writeMsr(INITIAL, 100_000n);
  clock.now = 101_000;
  assert.equal(apic.fireTimer(), true);
  assert.equal(apic.timerDeadlineNs(), 201_000);
  clock.now = 450_000;
  assert.equal(apic.fireTimer(), true);
  assert.equal(apic.timerDeadlineNs(), 501_000);
  assert.equal(apic.readMsr(CURRENT), 51_000n);
  apic.writeMsr(INITIAL, 0n);
  assert.equal(apic.timerDeadlineNs(), Infinity);
});

test("a masked timer has no deadline and does not catch up when unmasked", () => {
  const { apic, clock } = one();
  apic.writeMsr(DIVIDE, 0xbn);
  apic.writeMsr(LVT_TIMER, 0x1_00efn);
  apic.writeMsr(INITIAL, 50_000n);
  assert.equal(apic.timerDeadlineNs(), Infinity);
  clock.now = 90_000;
  apic.writeMsr(LVT_TIMER, 0xefn);
  assert.equal(apic.timerDeadlineNs(), Infinity);
  assert.equal(apic.fireTimer(), false);
});

test("a tiny period does not keep the host busy", () => {
  const { apic, clock } = one();
  apic.writeMsr(DIVIDE, 0xbn);
  apic.writeMsr(LVT_TIMER, 0x2_00efn);
  apic.writeMsr(INITIAL, 1n);
  clock.now = 2_000;
  assert.equal(apic.fireTimer(), true);
  assert.ok(apic.timerDeadlineNs() >= 20_000);
});

test("another thread's object sees the same APIC, and INIT's reset keeps mode and id", () => {
  const memory = { buffer: new SharedArrayBuffer(0x1000_0000) };
  const first = new LocalApic(memory, 1);
  first.writeMsr(BASE, first.readMsr(BASE)! | 0x400n);
  first.writeMsr(SVR, 0x1ffn);
  first.raise(0x44);
  const second = new LocalApic(memory, 1);
  assert.equal(second.pendingVector(), 0x44);
  second.reset();
  assert.equal(first.pendingVector(), -1);
  assert.equal(first.readMsr(SVR), 0xffn);
  assert.equal(first.readMsr(0x802), 1n);
});

test("by deadline the timer fires once, at a value of the TSC", () => {
  const clock = { nowNs: () => now };
  let now = 1000;
  const apic = new LocalApic({ buffer: new SharedArrayBuffer(0x1000_0000) }, 0, { clock });
  apic.writeMmio(0xf0, 0x1ff);
  assert.ok(apic.writeMsr(0x6e0, 5000n));
  assert.equal(apic.readMsr(0x6e0), 0n, "not in this mode");
  assert.equal(apic.timerDeadlineNs(), Infinity);
  apic.writeMmio(0x320, 0x4_00ec);
  apic.writeMsr(0x6e0, 5000n);
  assert.equal(apic.readMsr(0x6e0), 5000n);
  assert.equal(apic.timerDeadlineNs(), 5000);
  apic.writeMmio(0x380, 77);
  assert.equal(apic.timerDeadlineNs(), 5000, "the initial count is not looked at");
  assert.equal(apic.readMmio(0x390), 0);
  assert.equal(apic.fireTimer(), false);
  now = 5000;
  assert.equal(apic.fireTimer(), true);
  assert.equal(apic.pendingVector(), 0xec);
  assert.equal(apic.readMsr(0x6e0), 0n);
  assert.equal(apic.fireTimer(), false);
});

test("a deadline is taken back by 0 and by another mode, and one beyond all time does not come", () => {
  const apic = new LocalApic({ buffer: new SharedArrayBuffer(0x1000_0000) }, 0, { clock: { nowNs: () => 1e15 } });
  apic.writeMmio(0xf0, 0x1ff);
  apic.writeMmio(0x320, 0x4_00ec);
  apic.writeMsr(0x6e0, 1n << 62n);
  assert.equal(apic.fireTimer(), false);
  assert.ok(apic.timerDeadlineNs() > 1e15);
  apic.writeMsr(0x6e0, 0n);
  assert.equal(apic.timerDeadlineNs(), Infinity);
  apic.writeMsr(0x6e0, 2_000_000_000_000_000n);
  apic.writeMmio(0x320, 0x0_00ec);
  assert.equal(apic.timerDeadlineNs(), Infinity);
});

test("one interrupt is the sole one when nothing else is requested or in service", () => {
  const apic = new LocalApic({ buffer: new SharedArrayBuffer(0x1000_0000) }, 0);
  apic.writeMmio(0xf0, 0x1ff);
  assert.equal(apic.hasSoleInterrupt(-1), false, "there is none");
  apic.raise(0x31);
  assert.equal(apic.hasSoleInterrupt(0x31), true);
  assert.equal(apic.hasSoleInterrupt(-1), false, "it is not in service");
  apic.raise(0x32);
  assert.equal(apic.hasSoleInterrupt(0x32), false, "another one is requested");
  apic.accept(0x32);
  assert.equal(apic.hasSoleInterrupt(-1), false, "another one is requested");
  apic.endInterrupt();
  apic.accept(0x31);
  assert.equal(apic.hasSoleInterrupt(-1), true);
  apic.raise(0x91);
  assert.equal(apic.hasSoleInterrupt(0x91), false, "it would be nested");
  apic.accept(0x91);
  assert.equal(apic.hasSoleInterrupt(-1), false, "it is nested");
  apic.endInterrupt();
  assert.equal(apic.hasSoleInterrupt(-1), true);
});
