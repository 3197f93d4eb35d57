/** Text of docs/instructions.md: the instruction table, a chapter a family, a line a mnemonic. */
import { whyUntested } from "../differential/plan.js";
import { INSTRUCTION_FAMILIES, type InstructionRow } from "../table/index.js";
import { parseForm } from "./forms.js";

const CHAPTERS: Readonly<Record<string, string>> = {
  general: "General instructions", strings: "String instructions", transfer: "Far transfers and system calls",
  system: "System instructions", legacy: "Outside 64-bit mode", x87: "x87 floating point", mmx: "MMX", sse: "SSE", sse2: "SSE2",
  sse3: "SSE3", ssse3: "SSSE3", sse4: "SSE4.1 and SSE4.2",
};

const HEAD = `# Instructions

Made from the instruction table (\`src/cpu/table\`) by \`node scripts/docs.mjs\`; a test fails when it is out of date.

An encoding is written as in the opcode column of the Intel SDM, vol 2: opcode bytes, \`/r\` or \`/0\` to \`/7\` for ModRM, then the operands in
the letters of its appendix A.2 (\`src/cpu/table/format.ts\` lists them). An encoding that is not listed
raises #UD, as on a processor without it. "No vectors" means that the differential tests leave the form out, and why; all others are compared with a real processor.
`;

/** What is worth saying about a row besides its encoding. */
function notesOf(row: InstructionRow): string[] {
  const { feature, lock, not64, only64, undefinedFlags, aligned } = row.options;
  const untested = whyUntested(row);
  return [
    ...(feature === undefined ? [] : [feature]),
    ...(lock === true ? ["LOCK"] : []),
    ...(not64 === true ? ["not in 64-bit mode"] : []),
    ...(only64 === true ? ["64-bit mode only"] : []),
    ...(undefinedFlags === undefined ? [] : [`leaves ${undefinedFlags} undefined`]),
    ...(aligned === undefined ? [] : [`memory aligned to ${aligned}`]),
    ...(untested === undefined ? [] : [`no vectors: ${untested}`]),
  ];
}

/** An encoding, with the notes that only it has among those of its mnemonic. */
function encodingOf(row: InstructionRow, common: readonly string[]): string {
  const operands = row.form.slice(parseForm(row.form).mnemonic.length).trim();
  const own = notesOf(row).filter((note) => !common.includes(note));
  return [`\`${row.opcode}\``, operands, own.length === 0 ? "" : `(${own.join("; ")})`].filter((part) => part !== "").join(" ");
}

/** One line of a chapter: the encodings that share a mnemonic, and the notes that all of them share. */
function lineOf(mnemonic: string, rows: readonly InstructionRow[]): string {
  const [first = [], ...others] = rows.map(notesOf);
  const common = first.filter((note) => others.every((notes) => notes.includes(note)));
  return `| ${mnemonic} | ${rows.map((row) => encodingOf(row, common)).join("<br>")} | ${common.join("; ")} |`;
}

function chapter(family: string, rows: readonly InstructionRow[]): string {
  const groups = new Map<string, InstructionRow[]>();
  for (const row of rows) {
    const { mnemonic } = parseForm(row.form);
    groups.set(mnemonic, [...(groups.get(mnemonic) ?? []), row]);
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([mnemonic, group]) => lineOf(mnemonic, group));
  return `## ${CHAPTERS[family] ?? family}\n\n| Instruction | Encodings | Notes |\n|---|---|---|\n${lines.join("\n")}\n`;
}

/** The whole document. */
export function instructionsDocument(): string {
  const families = Object.entries(INSTRUCTION_FAMILIES);
  const all = families.flatMap(([, rows]) => rows);
  const mnemonics = new Set(all.map((row) => parseForm(row.form).mnemonic)).size;
  const untested = all.filter((row) => whyUntested(row) !== undefined).length;
  const count = `${mnemonics} mnemonics in ${all.length} forms, ${untested} of them without vectors.\n`;
  return [HEAD, count, ...families.map(([family, rows]) => chapter(family, rows))].join("\n");
}
