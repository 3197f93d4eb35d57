import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { collectGarbageSoon } from "./garbage.js";

test("what nobody refers to is collected a moment later, and the collector is not left lying about", async () => {
  let memory: object | undefined = new SharedArrayBuffer(1 << 20);
  const reference = new WeakRef(memory);
  memory = undefined;
  collectGarbageSoon();
  collectGarbageSoon();
  for (let wait = 0; wait < 100 && reference.deref() !== undefined; wait++) await delay(20);
  assert.equal(reference.deref(), undefined);
  assert.equal((globalThis as { gc?: unknown }).gc, undefined);
});
