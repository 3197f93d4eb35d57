/**
 * From the text that ships to the text that is explored: every function that may come to a shared access becomes a generator function, and
 * every call of one waits for it (yield*). Nothing else changes. `strip.ts` is the way back, by which a test proves just that.
 *
 *     lock(words, index);                      (yield* $(lock(words, index)));
 *     get epoch() { return load(…); }          get epoch() { return $refuse("epoch"); } *epoch$get() { return (yield* $(load(…))); }
 *     this.epoch                               (yield* $get(this, "epoch"))
 *     const { epoch, words } = this;           const { epoch, words } = (yield* $take(this, ["epoch", "words"]));
 *     pages.forEach((page) => cut(page))       (yield* $each("forEach", pages, (function* $value(page) { return (yield* $(cut(page))); }).bind(this)))
 *
 * A constructor cannot yield: what it does is done at once (`$now`), so scenarios make their objects before the threads begin.
 */
import MagicString from "magic-string";
import { elementFunction, findFunctions, forOwnNodes, isAccessCall, isAccessPattern, keysOf, markFunctions } from "./functions.js";
import type { AccessNames, FoundFunction } from "./functions.js";
import { child, childList, nameOf, parseModule } from "./syntax.js";
import type { SyntaxNode } from "./syntax.js";

/** A module of the build: its path, and its JavaScript. */
export interface ModuleText {
  readonly path: string;
  readonly text: string;
}

/** What is instrumented how. */
export interface InstrumentOptions {
  /** Names of the seam's functions and methods that are shared accesses. */
  readonly seamNames: Iterable<string>;
  /** Names of the stand-ins' properties that are shared accesses. */
  readonly seamGetters: Iterable<string>;
  /** What an import of `specifier` in the module at `path` becomes. */
  readonly importOf: (specifier: string, path: string) => string;
  /** Where the runtime's functions come from, as seen from the module at `path`. */
  readonly runtimeOf: (path: string) => string;
}

/** Instruments a set of modules together. Throws Error where the text uses what cannot be instrumented. */
export function instrument(modules: readonly ModuleText[], options: InstrumentOptions): ModuleText[] {
  const names: AccessNames = { calls: new Set(options.seamNames), getters: new Set(options.seamGetters) };
  const parsed = modules.map((module) => {
    const tree = parseModule(module.text);
    return { ...module, tree, functions: findFunctions(tree) };
  });
  markFunctions(parsed.map(({ functions }) => functions), names);
  return parsed.map(({ path, text, tree, functions }) => ({ path, text: new Rewriting(path, text, names, functions).rewrite(tree, options) }));
}

/** One module being rewritten. */
class Rewriting {
  readonly #path: string;
  readonly #text: string;
  readonly #edit: MagicString;
  readonly #names: AccessNames;
  readonly #functions: ReadonlyMap<SyntaxNode, FoundFunction>;

  constructor(path: string, text: string, names: AccessNames, functions: readonly FoundFunction[]) {
    this.#path = path;
    this.#text = text;
    this.#edit = new MagicString(text);
    this.#names = names;
    this.#functions = new Map(functions.map((found) => [found.node, found]));
  }

  rewrite(tree: SyntaxNode, options: InstrumentOptions): string {
    for (const statement of childList(tree, "body")) this.#rewriteImport(statement, options);
    this.#rewriteOwn(tree, undefined);
    for (const found of this.#functions.values()) {
      this.#rewriteOwn(found.node, found);
      if (found.mayAccess) this.#makeGenerator(found);
    }
    this.#edit.prepend(`import { $, $each, $get, $now, $refuse, $take } from "${options.runtimeOf(this.#path)}";\n`);
    return this.#edit.toString();
  }

