/**
 * The way back from instrumented text to the tree of the text it was made from, as a canonical value without offsets. What ships is what is
 * explored if, and only if, `shapeOf(shipped)` and `strippedShapeOf(explored)` are equal.
 */
import { child, childList, isNode, nameOf, parseModule } from "./syntax.js";
import type { SyntaxNode } from "./syntax.js";

/** A tree without places. */
export type Shape = { readonly [field: string]: Shape } | readonly Shape[] | string | number | boolean | bigint | null;

/** Fields that say where something stands or how it was written, and what only instrumentation touches. */
const LEFT_OUT = new Set(["start", "end", "raw"]);

/** The tree of a text. Import specifiers are left out: they are what the instrumented modules are wired by. */
export function shapeOf(text: string): Shape {
  return moduleShape(parseModule(text), (node) => node);
}

/** The tree of an instrumented text, with the instrumentation taken out. */
export function strippedShapeOf(text: string): Shape {
  return moduleShape(parseModule(text), strip);
}

function moduleShape(tree: SyntaxNode, change: (node: SyntaxNode) => SyntaxNode): Shape {
  const statements = childList(tree, "body").filter((statement) => !isRuntimeImport(statement));
  return statements.map((statement) => toShape(statement, change));
}

function isRuntimeImport(statement: SyntaxNode): boolean {
  return statement.type === "ImportDeclaration" && childList(statement, "specifiers").some((specifier) => nameOf(child(specifier, "local")) === "$now");
}

function toShape(value: unknown, change: (node: SyntaxNode) => SyntaxNode): Shape {
  if (Array.isArray(value)) return value.filter((element) => !isRefusal(element)).map((element) => toShape(element, change));
  if (!isNode(value)) return value === undefined || value instanceof RegExp ? String(value) : value as Shape;
  const node = change(value);
  const isModuleName = /^(?:Import|Export)\w*Declaration$/.test(node.type);
  const fields = Object.entries(node).filter(([field]) => !LEFT_OUT.has(field) && !(isModuleName && field === "source"));
  return Object.fromEntries(fields.map(([field, inner]) => [field, toShape(inner, change)]));
}

/** A getter that only refuses: put before the method that a getter became. */
function isRefusal(element: unknown): boolean {
  if (!isNode(element) || element.type !== "MethodDefinition" || element["kind"] !== "get") return false;
  const [statement] = childList(child(child(element, "value")!, "body")!, "body");
  const call = statement && child(statement, "argument");
  return call?.type === "CallExpression" && nameOf(child(call, "callee")) === "$refuse";
}

/** Takes one layer of instrumentation off a node. */
function strip(node: SyntaxNode): SyntaxNode {
  if (node.type === "YieldExpression" && node["delegate"] === true) return strip(unwrapped(child(node, "argument")!));
  if (node.type === "ParenthesizedExpression") return strip(child(node, "expression")!);
  if (node.type === "CallExpression") return stripCall(node);
  if (node.type === "MethodDefinition" || node.type === "Property") return stripMethod(node);
  return node["generator"] === true ? { ...node, generator: false } : node;
}

function stripCall(call: SyntaxNode): SyntaxNode {
  const callee = child(call, "callee")!;
  if (nameOf(callee) === "$now") return strip(unwrapped(childList(call, "arguments")[0]!));
  const bound = child(callee, "object");
  const isBound = bound?.type === "FunctionExpression" && bound["generator"] === true && nameOf(child(callee, "property")) === "bind";
  return isBound ? arrowOf(bound) : call;
}

/** What the runtime's functions were put around. */
function unwrapped(node: SyntaxNode): SyntaxNode {
  if (node.type !== "CallExpression") return node;
  const args = childList(node, "arguments");
  switch (nameOf(child(node, "callee"))) {
    case "$":
      return args[0]!;
    case "$take":
      return args[0]!;
    case "$get":
      return memberOf(args[0]!, String(args[1]!["value"]));
    case "$each":
      return { type: "CallExpression", start: 0, end: 0, callee: memberOf(args[1]!, String(args[0]!["value"])), arguments: args.slice(2), optional: false };
    default:
      return node;
  }
}

function memberOf(object: SyntaxNode, name: string): SyntaxNode {
  const property = { type: "Identifier", start: 0, end: 0, name };
  return { type: "MemberExpression", start: 0, end: 0, object, property, computed: false, optional: false };
}

/** A bound generator was an arrow; one that is named `$value` returns what was the arrow's body. */
function arrowOf(bound: SyntaxNode): SyntaxNode {
  const block = child(bound, "body")!;
  const isExpression = nameOf(child(bound, "id")) === "$value";
  return {
    type: "ArrowFunctionExpression", start: 0, end: 0, id: null, expression: isExpression, generator: false, async: false,
    params: bound["params"], body: isExpression ? child(childList(block, "body")[0]!, "argument") : block,
  };
}

function stripMethod(node: SyntaxNode): SyntaxNode {
  const key = child(node, "key");
  const name = nameOf(key);
  const value = child(node, "value");
  if (name?.endsWith("$get") === true && node["kind"] === "method") {
    return { ...node, kind: "get", key: { ...key!, name: name.replace(/^#/, "").slice(0, -"$get".length) } };
  }
  return value?.["generator"] === true && (node["method"] === true || node.type === "MethodDefinition") ? { ...node, value: { ...value, generator: false } } : node;
}
