import assert from "node:assert/strict";
import { test } from "node:test";
import { PushedStream } from "./pushed-stream.js";

const bytes = (length: number): Uint8Array => new Uint8Array(length);

test("without a reader the newest bytes are kept for the first one, and all count as taken", async () => {
  let taken = 0;
  const stream = new PushedStream({ keptUnreadBytes: 10, onTaken: (length) => (taken += length) });
  for (const length of [6, 6, 4]) stream.push(bytes(length));
  assert.equal(taken, 16);
  const reader = stream.readable.getReader();
  assert.equal((await reader.read()).value!.length, 6);
  assert.equal((await reader.read()).value!.length, 4);
  stream.push(bytes(3));
  assert.equal(taken, 16, "a reader is there: taken when read");
  await reader.read();
  assert.equal(taken, 19);
});

test("a cancelled stream takes what still comes", async () => {
  let taken = 0;
  const stream = new PushedStream({ onTaken: (length) => (taken += length) });
  stream.push(bytes(5));
  assert.equal(taken, 0);
  await stream.readable.cancel();
  stream.push(bytes(2));
  assert.equal(taken, 7);
});

test("the end comes behind what was pushed before it, an error too", async () => {
  const closed = new PushedStream({ onTaken: () => undefined });
  closed.push(bytes(1));
  closed.close();
  closed.push(bytes(9));
  const read: number[] = [];
  for await (const chunk of closed.readable) read.push(chunk.length);
  assert.deepEqual(read, [1]);
  const failed = new PushedStream({ onTaken: () => undefined });
  const reader = failed.readable.getReader();
  const reading = reader.read();
  failed.fail(new Error("gone"));
  await assert.rejects(reading, /gone/);
});

test("bytes that count as taken are never counted again", async () => {
  let taken = 0;
  const stream = new PushedStream({ keptUnreadBytes: 4, onTaken: (length) => (taken += length) });
  stream.pushTaken(bytes(3));
  stream.pushTaken(bytes(4));
  const reader = stream.readable.getReader();
  assert.equal((await reader.read()).value!.length, 4);
  stream.pushTaken(bytes(2));
  assert.equal((await reader.read()).value!.length, 2);
  assert.equal(taken, 0);
});