  #rewriteImport(statement: SyntaxNode, { importOf }: InstrumentOptions): void {
    const source = child(statement, "source");
    if (source === undefined) return;
    this.#edit.overwrite(source.start, source.end, JSON.stringify(importOf(String(source["value"]), this.#path)));
  }

  #rewriteOwn(root: SyntaxNode, inside: FoundFunction | undefined): void {
    forOwnNodes(root, (node, above) => {
      if (node.type === "CallExpression") this.#rewriteCall(node, above, inside);
      if (node.type === "MemberExpression") this.#rewriteGetter(node, above, inside);
      if (node.type === "VariableDeclarator") this.#rewritePattern(node, inside);
    });
  }

  #rewriteCall(call: SyntaxNode, above: SyntaxNode | undefined, inside: FoundFunction | undefined): void {
    const handed = elementFunction(call, this.#functions, this.#names);
    if (handed !== undefined) return this.#rewriteElementCall(call, inside);
    if (!isAccessCall(call, this.#names, inside)) return;
    // A chain is one expression: what stands behind its ?. is left out together.
    const whole = above?.type === "ChainExpression" ? above : call;
    if (whole === call && above !== undefined && isInsideChain(above, call)) this.#refuse(call, "a call in the middle of a chain behind ?.");
    this.#wrap(whole, "$(", ")", inside);
  }

  #rewriteElementCall(call: SyntaxNode, inside: FoundFunction | undefined): void {
    const callee = child(call, "callee")!;
    const object = child(callee, "object")!;
    const [first] = childList(call, "arguments");
    if (callee["optional"] === true) this.#refuse(call, "an element method behind ?.");
    const method = nameOf(child(callee, "property"))!;
    this.#edit.overwrite(object.end, first!.start, ", ");
    this.#wrap(call, `$each("${method}", `, ")", inside, true);
  }

  #rewriteGetter(member: SyntaxNode, above: SyntaxNode | undefined, inside: FoundFunction | undefined): void {
    const name = nameOf(child(member, "property"));
    if (name === undefined || !this.#names.getters.has(name)) return;
    const isTarget = above?.type === "AssignmentExpression" && child(above, "left") === member;
    const isCallee = above?.type === "CallExpression" && child(above, "callee") === member;
    if (isTarget || isCallee || member["computed"] === true) return;
    if (name.startsWith("#")) this.#refuse(member, "a private getter");
    const object = child(member, "object")!;
    this.#edit.overwrite(object.end, member.end, `, "${name}"`);
    this.#wrap(member, "$get(", ")", inside);
  }

  /** A pattern that takes a property which may have become a generator method out of an object. */
  #rewritePattern(declarator: SyntaxNode, inside: FoundFunction | undefined): void {
    if (!isAccessPattern(declarator, this.#names)) return;
    const keys = keysOf(child(declarator, "id")!);
    if (keys.includes(undefined)) this.#refuse(declarator, "a pattern with a rest or a computed key");
    this.#wrap(child(declarator, "init")!, "$take(", `, ${JSON.stringify(keys)})`, inside);
  }

  #wrap(node: SyntaxNode, before: string, after: string, inside: FoundFunction | undefined, hasOwnEnd = false): void {
    const mayYield = inside !== undefined && inside.role !== "constructor";
    const head = mayYield ? `(yield* ${before}` : `$now(${before}`;
    this.#edit.appendRight(node.start, head);
    // The call's own closing parenthesis is the one of $each.
    this.#edit.appendLeft(node.end, hasOwnEnd ? ")" : `${after})`);
  }

  #makeGenerator(found: FoundFunction): void {
    const { node, owner, role } = found;
    if (role === "constructor") return;
    if (role === "arrow") return this.#makeBoundGenerator(node);
    if (role === "function") {
      const keyword = node.start + this.#text.slice(node.start, node.end).indexOf("function");
      this.#edit.appendLeft(keyword + "function".length, "*");
      return;
    }
    const key = child(owner, "key")!;
    if (role === "getter") {
      const get = this.#text.lastIndexOf("get ", key.start);
      const name = nameOf(key)!;
      // Who takes it in a way that cannot be rewritten (a parameter's pattern) is told, and does not get undefined.
      this.#edit.overwrite(get, key.end, `${name.startsWith("#") ? "" : `get ${name}() { return $refuse("${name}"); } `}*${name}$get`);
    } else {
      this.#edit.appendRight(key.start, "*");
    }
  }

  /** `$value` names one whose body was an expression. */
  #makeBoundGenerator(arrow: SyntaxNode): void {
    const body = child(arrow, "body")!;
    const parameters = childList(arrow, "params").map((parameter) => this.#text.slice(parameter.start, parameter.end)).join(", ");
    const isBlock = body.type === "BlockStatement";
    const bodyStart = isBlock ? body.start : this.#expressionStart(arrow, body);
    const bodyEnd = isBlock ? body.end : arrow.end;
    this.#edit.overwrite(arrow.start, bodyStart, `(function* ${isBlock ? "" : "$value"}(${parameters}) ${isBlock ? "" : "{ return ("}`);
    this.#edit.appendLeft(bodyEnd, `${isBlock ? "" : "); }"}).bind(this)`);
  }

  /** An expression body may stand in parentheses of its own, which belong to the arrow and not to the expression. */
  #expressionStart(arrow: SyntaxNode, body: SyntaxNode): number {
    const between = this.#text.slice(arrow.start, body.start);
    return arrow.start + between.lastIndexOf("=>") + "=>".length;
  }

  #refuse(node: SyntaxNode, what: string): never {
    const line = this.#text.slice(0, node.start).split("\n").length;
    throw new Error(`${this.#path}:${line}: ${what} cannot be instrumented: write it in two steps`);
  }
}

/** Whether `call` is the object of a longer chain whose ?. stands before it. */
function isInsideChain(above: SyntaxNode, call: SyntaxNode): boolean {
  const isContinued = (above.type === "MemberExpression" && child(above, "object") === call) || (above.type === "CallExpression" && child(above, "callee") === call);
  if (!isContinued) return false;
  for (let at: SyntaxNode | undefined = call; at !== undefined; at = child(at, "callee") ?? child(at, "object")) if (at["optional"] === true) return true;
  return false;
}
