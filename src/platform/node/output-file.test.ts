import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OutputFile } from "./output-file.js";

const folder = mkdtempSync(join(tmpdir(), "unpinned-output-"));
after(() => rmSync(folder, { recursive: true }));

test("what a file had stays until it is written", async () => {
  const path = join(folder, "kept");
  writeFileSync(path, "earlier, and longer");
  const file = await OutputFile.prepare(path, "profile");
  assert.equal(readFileSync(path, "utf8"), "earlier, and longer");
  await file.discard();
  assert.equal(readFileSync(path, "utf8"), "earlier, and longer");
  await file.write("now");
  assert.equal(readFileSync(path, "utf8"), "now");
});

test("a file that was made for nothing is taken away", async () => {
  const path = join(folder, "new");
  const file = await OutputFile.prepare(path, "profile");
  assert.ok(existsSync(path));
  await file.discard();
  assert.ok(!existsSync(path));
});

test("a path that cannot be written is told in one line", async () => {
  await assert.rejects(OutputFile.prepare(folder, "profile"), { code: "ERR_OUTPUT_FILE", message: `cannot write the profile ${folder}: it is a directory` });
  const path = join(folder, "absent", "p.json");
  await assert.rejects(OutputFile.prepare(path, "profile"), { code: "ERR_OUTPUT_FILE", message: `cannot write the profile ${path}: no such folder` });
});
