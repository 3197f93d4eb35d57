/** The instrumentation: what it makes of each form, and that taking it out again gives the text that ships. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { optionsFor, readInstrumented, SEAM_GETTERS, SEAM_NAMES } from "./modules.js";
import { instrument } from "./instrument.js";
import { $now, $refuse, setAtOnce } from "./runtime.js";
import type { Access } from "./runtime.js";
import { shapeOf, strippedShapeOf } from "./strip.js";

const OPTIONS = { seamNames: SEAM_NAMES, seamGetters: SEAM_GETTERS, importOf: (specifier: string): string => specifier, runtimeOf: (): string => "runtime" };

function made(text: string): string {
  return instrument([{ path: "x.js", text }], OPTIONS)[0]!.text.split("\n").slice(1).join("\n");
}

test("functions, methods, getters, arrows and element methods that come to a shared access wait for it; others stay as they are", () => {
  assert.equal(made("function f() { return atomicLoad(w, 1); }"), "function* f() { return (yield* $(atomicLoad(w, 1))); }");
  assert.equal(made("function g() { return 1 + h(); } function h() { return 2; }"), "function g() { return 1 + h(); } function h() { return 2; }");
  assert.equal(made("class A { #x = 1; get e() { return atomicLoad(w, this.#x); } m() { return this.e + this.e; } }"),
    "class A { #x = 1; get e() { return $refuse(\"e\"); } *e$get() { return (yield* $(atomicLoad(w, this.#x))); } *m() { return (yield* $get(this, \"e\")) + (yield* $get(this, \"e\")); } }");
  assert.equal(made("class A { static make() { return lock(w, 1); } }"), "class A { static *make() { return (yield* $(lock(w, 1))); } }");
  assert.equal(made("const f = (a) => atomicLoad(w, a);"), "const f = (function* $value(a) { return ( (yield* $(atomicLoad(w, a)))); }).bind(this);");
  assert.equal(made("const f = (pages) => pages.forEach((page) => lock(w, page));"),
    "const f = (function* $value(pages) { return ( (yield* $each(\"forEach\", pages, (function* $value(page) { return ( (yield* $(lock(w, page)))); }).bind(this)))); }).bind(this);");
  assert.equal(made("function f(v) { return v.map(g); } function g() { return atomicLoad(w, 1); }"),
    "function* f(v) { return (yield* $each(\"map\", v, g)); } function* g() { return (yield* $(atomicLoad(w, 1))); }");
  assert.equal(made("const f = (use) => use?.(1);"), "const f = (function* $value(use) { return ( (yield* $(use?.(1)))); }).bind(this);");
});

test("a pattern that takes a property which is waited for waits for it, and who cannot wait is told", () => {
  assert.equal(made("class A { get e() { return atomicLoad(w, 1); } m() { const { e, f } = this; return e + f; } }"),
    'class A { get e() { return $refuse("e"); } *e$get() { return (yield* $(atomicLoad(w, 1))); } *m() { const { e, f } = (yield* $take(this, ["e","f"])); return e + f; } }');
  assert.throws(() => made("class A { get e() { return atomicLoad(w, 1); } m() { const { e, ...f } = this; return f; } }"), /a pattern with a rest/);
  assert.throws(() => $refuse("e"), /expected e to be read where it can be waited for/);
});

test("what a constructor does is done at once", () => {
  assert.equal(made("class A { constructor() { lock(w, 1); } }"), "class A { constructor() { $now($(lock(w, 1))); } }");
  const carriedOut: string[] = [];
  setAtOnce({ carryOut: (operation) => carriedOut.push(operation.kind) });
  assert.equal($now((function* (): Access<number> { return 10 + (yield { kind: "fence" }); })()), 11);
  setAtOnce(undefined);
  assert.deepEqual(carriedOut, ["fence"]);
  assert.throws(() => $now((function* (): Access<void> { yield { kind: "fence" }; })()), /no shared access here/);
});

test("a call in the middle of a chain behind ?. is refused with its place", () => {
  assert.throws(() => made("function f(a) {\n return a?.lock().b; }"), { message: /^x\.js:2: a call in the middle of a chain/ });
});

test("the explored text with its instrumentation taken out is the text that ships, module by module", () => {
  const modules = readInstrumented();
  assert.ok(modules.length > 30, `expected the protocols' modules, got ${modules.length}`);
  const explored = instrument(modules, optionsFor(modules));
  let generators = 0;
  for (const [index, { path, text }] of explored.entries()) {
    assert.deepEqual(strippedShapeOf(text), shapeOf(modules[index]!.text), path);
    generators += text.split(/function\*|^ +\*|static \*/m).length - 1;
  }
  assert.ok(generators > 200, `expected the protocols' functions, got ${generators}`);
});

test("a text that differs in anything else is noticed", () => {
  const original = "function f() { if (atomicLoad(w, 1) === 0) return lock(w, 2); }";
  const explored = made(original);
  assert.deepEqual(strippedShapeOf(explored), shapeOf(original));
  assert.notDeepEqual(strippedShapeOf(explored.replace("=== 0", "=== 1")), shapeOf(original));
  assert.notDeepEqual(strippedShapeOf(explored.replace("(yield* $(lock(w, 2)))", "2")), shapeOf(original));
});
