/** Text of docs/hypercalls.md: the hypercall table, and what the `@hypercall` tags by the handlers say about each operation. */
import { HYPERCALL_NAMES } from "../abi/xen/index.js";
import type { HypercallFamily } from "./context.js";
import { HYPERCALLS } from "./table.js";

const HEAD = `# Hypercalls

Made from \`src/hypercall/table.ts\` and the \`@hypercall\` tags by the handlers, by \`node scripts/docs.mjs\`; a test fails when it is out of date.
Whatever is not offered answers -ENOSYS and is counted by name (\`hypercalls\` of the statistics).
`;

const TAG = /@hypercall (\w+) (yes|partial\(([^)]*)\)|no\b:? ?([^\n*]*))/g;

/** What a tag says. */
interface Tag {
  readonly offered: "yes" | "partly" | "no";
  readonly reason: string;
}

/** The tags in the texts of this room's source files, by the operation's name. Throws where one operation has two. */
export function readTags(sources: readonly string[]): ReadonlyMap<string, Tag> {
  const tags = new Map<string, Tag>();
  for (const [, name = "", word = "", partly, no] of sources.flatMap((text) => [...text.matchAll(TAG)])) {
    if (tags.has(name)) throw new Error(`@hypercall ${name}: expected one tag, found a second`);
    const offered = word === "yes" ? "yes" : partly === undefined ? "no" : "partly";
    tags.set(name, { offered, reason: (partly ?? no ?? "").trim() });
  }
  return tags;
}

/** Name of an operation as its tag and the statistics spell it. */
function operationName(family: HypercallFamily, operation: number): string {
  return family.names[operation] ?? HYPERCALL_NAMES[family.number] ?? `hypercall_${family.number}`;
}

/** Operations with a handler and no tag, or the other way round. Both lists are empty in a sound tree. */
export function tagMismatches(tags: ReadonlyMap<string, Tag>): { readonly untagged: string[]; readonly unhandled: string[] } {
  const handled = [...HYPERCALLS.values()].flatMap((family) => Object.keys(family.handlers).map((operation) => operationName(family, Number(operation))));
  return { untagged: handled.filter((name) => !tags.has(name)), unhandled: [...tags.keys()].filter((name) => !handled.includes(name)) };
}

function familyTable(family: HypercallFamily, tags: ReadonlyMap<string, Tag>): string {
  const operations = new Set([...Object.keys(family.names), ...Object.keys(family.handlers)].map(Number));
  const lines = [...operations].sort((a, b) => a - b).map((operation) => {
    const name = operationName(family, operation);
    const { offered, reason } = tags.get(name) ?? { offered: "no", reason: "" };
    return `| ${family.subOperation === undefined ? "" : operation} | ${name} | ${offered} | ${reason} |`;
  });
  const title = `## ${family.number} ${HYPERCALL_NAMES[family.number] ?? ""}`.trimEnd();
  return `${title}\n\n| Operation | Name | Offered | |\n|---|---|---|---|\n${lines.join("\n")}\n`;
}

/** The whole document; `sources` are the texts of this room's source files. */
export function hypercallsDocument(sources: readonly string[]): string {
  const tags = readTags(sources);
  const families = [...HYPERCALLS.values()].sort((a, b) => a.number - b.number);
  const refused = Object.entries(HYPERCALL_NAMES).filter(([number]) => !HYPERCALLS.has(Number(number))).map(([number, name]) => `${name} (${number})`);
  return [HEAD, ...families.map((family) => familyTable(family, tags)), `## Not offered\n\n${refused.join(", ")}.\n`].join("\n");
}
