/** The documents of docs/ that are made from the source. They are committed; documents.test.ts fails when one is out of date. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { instructionsDocument } from "../cpu/generate/support-list.js";
import { cpuidDocument } from "../exit/support-tables.js";
import { hypercallsDocument } from "../hypercall/support-table.js";
import { controlDocument } from "../machine/control/index.js";

/** The repository's root, seen from dist/tidy. */
export const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** Texts of the hypercall room's source files, whose tags say what is offered. */
export function hypercallSources(): string[] {
  const folder = join(REPOSITORY, "src/hypercall");
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.endsWith(".ts")).sort();
  // The file that reads the tags has one in its own text.
  return files.filter((name) => name !== "support-table.ts").map((name) => readFileSync(join(folder, name), "utf8"));
}

/** Text of each document, by its name in docs/. */
export function generatedDocuments(): Readonly<Record<string, string>> {
  return {
    "instructions.md": instructionsDocument(),
    "control.md": controlDocument(),
    "cpuid.md": cpuidDocument(),
    "hypercalls.md": hypercallsDocument(hypercallSources()),
  };
}
