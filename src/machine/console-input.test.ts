import assert from "node:assert/strict";
import { test } from "node:test";
import { consoleInput, escapeSystemRequests } from "./console-input.js";

test("Ctrl-O goes out twice, everything else as it is", () => {
  assert.deepEqual([...escapeSystemRequests(Uint8Array.of(0x0f, 98, 0x0f, 0x0f))], [0x0f, 0x0f, 98, 0x0f, 0x0f, 0x0f, 0x0f]);
  const plain = Uint8Array.of(0, 1, 14, 16, 255);
  assert.equal(escapeSystemRequests(plain), plain);
});

test("a serial console takes Ctrl-O as it is", () => {
  const typed = Uint8Array.of(0x0f, 98);
  assert.deepEqual([...consoleInput(typed, { personality: "kvm" })], [0x0f, 98]);
  assert.deepEqual([...consoleInput(typed, {})], [0x0f, 0x0f, 98]);
});
