/**
 * Which functions of a set of modules may come to a shared access, found by names: a function does that calls one of the seam's, or one
 * that does, or a function it was handed. Too many is harmless (a call that never yields), too few would leave out an interleaving, and
 * is noticed: the value of such a call would be a generator, on which nothing works.
 */
import { child, childList, childrenOf, isFunction, nameOf } from "./syntax.js";
import type { SyntaxNode } from "./syntax.js";

/** What a function is within its class or module. */
export type FunctionRole = "function" | "method" | "getter" | "constructor" | "arrow";

/** One function of a module. */
export interface FoundFunction {
  readonly node: SyntaxNode;
  /** The node that names it: a method definition, or the function itself. */
  readonly owner: SyntaxNode;
  readonly name: string | undefined;
  readonly role: FunctionRole;
  readonly parent: FoundFunction | undefined;
  readonly parameters: ReadonlySet<string>;
  mayAccess: boolean;
}

/** Array methods that call a function for each element; the runtime has versions that wait for it. */
export const ELEMENT_METHODS = new Set(["map", "forEach", "filter", "flatMap", "some", "every", "find", "reduce"]);

/** Names by which a module set refers to functions that may come to a shared access. */
export interface AccessNames {
  /** Functions and methods, private ones with "#". */
  readonly calls: Set<string>;
  readonly getters: Set<string>;
}

/** All functions below a node. */
export function findFunctions(root: SyntaxNode): FoundFunction[] {
  const found: FoundFunction[] = [];
  const visit = (node: SyntaxNode, owner: SyntaxNode | undefined, name: string | undefined, parent: FoundFunction | undefined): void => {
    let inside = parent;
    if (isFunction(node)) {
      inside = describe(node, owner ?? node, name ?? nameOf(child(node, "id")), parent);
      found.push(inside);
    }
    for (const below of childrenOf(node)) visit(below, ownerOf(node, below), nameGiven(node, below), inside);
  };
  visit(root, undefined, undefined, undefined);
  return found;
}

/** The definition that a function expression belongs to. */
function ownerOf(node: SyntaxNode, below: SyntaxNode): SyntaxNode | undefined {
  const isOwned = (node.type === "MethodDefinition" || (node.type === "Property" && node["method"] === true)) && child(node, "value") === below;
  return isOwned ? node : undefined;
}

/** The name that a definition, a property or a declaration gives to a function. */
function nameGiven(node: SyntaxNode, below: SyntaxNode): string | undefined {
  if (child(node, "value") === below && /^(?:MethodDefinition|PropertyDefinition|Property)$/.test(node.type)) return nameOf(child(node, "key"));
  if (node.type === "VariableDeclarator" && child(node, "init") === below) return nameOf(child(node, "id"));
  return undefined;
}

function describe(node: SyntaxNode, owner: SyntaxNode, name: string | undefined, parent: FoundFunction | undefined): FoundFunction {
  const parameters = new Set(childList(node, "params").flatMap(namesIn));
  return { node, owner, name, role: roleOf(node, owner), parent, parameters, mayAccess: false };
}

function roleOf(node: SyntaxNode, owner: SyntaxNode): FunctionRole {
  if (owner["kind"] === "constructor") return "constructor";
  if (owner["kind"] === "get") return "getter";
  if (owner !== node) return "method";
  return node.type === "ArrowFunctionExpression" ? "arrow" : "function";
}

/** Names that a parameter binds, those inside patterns included. */
function namesIn(pattern: SyntaxNode): string[] {
  if (pattern.type === "Identifier") return [String(pattern["name"])];
  if (pattern.type === "AssignmentPattern") return namesIn(child(pattern, "left")!);
  if (pattern.type === "Property") return namesIn(child(pattern, "value")!);
  return childrenOf(pattern).flatMap(namesIn);
}

