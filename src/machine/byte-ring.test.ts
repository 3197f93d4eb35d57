/** The ring under two threads: this file is both the tests and the producer's thread. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { RING_CAPACITY } from "../abi/channels.js";
import { FRAMES_BASE } from "../abi/layout.js";
import { createTestMemory } from "../exit/test-memory.raw.js";
import { ByteRing } from "./byte-ring.raw.js";

const TOTAL_BYTES = 3_000_000;

/** Byte `n` of the stream; its period is prime, so that a lost or doubled piece shows. */
function byteAt(n: number): number {
  return n % 251;
}

function produce(ring: ByteRing): void {
  let sent = 0;
  for (let round = 0; sent < TOTAL_BYTES; round++) {
    const chunk = Uint8Array.from({ length: Math.min(1 + (round * 7919) % 5000, TOTAL_BYTES - sent) }, (_, i) => byteAt(sent + i));
    for (let done = 0; done < chunk.length;) done += ring.push(chunk.subarray(done));
    sent += chunk.length;
  }
}

function consume(ring: ByteRing): void {
  let received = 0;
  for (let round = 0; received < TOTAL_BYTES; round++) {
    const bytes = ring.peek(1 + (round * 104729) % 9000);
    const taken = Math.ceil(bytes.length / 2);
    for (let i = 0; i < taken; i++) {
      if (bytes[i] !== byteAt(received + i)) assert.fail(`byte ${received + i} is ${bytes[i]}`);
    }
    ring.take(taken);
    received += taken;
  }
  assert.equal(ring.lengthBytes, 0);
}

if (!isMainThread) {
  produce(new ByteRing(workerData as WebAssembly.Memory, 1));
} else {
  test("bytes arrive whole and in order from another thread", async () => {
    const memory = createTestMemory(FRAMES_BASE);
    const worker = new Worker(new URL(import.meta.url), { workerData: memory });
    const ended = new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
    consume(new ByteRing(memory, 1));
    await ended;
  });

  test("a full ring takes nothing, and what it gives back has room again", () => {
    const ring = new ByteRing(createTestMemory(FRAMES_BASE), 0);
    assert.equal(ring.push(new Uint8Array(RING_CAPACITY + 5)), RING_CAPACITY);
    assert.equal(ring.push(Uint8Array.of(1)), 0);
    ring.take(3);
    assert.equal(ring.push(Uint8Array.of(7, 8, 9, 10)), 3);
    ring.take(RING_CAPACITY - 3);
    assert.deepEqual([...ring.peek(10)], [7, 8, 9]);
  });

  test("the rings of two consoles do not overlap", () => {
    const memory = createTestMemory(FRAMES_BASE);
    const [first, second] = [new ByteRing(memory, 0), new ByteRing(memory, 1)];
    first.push(new Uint8Array(RING_CAPACITY).fill(1));
    second.push(new Uint8Array(RING_CAPACITY).fill(2));
    assert.ok(first.peek(RING_CAPACITY).every((byte) => byte === 1));
    assert.ok(second.peek(RING_CAPACITY).every((byte) => byte === 2));
  });
}
