/** PV consoles: the first by its ring, the others from xenbus handshake to closing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  xencons_interface, XENCONS_IN_SIZE, XENCONS_OUT_SIZE, XS_READ, XS_TRANSACTION_END, XS_TRANSACTION_START, XS_WATCH,
  XS_WRITE,
} from "../../abi/xen/index.js";
import type { ByteRingLayout } from "../byte-ring.js";
import { DeviceBackends } from "../device-backends.js";
import { CONSOLE_GFN, TestGuest } from "../testing/test-guest.js";
import { TestXenbus } from "../testing/test-xenbus.js";

const OUTPUT: ByteRingLayout = {
  data: xencons_interface.out, sizeBytes: XENCONS_OUT_SIZE, consumer: xencons_interface.out_cons, producer: xencons_interface.out_prod,
};
const INPUT: ByteRingLayout = {
  data: xencons_interface.in, sizeBytes: XENCONS_IN_SIZE, consumer: xencons_interface.in_cons, producer: xencons_interface.in_prod,
};

interface Setup {
  readonly guest: TestGuest;
  readonly backends: DeviceBackends;
  /** Chunks by console. */
  readonly output: Map<number, Uint8Array[]>;
  readonly space: { bytes: number };
}

function withBackends(body: (setup: Setup) => void): () => void {
  return () => {
    const guest = new TestGuest();
    const output = new Map<number, Uint8Array[]>();
    const space = { bytes: Infinity };
    const backends = new DeviceBackends({ domain: guest, guest: guest.guest }, {
      vcpuCount: 1, consoleCount: 3, outputSpace: () => space.bytes,
      onOutput: (console, bytes) => output.set(console, [...output.get(console) ?? [], bytes]),
    });
    body({ guest, backends, output, space });
    backends.close();
    guest.close();
  };
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff);
}

test("output comes in chunks, across the wrap of ring and indices", withBackends(({ guest, backends, output }) => {
  for (const index of [OUTPUT.consumer, OUTPUT.producer]) guest.setWord(CONSOLE_GFN, index, 0xffff_fc00);
  const expected: number[] = [];
  for (let round = 0; round < 6; round++) {
    const bytes = pattern(1500, round);
    expected.push(...bytes);
    guest.produce(CONSOLE_GFN, OUTPUT, bytes);
    while (backends.service()) continue;
  }
  const chunks = output.get(0)!;
  assert.equal(chunks.length, 6);
  assert.deepEqual(chunks.flatMap((chunk) => [...chunk]), expected);
  assert.equal(guest.raised.filter((port) => port === 2).length, 6);
}));

test("output waits in the ring while the receiver has no room", withBackends(({ guest, backends, output, space }) => {
  space.bytes = 0;
  guest.produce(CONSOLE_GFN, OUTPUT, pattern(100, 0));
  assert.equal(backends.service(), false);
  assert.equal(output.size, 0);
  space.bytes = 30;
  assert.equal(backends.service(), true);
  assert.equal(output.get(0)![0]!.length, 30);
  assert.equal(guest.word(CONSOLE_GFN, OUTPUT.consumer), 30);
}));

test("input is taken as far as the ring has room", withBackends(({ guest, backends }) => {
  guest.setWord(CONSOLE_GFN, INPUT.consumer, 1000);
  guest.setWord(CONSOLE_GFN, INPUT.producer, 1000);
  const bytes = pattern(1500, 3);
  assert.equal(backends.pushInput(0, bytes), XENCONS_IN_SIZE);
  assert.equal(backends.pushInput(0, bytes), 0);
  assert.deepEqual(guest.consume(CONSOLE_GFN, INPUT), bytes.subarray(0, XENCONS_IN_SIZE));
  assert.equal(backends.pushInput(0, bytes.subarray(XENCONS_IN_SIZE)), 476);
  assert.deepEqual(guest.raised.filter((port) => port === 2), [2, 2]);
  assert.equal(backends.pushInput(0, new Uint8Array()), 0);
}));

test("nonsense output indices lose the ring's content, not the console", withBackends(({ guest, backends, output }) => {
  for (const producer of [0x8000_0000, 2049, 0xffff_ffff]) {
    guest.setWord(CONSOLE_GFN, OUTPUT.consumer, 0);
    guest.setWord(CONSOLE_GFN, OUTPUT.producer, producer);
    assert.equal(backends.service(), false);
    assert.equal(guest.word(CONSOLE_GFN, OUTPUT.consumer), producer);
  }
  assert.equal(output.size, 0);
  guest.produce(CONSOLE_GFN, OUTPUT, pattern(10, 1));
  backends.service();
  assert.deepEqual(output.get(0), [pattern(10, 1)]);
}));

