import assert from "node:assert/strict";
import { test } from "node:test";
import { KVM_BLOCK_BASE, KVM_BLOCK_SIZE, UART_INPUT_SIZE, UART_OUTPUT_SIZE } from "../../abi/kvm-block.js";
import { Uart } from "./uart.js";

const DATA = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;
const NO_INTERRUPT = 0xc1;
const RECEIVED = 0xc4;
const TIMEOUT = 0xcc;
const TRANSMITTER = 0xc2;
/** DTR, RTS, OUT2: what a kernel sets when it opens the port. */
const OPEN = 0xb;

/** A port, and what it did to the machine around it. */
class TestPort {
  readonly uart: Uart;
  readonly lines: boolean[] = [];
  readonly woken: number[] = [];
  rings = 0;

  constructor(index = 0) {
    const pages = Math.ceil((KVM_BLOCK_BASE + KVM_BLOCK_SIZE) / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.uart = new Uart(memory, index, {
      setLine: (isHigh) => this.lines.push(isHigh), ringDevice: () => this.rings++, wakeSender: (vcpu) => this.woken.push(vcpu),
    });
  }

  /** As a kernel does: FIFOs on with a trigger of 8 bytes, interrupts of `enabled`. */
  open(enabled: number): this {
    this.uart.write(FCR, 0x81);
    this.uart.write(MCR, OPEN);
    this.uart.write(IER, enabled);
    return this;
  }

  send(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.uart.write(DATA, byte);
  }

  /** Takes everything that waits, as an interrupt handler does. */
  receive(): string {
    let text = "";
    while ((this.uart.read(LSR) & 1) !== 0) text += String.fromCharCode(this.uart.read(DATA));
    return text;
  }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test("registers hold what they can, and the divisor is behind LCR bit 7", () => {
  const { uart } = new TestPort();
  for (const [register, written, read] of [[LCR, 0x1b, 0x1b], [MCR, 0xff, 0x1f], [SCR, 0xa5, 0xa5], [IER, 0xff, 0x0f]] as const) {
    uart.write(register, written);
    assert.equal(uart.read(register), read, `register ${register}`);
  }
  uart.write(LCR, 0x83);
  uart.write(DATA, 0x34);
  uart.write(IER, 0x12);
  assert.deepEqual([uart.read(DATA), uart.read(IER)], [0x34, 0x12]);
  uart.write(LCR, 3);
  assert.equal(uart.read(IER), 0x0f, "the interrupts that were enabled");
});

test("it is found to be a 16550A: IIR shows the FIFOs when they are on, and no register of later ports answers", () => {
  const { uart } = new TestPort();
  assert.equal(uart.read(IIR) >> 6, 0);
  uart.write(FCR, 1);
  assert.equal(uart.read(IIR) >> 6, 3);
  uart.write(LCR, 0xbf);
  assert.notEqual(uart.read(2), 0, "no enhanced features register");
  uart.write(LCR, 0);
  uart.write(FCR, 0x21);
  assert.equal(uart.read(IIR) >> 5, 6, "no 64-byte FIFO");
  uart.write(IER, 0x40);
  assert.equal(uart.read(IER), 0, "no UART unit enable");
});

test("a closed loop connects the port's outputs with its inputs", () => {
  const port = new TestPort();
  for (const [modem, status] of [[0x12, 0x10], [0x11, 0x20], [0x14, 0x40], [0x18, 0x80], [0x1a, 0x90]] as const) {
    port.uart.write(MCR, modem);
    assert.equal(port.uart.read(MSR), status);
  }
  port.uart.write(IER, 3);
  port.send("x");
  assert.equal(port.receive(), "x");
  assert.equal(port.uart.takeOutput(10).length, 0);
  assert.deepEqual(port.lines, [], "and keeps its interrupts in");
  port.uart.write(MCR, 0);
  assert.equal(port.uart.read(MSR), 0xb0);
});

test("what is sent comes out in order, and the device thread is told once", () => {
  const port = new TestPort().open(0);
  port.send("hello");
  assert.equal(port.rings, 1);
  assert.equal(new TextDecoder().decode(port.uart.takeOutput(3)), "hel");
  assert.equal(new TextDecoder().decode(port.uart.takeOutput(99)), "lo");
  port.send("!");
  assert.equal(port.rings, 2);
});

test("a driver that sends by interrupt tells the device thread when it has no more, or has sent much", () => {
  const port = new TestPort().open(2);
  port.send("hello");
  assert.equal(port.rings, 0);
  port.uart.write(IER, 0);
  assert.equal(port.rings, 1, "no more interrupts wanted");
  port.uart.takeOutput(99);
  port.uart.write(IER, 2);
  port.send("hello");
  port.uart.read(IIR);
  assert.equal(port.rings, 1);
  assert.equal(port.uart.read(IIR), NO_INTERRUPT);
  assert.equal(port.rings, 2, "no interrupt found");
  port.uart.takeOutput(99);
  for (let sent = 0; port.rings === 2; sent++) {
    assert.ok(sent < UART_OUTPUT_SIZE, "before the ring is full");
    port.send("x");
  }
});

test("bytes survive all values and the ring's end", () => {
  const port = new TestPort().open(0);
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  for (let round = 0; round < 3 * UART_OUTPUT_SIZE / 256; round++) {
    for (const byte of all) port.uart.write(DATA, byte);
    assert.deepEqual(port.uart.takeOutput(1000), all);
  }
});

test("the transmitter interrupts when it is enabled while it is empty, once for each look at IIR, and after each byte", () => {
  const port = new TestPort().open(0);
  port.uart.write(IER, 2);
  assert.deepEqual(port.lines, [true]);
  assert.equal(port.uart.read(IIR), TRANSMITTER);
  assert.deepEqual(port.lines, [true, false]);
  assert.equal(port.uart.read(IIR), NO_INTERRUPT);
  port.send("x");
  assert.equal(port.uart.read(IIR), TRANSMITTER);
  port.uart.write(IER, 0);
  port.uart.write(IER, 2);
  assert.equal(port.uart.read(IIR), TRANSMITTER, "enabled again");
});

test("a port whose output nobody takes says so, loses nothing that was sent before, and interrupts when there is room", () => {
  const port = new TestPort().open(2);
  let sent = 0;
  for (; (port.uart.read(LSR) & 0x20) !== 0; sent++) port.uart.write(DATA, sent);
  assert.ok(sent > UART_OUTPUT_SIZE - 16 && sent <= UART_OUTPUT_SIZE, `${sent} bytes`);
  assert.equal(port.uart.read(LSR) & 0x60, 0);
  port.uart.read(IIR);
  assert.equal(port.uart.read(IIR), NO_INTERRUPT);
  port.lines.length = 0;
  assert.equal(port.uart.takeOutput(UART_OUTPUT_SIZE).length, sent);
  assert.deepEqual(port.lines, [true]);
  assert.equal(port.uart.read(LSR) & 0x60, 0x60);
});

test("a byte that there is no room for is refused, not dropped, and who waits with it is woken once there is", () => {
  const port = new TestPort().open(0);
  const sent: number[] = [];
  for (let n = 0; n < 3 * UART_OUTPUT_SIZE; n++) if (port.uart.write(DATA, n)) sent.push(n & 0xff);
  assert.equal(sent.length, UART_OUTPUT_SIZE);
  assert.equal(port.uart.awaitRoom(5), false);
  assert.equal(port.uart.awaitRoom(0), false);
  assert.equal(port.uart.takeOutput(0).length, 0);
  assert.deepEqual(port.woken, [], "nothing was taken");
  const taken = [...port.uart.takeOutput(1)];
  assert.deepEqual(port.woken, [0, 5]);
  assert.ok(port.uart.awaitRoom(5));
  assert.ok(port.uart.write(DATA, 0xa5));
  assert.ok(!port.uart.write(DATA, 0xa6), "there was room for one");
  for (const [register, value] of [[SCR, 1], [LCR, 3], [MCR, OPEN]] as const) assert.ok(port.uart.write(register, value), "other registers take what they get");
  taken.push(...port.uart.takeOutput(2 * UART_OUTPUT_SIZE));
  assert.deepEqual(taken, [...sent, 0xa5]);
  assert.deepEqual(port.woken, [0, 5], "nobody waited any more");
});

test("with the divisor in its place, or the loop closed, a full port takes writes to its first register", () => {
  const port = new TestPort();
  while (port.uart.write(DATA, 0x20)) continue;
  port.uart.write(LCR, 0x80);
  assert.ok(port.uart.write(DATA, 0x12) && port.uart.awaitRoom(0));
  assert.equal(port.uart.read(DATA), 0x12);
  port.uart.write(LCR, 0);
  port.uart.write(MCR, 0x10);
  assert.ok(port.uart.write(DATA, 0x34));
  assert.equal(port.uart.read(DATA), 0x34);
});

test("received bytes interrupt: at once from the trigger level on, by time-out below it", () => {
  const port = new TestPort().open(1);
  assert.equal(port.uart.putInput(bytesOf("ab")), 2);
  assert.deepEqual(port.lines, [true]);
  assert.equal(port.uart.read(IIR), TIMEOUT);
  assert.equal(port.receive(), "ab");
  assert.deepEqual(port.lines, [true, false]);
  assert.equal(port.uart.read(IIR), NO_INTERRUPT);
  assert.equal(port.uart.putInput(bytesOf("12345678")), 8);
  assert.equal(port.uart.read(IIR), RECEIVED);
});

test("without OUT2 no interrupt comes through", () => {
  const port = new TestPort().open(1);
  port.uart.write(MCR, 3);
  port.uart.putInput(bytesOf("a"));
  assert.deepEqual(port.lines, []);
  port.uart.write(MCR, OPEN);
  assert.deepEqual(port.lines, [true]);
});

test("nothing is given while RTS is off, and the doorbell rings when it comes on", () => {
  const port = new TestPort();
  port.uart.write(IER, 1);
  assert.equal(port.uart.putInput(bytesOf("early")), 0);
  assert.equal(port.rings, 0);
  port.uart.write(MCR, OPEN);
  assert.equal(port.rings, 1);
  assert.equal(port.uart.putInput(bytesOf("early")), 5);
  port.uart.write(MCR, OPEN & ~2);
  assert.equal(port.receive(), "early", "what was given stays");
  assert.equal(port.uart.putInput(bytesOf("more")), 0);
});

test("more is given only after the guest has seen the receiver empty", () => {
  const port = new TestPort().open(1);
  const long = new Uint8Array(UART_INPUT_SIZE + 50).fill(0x61);
  assert.equal(port.uart.putInput(long), UART_INPUT_SIZE);
  assert.equal(port.uart.putInput(bytesOf("b")), 0);
  while (port.uart.read(IIR) !== NO_INTERRUPT && port.rings === 0) port.uart.read(DATA);
  assert.equal(port.rings, 1);
  assert.equal(port.uart.putInput(bytesOf("b")), 1);
});

test("a cleared receiver is empty", () => {
  const port = new TestPort().open(1);
  port.uart.putInput(bytesOf("stale"));
  port.uart.write(FCR, 3);
  assert.equal(port.uart.read(LSR) & 1, 0);
  assert.deepEqual(port.lines, [true, false]);
});

test("ports do not touch each other", () => {
  const pages = Math.ceil((KVM_BLOCK_BASE + KVM_BLOCK_SIZE) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const signals = { setLine: () => undefined, ringDevice: () => undefined, wakeSender: () => undefined };
  const ports = Array.from({ length: 8 }, (_, index) => new Uart(memory, index, signals));
  for (const [index, port] of ports.entries()) {
    port.write(SCR, index);
    port.write(MCR, 2);
    port.write(DATA, 0x30 + index);
    assert.equal(port.putInput(Uint8Array.of(0x40 + index)), 1);
  }
  assert.deepEqual(ports.map((port) => [port.read(SCR), port.read(DATA), ...port.takeOutput(9)]), ports.map((_, index) => [index, 0x40 + index, 0x30 + index]));
});
