import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, encodePacket, fromHex, PACKET_BYTES_MAX, type PacketEvent, PacketReader, textOf, toHex } from "./packet.js";

function readAll(text: string, reader = new PacketReader()): PacketEvent[] {
  return reader.read(bytesOf(text));
}

test("a packet has the checksum of gdb's manual, and comes back as it was", () => {
  assert.equal(textOf(encodePacket("OK")), "$OK#9a");
  assert.equal(textOf(encodePacket("")), "$#00");
  const everyByte = textOf(Array.from({ length: 256 }, (_, byte) => byte));
  assert.deepEqual(new PacketReader().read(encodePacket(everyByte)), [{ kind: "packet", data: everyByte, isIntact: true }]);
});

test("special bytes are escaped, the repetition mark too, and the checksum is over what is sent", () => {
  assert.equal(textOf(encodePacket("a#$}*")), "$a}\x03}\x04}]}\x0a#5a".replace(/#..$/, `#${((0x61 + 4 * 0x7d + 3 + 4 + 0x5d + 0xa) & 0xff).toString(16)}`));
});

test("packets come in any pieces, with acknowledgements and interrupts between them", () => {
  const text = "+$g#67\x03-$m10,4#2a";
  const expected = readAll(text);
  assert.deepEqual(expected.map(({ kind }) => kind), ["acknowledged", "packet", "interrupt", "rejected", "packet"]);
  const reader = new PacketReader();
  assert.deepEqual([...text].flatMap((character) => readAll(character, reader)), expected);
});

test("a wrong checksum, and one that is no number, are told", () => {
  for (const text of ["$g#68", "$g#zz", "$g#6 "]) assert.deepEqual(readAll(text), [{ kind: "packet", data: "g", isIntact: false }]);
});

test("a packet that is cut off by the next one is dropped", () => {
  assert.deepEqual(readAll("$m1000$g#67"), [{ kind: "packet", data: "g", isIntact: true }]);
});

test("a packet may have PACKET_BYTES_MAX bytes, and one that has more is told without them", () => {
  const longest = "x".repeat(PACKET_BYTES_MAX);
  assert.deepEqual(new PacketReader().read(encodePacket(longest)), [{ kind: "packet", data: longest, isIntact: true }]);
  const reader = new PacketReader();
  assert.deepEqual(reader.read(encodePacket(`${longest}x`)), [{ kind: "packet", data: undefined, isIntact: true }]);
  assert.deepEqual(readAll("$g#67", reader), [{ kind: "packet", data: "g", isIntact: true }]);
});

test("noise outside packets is passed over", () => {
  assert.deepEqual(readAll("GET / HTTP/1.1\r\n\r\n"), []);
});

test("hexadecimal digits are bytes, and what is none is refused", () => {
  assert.equal(toHex(Uint8Array.of(0, 0xab, 0xff)), "00abff");
  assert.deepEqual(fromHex("00AbfF"), Uint8Array.of(0, 0xab, 0xff));
  assert.deepEqual(["0", "0g", "+1"].map(fromHex), [undefined, undefined, undefined]);
});
