import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { partsOf, statementsOf } from "./bundle-text.js";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../bundle");
const names = readdirSync(folder).filter((name) => name.endsWith(".js"));
const texts = new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
const STATIC_IMPORT = /^(?:import|export)\b[^;"]*?"([^"]+)";$/gm;

/** What a bundle imports before it runs. */
function importsOf(name: string): string[] {
  return [...texts.get(name)!.matchAll(STATIC_IMPORT)].map((match) => match[1]!);
}

/** All that is loaded with a bundle. */
function loadedWith(name: string, seen = new Set<string>()): Set<string> {
  for (const specifier of importsOf(name)) {
    if (seen.has(specifier)) continue;
    seen.add(specifier);
    if (specifier.startsWith("./")) loadedWith(specifier.slice(2), seen);
  }
  return seen;
}

const MODULES = ["node:fs", "node:os", "node:path", "node:perf_hooks", "node:worker_threads"];
/** What single threads need besides: machine code of WebAssembly, and what it is kept by. */
const MORE_MODULES: Readonly<Record<string, readonly string[]>> = {
  "vcpu-worker.js": ["node:v8", "node:vm"],
  "translator-worker.js": ["node:crypto", "node:url", "node:v8", "node:vm", "node:zlib"],
};

test("every thread of a VM is one file, which loads a few of Node's modules and nothing else", () => {
  const workers = names.filter((name) => name.endsWith("-worker.js"));
  assert.deepEqual(workers, ["device-worker.js", "memory-worker.js", "translator-worker.js", "vcpu-worker.js"]);
  for (const name of workers) {
    const others = [...loadedWith(name)].filter((specifier) => ![...MODULES, ...MORE_MODULES[name] ?? []].includes(specifier));
    assert.deepEqual(others, [], name);
  }
});

test("the command line and the library load neither the explorer nor unpackers before they need them", () => {
  for (const name of ["main.js", "index.js"]) {
    const loaded = [...loadedWith(name)];
    assert.deepEqual(loaded.filter((specifier) => !/^(?:node:|\.\/)/.test(specifier)), name === "main.js" ? ["commander"] : [], name);
    for (const specifier of loaded.filter((one) => one.startsWith("./"))) assert.ok(existsSync(join(folder, specifier)), specifier);
  }
});

test("what the library gives has the names of its classes", async () => {
  const library = await import(pathToFileURL(join(folder, "index.js")).href) as Record<string, unknown>;
  const classes = Object.entries(library).filter(([name, value]) => typeof value === "function" && /^[A-Z]/.test(name));
  assert.ok(classes.length > 10);
  for (const [name, value] of classes) assert.equal((value as { readonly name: string }).name, name);
});

test("no error of a thread has got another name: some are told by that of their class", () => {
  const classes = [...texts].filter(([name]) => name.endsWith("-worker.js")).map(([, text]) => text).flatMap((text) => text.match(/^(?:var \w+ = )?class .*extends.*Error.*\{$/gm) ?? []);
  assert.ok(classes.length > 4, `expected the errors of all threads, got ${classes.length}`);
  assert.deepEqual(classes.filter((line) => /class _|\d/.test(line)), []);
});
test("what the threads run is what was compiled, and so what the explorer explores", () => {
  const modules = new Set<string>();
  for (const [name, text] of texts) {
    if (!name.endsWith("-worker.js")) continue;
    for (const [path, part] of partsOf(text)) {
      modules.add(path);
      const compiled = new Set(statementsOf(readFileSync(join(folder, "../..", path), "utf8")));
      assert.deepEqual(statementsOf(part).filter((statement) => !compiled.has(statement)), [], `${name}: ${path}`);
    }
  }
  for (const room of ["host-memory", "guest-page", "hypercall", "exit"]) assert.ok([...modules].some((path) => path.startsWith(`dist/${room}/`)), room);
});

test("a bundle with another text is noticed", () => {
  const module = 'import { lock } from "./lock.js";\nexport class A {\n  static #a = 0x10n;\n  run() { return lock(A) + 0x10; }\n}\nexport const b = { lock };\n';
  const bundled = "var A2 = class _A {\n  static #a = 16n;\n  run() {\n    return lock2(_A) + 16;\n  }\n};\nvar b = { lock: lock2 };\n";
  assert.deepEqual(statementsOf(bundled), statementsOf(module));
  for (const [from, to] of [["+ 16", "- 16"], ["lock2(_A)", "_A"], ["16n", "17n"]] as const) assert.notDeepEqual(statementsOf(bundled.replace(from, to)), statementsOf(module));
  assert.deepEqual([...partsOf(`// dist/a/b.js\nvar a;\n\n// dist/c.js\nvar c;\n`).keys()], ["dist/a/b.js", "dist/c.js"]);
});
