import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, crc32ByTable } from "./crc32.js";

const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * index) >>> 3);

test("the check value of the CRC catalogues comes out both ways", () => {
  const digits = new TextEncoder().encode("123456789");
  assert.equal(crc32(digits), 0xcbf4_3926);
  assert.equal(crc32ByTable(digits), 0xcbf4_3926);
});

test("both ways agree for every length and alignment, in one part and in two", () => {
  for (let length = 0; length < 40; length++) {
    const part = bytes.subarray(length, 2 * length + 7);
    assert.equal(crc32(part), crc32ByTable(part));
    assert.equal(crc32ByTable(part.subarray(5), crc32ByTable(part.subarray(0, 5))), crc32(part));
  }
});
