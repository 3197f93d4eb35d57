/** The part of JavaScript's syntax tree that the instrumentation looks at, and walks over it. */
import { parse } from "acorn";

/** A node of the tree; `start` and `end` are offsets in the text. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** Parses a module. Throws SyntaxError. */
export function parseModule(text: string): SyntaxNode {
  return parse(text, { ecmaVersion: "latest", sourceType: "module" }) as unknown as SyntaxNode;
}

/** Whether a value of a field is a node. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** The nodes right below a node, in the order of the text. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (const value of Object.values(node)) {
    if (isNode(value)) children.push(value);
    else if (Array.isArray(value)) children.push(...value.filter(isNode));
  }
  return children.sort((a, b) => a.start - b.start);
}

/** The child in field `field`; undefined = none. */
export function child(node: SyntaxNode, field: string): SyntaxNode | undefined {
  const value = node[field];
  return isNode(value) ? value : undefined;
}

/** The children in a list field. */
export function childList(node: SyntaxNode, field: string): SyntaxNode[] {
  const value = node[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The name that an identifier or a private name has; undefined = it is something else. */
export function nameOf(node: SyntaxNode | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (node.type === "Identifier") return String(node["name"]);
  return node.type === "PrivateIdentifier" ? `#${String(node["name"])}` : undefined;
}

/** Whether a node is a function of any kind. */
export function isFunction(node: SyntaxNode): boolean {
  return /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}
