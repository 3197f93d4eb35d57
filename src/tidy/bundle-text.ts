/**
 * Whether a bundle's text is that of the compiled modules: their statements, compared as trees. What esbuild may change is taken out of both: it
 * gives another name to what would have the name of something in another module (a number behind it), makes a class declaration a variable
 * with a class expression (whose own name has a "_" before it), writes undefined as void 0, and leaves out what nobody uses.
 */
import { parse } from "acorn";

type Tree = { [name: string]: unknown; type?: string };

const LEFT_OUT = new Set(["start", "end", "raw", "shorthand"]);

/** Each top-level statement of a module as text that is equal where the statements are. Imports and lists of exports are left out. */
export function statementsOf(text: string): string[] {
  const { body } = parse(text, { ecmaVersion: "latest", sourceType: "module" }) as unknown as { readonly body: readonly Tree[] };
  return body.flatMap((statement) => declarationOf(statement)).map((statement) => JSON.stringify(plain(statement)));
}

/** A bundle's parts, by the path of the module that each is made of, as esbuild writes it above. */
export function partsOf(bundle: string): ReadonlyMap<string, string> {
  const parts = bundle.split(/^\/\/ (dist\/\S+\.js)$/m);
  return new Map(Array.from({ length: (parts.length - 1) / 2 }, (_, index) => [parts[2 * index + 1]!, parts[2 * index + 2]!]));
}

function declarationOf(statement: Tree): Tree[] {
  if (statement.type === "ImportDeclaration" || statement.type === "ExportAllDeclaration") return [];
  if (statement.type !== "ExportNamedDeclaration") return asVariables(statement);
  return statement["declaration"] === null ? [] : asVariables(statement["declaration"] as Tree);
}

function asVariables(statement: Tree): Tree[] {
  if (statement.type === "ClassDeclaration") {
    return [{ type: "variable", id: statement["id"], init: { ...statement, type: "ClassExpression", id: null } }];
  }
  if (statement.type !== "VariableDeclaration") return [statement];
  return (statement["declarations"] as Tree[]).map(({ id, init }) => {
    const value = init as Tree | null;
    return { type: "variable", id, init: value?.type === "ClassExpression" ? { ...value, id: null } : value };
  });
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const node = value as Tree;
  // Hexadecimal or decimal, with separators or without: the value says it.
  if (node.type === "Literal" && node["bigint"] !== undefined) return { type: "Literal", value: `${BigInt(String(node["bigint"]))}n` };
  if (node.type === "UnaryExpression" && node["operator"] === "void") return { type: "Identifier", name: "undefined" };
  if (node.type === "Identifier") return { type: "Identifier", name: String(node["name"]).replace(/^_(?=[A-Z])|\d+$/g, "") };
  return Object.fromEntries(Object.entries(node).filter(([name]) => !LEFT_OUT.has(name)).map(([name, part]) => [name, plain(part)]));
}