/** Calls `visit` for each node of a function's own text, functions inside it left out. */
export function forOwnNodes(root: SyntaxNode, visit: (node: SyntaxNode, above: SyntaxNode | undefined) => void): void {
  const walk = (node: SyntaxNode, above: SyntaxNode | undefined): void => {
    visit(node, above);
    for (const below of childrenOf(node)) if (!isFunction(below)) walk(below, node);
  };
  for (const below of childrenOf(root)) if (!isFunction(below)) walk(below, root);
}

/** Whether a call may come to a shared access, as seen from inside `inside`. */
export function isAccessCall(call: SyntaxNode, names: AccessNames, inside: FoundFunction | undefined): boolean {
  const callee = child(call, "callee")!;
  // A function that is called where it stands.
  if (isFunction(callee)) return true;
  // handlers[number](call): the table's name stands for all that is in it.
  const named = callee["computed"] === true ? child(callee, "object") : callee;
  if (callee.type === "MemberExpression") return names.calls.has(nameOf(named?.type === "MemberExpression" ? child(named, "property") : named) ?? "");
  const name = nameOf(callee);
  return name !== undefined && (names.calls.has(name) || isParameter(name, inside));
}

/** Names of the keys of an object pattern; undefined for what has none. */
export function keysOf(pattern: SyntaxNode): (string | undefined)[] {
  return childList(pattern, "properties").map((property) => (property["computed"] === true ? undefined : nameOf(child(property, "key"))));
}

/** Whether a declaration takes a property that may have become a generator method out of an object. */
export function isAccessPattern(declarator: SyntaxNode, names: AccessNames): boolean {
  const pattern = child(declarator, "id");
  return pattern?.type === "ObjectPattern" && child(declarator, "init") !== undefined && keysOf(pattern).some((key) => key !== undefined && names.getters.has(key));
}

function isParameter(name: string, inside: FoundFunction | undefined): boolean {
  for (let at = inside; at !== undefined; at = at.parent) if (at.parameters.has(name)) return true;
  return false;
}

/** The function that a call of an element method hands over, if it may come to a shared access. */
export function elementFunction(
  call: SyntaxNode, functions: ReadonlyMap<SyntaxNode, FoundFunction>, names: AccessNames,
): SyntaxNode | undefined {
  const callee = child(call, "callee")!;
  const method = callee.type === "MemberExpression" ? nameOf(child(callee, "property")) : undefined;
  const [first, second] = childList(call, "arguments");
  const isFrom = method === "from" && nameOf(child(callee, "object")) === "Array";
  const handed = isFrom ? second : first;
  if (handed === undefined || !(isFrom || ELEMENT_METHODS.has(method ?? ""))) return undefined;
  const isNamed = names.calls.has(nameOf(handed.type === "MemberExpression" ? child(handed, "property") : handed) ?? "");
  return isNamed || functions.get(handed)?.mayAccess === true ? handed : undefined;
}

/** Marks the functions that may come to a shared access, over all modules, until no more are found. */
export function markFunctions(modules: readonly (readonly FoundFunction[])[], names: AccessNames): void {
  for (let hasGrown = true; hasGrown;) {
    hasGrown = false;
    for (const functions of modules) {
      const byNode = new Map(functions.map((found) => [found.node, found]));
      for (const found of functions) {
        if (found.mayAccess || !reachesAccess(found, byNode, names)) continue;
        found.mayAccess = true;
        hasGrown = true;
        noteName(found, names);
      }
    }
  }
}

function noteName({ name, role }: FoundFunction, names: AccessNames): void {
  if (name === undefined || role === "constructor") return;
  (role === "getter" ? names.getters : names.calls).add(name);
}

function reachesAccess(found: FoundFunction, byNode: ReadonlyMap<SyntaxNode, FoundFunction>, names: AccessNames): boolean {
  let reaches = false;
  forOwnNodes(found.node, (node) => {
    if (node.type === "CallExpression") reaches ||= isAccessCall(node, names, found) || elementFunction(node, byNode, names) !== undefined;
    if (node.type === "MemberExpression") reaches ||= names.getters.has(nameOf(child(node, "property")) ?? "");
    if (node.type === "VariableDeclarator") reaches ||= isAccessPattern(node, names);
  });
  return reaches;
}
