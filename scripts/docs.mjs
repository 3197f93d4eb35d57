/**
 * Writes the tables of docs/ that are made from the source: instructions.md, control.md, cpuid.md, hypercalls.md, protocols.md.
 * Usage, after a build: node scripts/docs.mjs
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { protocolsDocument } from "../dist/explore/protocols/document.js";
import { generatedDocuments } from "../dist/tidy/documents.js";

const docs = fileURLToPath(new URL("../docs/", import.meta.url));
for (const [name, text] of Object.entries({ ...generatedDocuments(), "protocols.md": protocolsDocument() })) {
  writeFileSync(join(docs, name), text);
  process.stdout.write(`docs/${name}: ${text.split("\n").length - 1} lines\n`);
}
