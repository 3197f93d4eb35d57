import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FileCache, makeNativeCode } from "../platform/node/index.js";
import { loadCore } from "./kept-code.js";

/** A module of one function, which does nothing. */
const NOTHING = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 4, 1, 2, 0, 0x0b);

test("the core comes with the machine code that the build has made, so none is to be kept", { skip: makeNativeCode(() => new WebAssembly.Module(NOTHING)) === undefined ? "the engine does not give machine code away" : false }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-core-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const { keep } = await loadCore(new FileCache(folder));
  assert.equal(keep, undefined);
  assert.deepEqual(readdirSync(folder), []);
});
