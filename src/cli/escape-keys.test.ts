import assert from "node:assert/strict";
import { test } from "node:test";
import { EscapeKeys } from "./escape-keys.js";

/** What comes out for typed text, commands in brackets. */
function type(...chunks: string[]): string {
  const keys = new EscapeKeys();
  let result = "";
  for (const chunk of chunks) {
    for (const event of keys.split(new TextEncoder().encode(chunk))) {
      result += "command" in event ? `[${event.command}]` : new TextDecoder().decode(event.bytes);
    }
  }
  return result;
}

test("Ctrl-A and a key are for us, everything else passes", () => {
  assert.equal(type("ls\r\x03\x01xq"), "ls\r\x03[quit]q");
  assert.equal(type("\x01h\x01c\x01?"), "[help][monitor][help]");
});

test("the key may come in another chunk", () => {
  assert.equal(type("a\x01", "x"), "a[quit]");
});

test("Ctrl-A a and Ctrl-A Ctrl-A send one Ctrl-A, unknown keys are dropped", () => {
  assert.equal(type("\x01a|\x01\x01|\x01z|"), "\x01|\x01||");
});
