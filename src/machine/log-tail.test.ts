import assert from "node:assert/strict";
import { test } from "node:test";
import { LogTail } from "./log-tail.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test("the last 64 KiB are kept, and not much more", () => {
  const log = new LogTail();
  for (let n = 0; n < 5000; n++) log.push(encode(`line ${String(n).padStart(5, "0")} of some length, so that it adds up\n`));
  const text = log.text();
  assert.ok(text.endsWith("line 04999 of some length, so that it adds up\n"));
  assert.ok(text.length >= 0x1_0000 && text.length < 0x1_0000 + 100, `${text.length}`);
});

test("the end of a panic is found across chunks, in the kernel's own line only", () => {
  const line = "\r\n[    1.234567] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\r\n";
  for (let cut = 1; cut < line.length - 1; cut++) {
    const log = new LogTail();
    log.push(encode(line.slice(0, cut)));
    log.push(encode(line.slice(cut)));
    assert.ok(log.isPanickedForever, `cut at ${cut}`);
  }
  const other = new LogTail();
  other.push(encode("echo ---[ end Kernel panic - not syncing\r\n[    1.0] Kernel panic - not syncing: x\r\n"));
  assert.equal(other.isPanickedForever, false);
});