test("nonsense input indices take no input and write nothing outside the ring", withBackends(({ guest, backends }) => {
  guest.setWord(CONSOLE_GFN, INPUT.consumer, 0x7fff_0000);
  assert.equal(backends.pushInput(0, pattern(2000, 0)), 0);
  assert.equal(guest.word(CONSOLE_GFN, INPUT.producer), 0);
  guest.setWord(CONSOLE_GFN, INPUT.consumer, 0);
  assert.equal(backends.pushInput(0, pattern(8, 0)), 8);
}));

const RING_GFN = 0x40;
const PORT = 9;
const FRONT = "device/console/1";

/** What Linux's driver does up to Initialised. */
function probe(bus: TestXenbus, guest: TestGuest): void {
  guest.openPorts.add(PORT);
  guest.grant(8, RING_GFN);
  const backend = bus.request(XS_READ, `${FRONT}/backend\0`);
  bus.request(XS_WATCH, `${backend}/state\0back\0`);
  assert.equal(bus.request(XS_READ, `${backend}/state\0`), "2");
  const id = Number(bus.request(XS_TRANSACTION_START, "\0").slice(0, -1));
  assert.equal(bus.request(XS_WRITE, `${FRONT}/ring-ref\x008`, id), "OK\0");
  assert.equal(bus.request(XS_WRITE, `${FRONT}/port\x00${PORT}`, id), "OK\0");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "OK\0");
  bus.takeEvents();
  assert.equal(bus.request(XS_WRITE, `${FRONT}/state\x003`), "OK\0");
}

test("an extra console connects through xenbus, carries both ways, and closes", withBackends(({ guest, backends, output }) => {
  const bus = new TestXenbus(guest, () => backends.service());
  assert.equal(backends.pushInput(1, pattern(4, 0)), 0);
  probe(bus, guest);
  const back = "/local/domain/0/backend/console/1/1";
  assert.deepEqual(bus.takeEvents(), [`${back}/state back`]);
  assert.equal(bus.request(XS_READ, `${back}/state\0`), "4");
  bus.request(XS_WRITE, `${FRONT}/state\x004`);
  guest.produce(RING_GFN, OUTPUT, pattern(50, 5));
  backends.service();
  assert.deepEqual(output.get(1), [pattern(50, 5)]);
  assert.equal(backends.pushInput(1, pattern(20, 6)), 20);
  assert.deepEqual(guest.consume(RING_GFN, INPUT), pattern(20, 6));
  assert.ok(guest.raised.includes(PORT));
  bus.request(XS_WRITE, `${FRONT}/state\x005`);
  assert.equal(backends.pushInput(1, pattern(4, 0)), 0);
  bus.request(XS_WRITE, `${FRONT}/state\x006`);
  assert.equal(bus.request(XS_READ, `${back}/state\0`), "6");
}));

const BROKEN: readonly (readonly [string, (bus: TestXenbus, guest: TestGuest) => void])[] = [
  ["no grant table", (_bus, guest) => { guest.hasGrantTable = false; }],
  ["an entry for another domain", (_bus, guest) => guest.grant(8, RING_GFN, { domid: 3 })],
  ["a read-only entry", (_bus, guest) => guest.grant(8, RING_GFN, { flags: 5 })],
  ["an invalid entry", (_bus, guest) => guest.grant(8, RING_GFN, { flags: 0 })],
  ["a frame in a hole", (_bus, guest) => guest.grant(8, 0xffff_fff0)],
  ["a port that is not ours", (_bus, guest) => { guest.openPorts.delete(PORT); }],
  ["a reference that is no number", (bus) => { bus.request(XS_WRITE, `${FRONT}/ring-ref\0-1`); }],
  ["a reference beyond the table", (bus) => { bus.request(XS_WRITE, `${FRONT}/ring-ref\x004294967295`); }],
];
for (const [name, breakIt] of BROKEN) {
  test(`an extra console with ${name} stays unconnected`, withBackends(({ guest, backends }) => {
    const bus = new TestXenbus(guest, () => backends.service());
    bus.request(XS_WRITE, `${FRONT}/ring-ref\x008`);
    bus.request(XS_WRITE, `${FRONT}/port\x00${PORT}`);
    guest.openPorts.add(PORT);
    guest.grant(8, RING_GFN);
    breakIt(bus, guest);
    bus.request(XS_WRITE, `${FRONT}/state\x003`);
    assert.equal(backends.console.isConnected(1), false);
    assert.equal(bus.request(XS_READ, "/local/domain/0/backend/console/1/1/state\0"), "2");
  }));
}
