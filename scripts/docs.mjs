/**
 * Writes the tables of docs/ that are made from the source: instructions.md, control.md, cpuid.md, hypercalls.md, protocols.md, and those of
 * page-lifetimes.md. Usage, after a build: node scripts/docs.mjs
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { protocolsDocument, questionsTable, Verdicts } from "../dist/explore/protocols/document.js";
import { exploreFaults, faultsTable, withPart } from "../dist/explored/document.js";
import { generatedDocuments } from "../dist/tidy/documents.js";

const docs = fileURLToPath(new URL("../docs/", import.meta.url));

function write(name, text) {
  writeFileSync(join(docs, name), text);
  process.stdout.write(`docs/${name}: ${text.split("\n").length - 1} lines\n`);
}

for (const [name, text] of Object.entries(generatedDocuments())) write(name, text);
const verdicts = new Verdicts();
write("protocols.md", protocolsDocument(verdicts));
const faults = await exploreFaults(({ fault, verdict }) => process.stdout.write(`${fault.id} in ${fault.scenario}: ${verdict}\n`));
const lifetimes = withPart(readFileSync(join(docs, "page-lifetimes.md"), "utf8"), "questions", questionsTable(verdicts));
write("page-lifetimes.md", withPart(lifetimes, "faults", faultsTable(faults)));
