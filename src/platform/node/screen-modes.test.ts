import assert from "node:assert/strict";
import { test } from "node:test";
import { ScreenModes } from "./screen-modes.js";

function resetAfter(...chunks: string[]): string {
  const modes = new ScreenModes();
  for (const chunk of chunks) modes.note(new TextEncoder().encode(chunk));
  return modes.resetSequence();
}

test("nothing is written for a screen that is as it was", () => {
  assert.equal(resetAfter("plain \x1b[31mred\x1b[0m"), "");
  assert.equal(resetAfter("\x1b[?1049h vi \x1b[?1049l"), "");
});

test("the alternate screen is left and the cursor shown again", () => {
  assert.equal(resetAfter("\x1b[?1049h\x1b[?25l"), "\x1b[?1049l\x1b[?25h\x1b[0m");
  assert.equal(resetAfter("\x1b[?1;2004h"), "\x1b[?1l\x1b[?2004l\x1b[0m");
});

test("a sequence may be cut anywhere", () => {
  const text = "x\x1b[?1049hy";
  for (let cut = 1; cut < text.length; cut++) assert.equal(resetAfter(text.slice(0, cut), text.slice(cut)), "\x1b[?1049l\x1b[0m");
});
