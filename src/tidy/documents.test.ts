/** The generated documents of docs/ say what the source says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseArguments } from "../cli/arguments.js";
import { STATUS_TABLE } from "../cli/exit-status.js";
import { readTags, tagMismatches } from "../hypercall/support-table.js";
import * as library from "../machine/index.js";
import { generatedDocuments, hypercallSources, REPOSITORY } from "./documents.js";

for (const [name, text] of Object.entries(generatedDocuments())) {
  test(`docs/${name} is up to date`, () => {
    const committed = readFileSync(join(REPOSITORY, "docs", name), "utf8");
    assert.ok(committed === text, `docs/${name} is out of date: run node scripts/docs.mjs and commit what it writes`);
  });
}

test("every hypercall operation has a handler and a tag, or neither", () => {
  const { untagged, unhandled } = tagMismatches(readTags(hypercallSources()));
  assert.deepEqual(untagged, [], "handlers without a @hypercall tag");
  assert.deepEqual(unhandled, [], "@hypercall tags without a handler");
});

test("two tags for one operation are refused", () => {
  assert.throws(() => readTags(["/** @hypercall A yes */", "/** @hypercall A partial(x) */"]), /second/);
});

test("a tag gives its reason", () => {
  const tags = readTags(["/** @hypercall A partial(some) */ /** @hypercall B no: because. */\n/** @hypercall C yes */"]);
  assert.deepEqual([...tags.values()], [
    { offered: "partly", reason: "some" }, { offered: "no", reason: "because." }, { offered: "yes", reason: "" },
  ]);
});

test("docs/cli.md names every option of the help, and every status", () => {
  const parsed = parseArguments(["run", "--help"], "0");
  assert.ok("text" in parsed);
  const document = readFileSync(join(REPOSITORY, "docs/cli.md"), "utf8");
  const options = [...parsed.text.matchAll(/^ {2}(?:-\w, )?(--[a-z]+)/gm)].map((match) => match[1]!);
  assert.ok(options.length > 5, parsed.text);
  assert.deepEqual(options.filter((option) => !document.includes(`\`${option}`)), []);
  assert.deepEqual(STATUS_TABLE.filter(({ status }) => !document.includes(`| ${status} |`)), []);
});

test("docs/api.md names every export of the library", () => {
  const document = readFileSync(join(REPOSITORY, "docs/api.md"), "utf8");
  assert.deepEqual(Object.keys(library).filter((name) => !document.includes(name)), []);
});
