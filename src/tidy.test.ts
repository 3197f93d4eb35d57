/**
 * The checkable half of the house style: what may import what, where raw memory is touched, sizes, words, documentation. A rule that
 * does not hold somewhere has an exemption here, by name and with its reason; one that is not needed any more is a failure too.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { importFault, isTestCode, resolveImport, ROOM_IMPORTS, roomOf } from "./tidy/rooms.js";
import { exportsOf, functionsOf, readSources, sourceFile, type SourceFile } from "./tidy/source-file.js";

const SOURCE_FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../src");
const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
const README_LINES_MAX = 40;

const sources = readSources(SOURCE_FOLDER);
const byPath = new Map(sources.map((file) => [file.path, file]));
const isInterpreter = ({ path }: SourceFile): boolean => path.startsWith("cpu/interpreter/");

/** Exemptions: where a rule does not hold, and why that is right. */
type Exemptions = Readonly<Record<string, string>>;

/** Fails with every fault that is not exempt, and with every exemption that no fault needs. Faults begin with their place. */
function report(faults: readonly string[], exemptions: Exemptions = {}): void {
  const places = Object.keys(exemptions);
  const isExempt = (fault: string): boolean => places.some((place) => fault.startsWith(place));
  assert.deepEqual(faults.filter((fault) => !isExempt(fault)), []);
  const unused = places.filter((place) => !faults.some((fault) => fault.startsWith(place)));
  assert.deepEqual(unused, [], "exemptions that nothing needs any more");
}

const IMPORT_EXEMPTIONS: Exemptions = {
  "explored/": "it puts stand-ins into the insides of the rooms that it explores, and has files to instrument",
  "machine/guest-process.ts imports node:stream/web": "web streams, of which Node's types are not global",
  "machine/pushed-stream.ts imports node:stream/web": "web streams, of which Node's types are not global",
  "machine/virtual-machine.ts imports node:stream/web": "web streams, of which Node's types are not global",
};

test("rooms import only what the table of rooms allows, and only public faces", () => {
  report(sources.flatMap((file) => file.imports.flatMap((specifier) => importFault(file, specifier) ?? [])), IMPORT_EXEMPTIONS);
});

test("every folder of src is a room of the table", () => {
  report(sources.map(({ path }) => roomOf(path)).filter((room) => room !== undefined && !(room in ROOM_IMPORTS)).map(String));
});

test("the table of rooms has no cycle", () => {
  const visit = (room: string, path: readonly string[]): void => {
    assert.ok(!path.includes(room), `cycle: ${[...path, room].join(" -> ")}`);
    for (const below of ROOM_IMPORTS[room] ?? []) visit(below, [...path, room]);
  };
  for (const room of Object.keys(ROOM_IMPORTS)) visit(room, []);
});

const RAW_MEMORY = /\bAtomics\b|\bDataView\b|\bSharedArrayBuffer\b|\bWebAssembly\.\w+|\bnew (?:Int|Uint|Float|BigInt|BigUint)\d+Array\(\w*\.?(?:buffer|memory)/;
/** Where raw memory may be named without the file's name saying so. */
const RAW_ROOMS = /^(cpu|sync\/real|tidy)\/|^tidy\.test\.ts$/;
/** Values of type WebAssembly.Module and Memory are handed on as they are, which touches nothing. */
const HANDED_ON = /\bWebAssembly\.(?:Module|Memory)\b(?!\()/g;

const RAW_EXEMPTIONS: Exemptions = {};

test("raw memory is touched in .raw.ts files, src/sync/real and src/cpu only", () => {
  const files = sources.filter(({ path }) => !path.endsWith(".raw.ts") && !RAW_ROOMS.test(path) && !isTestCode(path));
  const faults = files.flatMap((file) => file.code.split("\n").flatMap((line, index) =>
    RAW_MEMORY.test(line.replaceAll(HANDED_ON, "")) ? [`${file.path}:${index + 1}: ${line.trim()}`] : []));
  report(faults, RAW_EXEMPTIONS);
});

/** Names by which code could get at a frame of the guest's: its number, its address, and the views of all memory. */
const FRAME_NAMES = /\b(?:frameAddress|pfnOfAddress|presentPfn|tryPinFrame|HostViews|Pfn)\b|\.views\b/;
/** Who may: the room that gives frames out, the one that guards them, the processor's core, stand-ins for these, and where the names are made. */
const FRAME_ROOMS = /^(?:host-memory|guest-page|cpu|explored|tidy)\/|^abi\/address\.ts$|^tidy\.test\.ts$/;
const FRAME_EXEMPTIONS: Exemptions = {
  "machine/apic-access.ts": "the frame that each vCPU keeps, as a VMCS does: what protects it is the reload request",
};

test("no room above guest-page holds a frame of the guest: guest pages are reached inside the callback of an access only", () => {
  const files = sources.filter(({ path }) => !FRAME_ROOMS.test(path) && !isTestCode(path));
  const faults = files.flatMap((file) => file.code.split("\n").flatMap((line, index) =>
    FRAME_NAMES.test(line) ? [`${file.path}:${index + 1}: ${line.trim()}`] : []));
  report(faults, FRAME_EXEMPTIONS);
});

/** A view that is put away outlives its access. Its own use is checked at run time; this finds it before. */
const KEPT_VIEW = /(?:this\.#?\w+|\w+\.\w+|\b(?:let|const) \w+) = view\b(?!\.)/;

test("no view of a guest page is put away", () => {
  const files = sources.filter(({ path }) => !isTestCode(path) && !/^(?:tidy|cpu)\b/.test(path));
  report(files.flatMap((file) => file.code.split("\n").flatMap((line, index) => (KEPT_VIEW.test(line) ? [`${file.path}:${index + 1}`] : []))));
});

const LONG_FILES: Exemptions = {
};

test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
  const long = sources.filter(({ lines, path }) => lines.length > FILE_LINES_MAX && !path.startsWith("cpu/table/"));
  report(long.map(({ path, lines }) => `${path}: ${lines.length} lines`), LONG_FILES);
});

const LONG_FUNCTIONS: Exemptions = {
  "cpu/generate/run-loop.ts runLoopText": "the text of the generated loop in one piece",
  "cpu/interpreter/decode.ts decodeOne": "one pass over the bytes of an instruction, in their order",
};

test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
  const faults = sources.flatMap((file) => functionsOf(file).filter(({ lineCount }) => lineCount > FUNCTION_LINES_MAX)
    .map(({ name, line, lineCount }) => `${file.path} ${name} (line ${line}): ${lineCount} lines`));
  report(faults, LONG_FUNCTIONS);
});

const BANNED: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(?:TODO|FIXME|XXX|HACK)\b/, "finish it, or write down what is not there as a limit"],
  [/\butils\b/i, "name what it is for"],
  [/\binterface I[A-Z][a-z]/, "interfaces have no prefix"],
  [/\b(?:class|interface|type) \w+Manager\b/, "say what it does"],
  [/^\s*(?:export )?(?:const )?enum \w/, "an object with const values, or a union of strings"],
  [/^export default\b/, "named exports only"],
  [/\b(?:const|let|readonly) (?:mfn|gpfn)\b/, "pfn is the host's frame, gfn the guest's"],
];
const BANNED_EXEMPTIONS: Exemptions = {
  "tidy.test.ts": "the list of the words itself",
};

test("words that the house style has banned do not appear", () => {
  const faults = sources.flatMap(({ path, lines }) => lines.flatMap((line, index) =>
    BANNED.filter(([pattern]) => pattern.test(line)).map(([pattern, instead]) => `${path}:${index + 1}: ${String(pattern)}: ${instead}`)));
  report(faults, BANNED_EXEMPTIONS);
});

/** Exports that say all by their names, next to a comment for all of them: constants of an ABI, tables, instruction handlers. */
const UNDOCUMENTED_BY_DESIGN = /^(abi|cpu\/table|cpu\/interpreter)\//;

const UNDOCUMENTED: Exemptions = {};

test("every exported function, class, interface and type has a documentation comment", () => {
  const files = sources.filter(({ path }) => !UNDOCUMENTED_BY_DESIGN.test(path) && !isTestCode(path));
  const faults = files.flatMap((file) => exportsOf(file).filter(({ isDocumented, line }) => !isDocumented && !isConstant(file, line))
    .map(({ name, line }) => `${file.path}:${line} ${name}`));
  report(faults, UNDOCUMENTED);
});

/** Constants, and types made from them, are grouped under the comment of the first. */
function isConstant(file: SourceFile, line: number): boolean {
  return /^export (?:const |let |type \w+ = \(?typeof )/.test(file.lines[line - 1]!);
}

test("every file begins with a comment that says what it is", () => {
  // A unit test stands beside what it tests, and its names are claims.
  const files = sources.filter(({ path }) => !/\.d\.ts$|\.test\.ts$/.test(path));
  report(files.filter(({ lines }) => !/^(?:#!|\/\*\*|\/\/ )/.test(lines[0]!)).map(({ path }) => path));
});

/** Folders of src that are rooms, or large enough parts of one to be explained by themselves. */
const README_FOLDERS = [
  "abi", "abi/xen", "abi/kvm", "sync", "host-memory", "guest-page", "hypercall", "kvm", "device", "exit", "machine", "cli", "platform", "cpu", "cpu/table",
  "cpu/interpreter", "explore", "explored",
];

test(`every room has a README of at most ${README_LINES_MAX} lines that says what is not there`, () => {
  for (const folder of README_FOLDERS) {
    const path = join(SOURCE_FOLDER, folder, "README.md");
    assert.ok(existsSync(path), `src/${folder} has no README.md`);
    const text = readFileSync(path, "utf8");
    assert.ok(text.trimEnd().split("\n").length <= README_LINES_MAX, `src/${folder}/README.md is too long`);
    assert.match(text, /\*\*Invariant\*\*/, `src/${folder}/README.md names no invariant`);
    assert.match(text, /\*\*Not here\*\*/, `src/${folder}/README.md does not say what is not there`);
  }
});

/** Files that are started by name, and so imported by nobody. */
const STARTED: Exemptions = {
  "cpu/generate/main.ts": "scripts/build.mjs starts it",
  "cpu/interpreter/main.ts": "scripts/build.mjs compiles it",
  "cpu/differential/make-vectors.ts": "a program of its own, see test/differential/README.md",
  "explore/deep/index.ts": "scripts/explore-deep.mjs imports it",
  "explored/smaller/": "explored modules import them instead of what they are smaller than (explored/instrument/modules.ts)",
  "cpu/differential/run.ts": "a program of its own, see test/differential/README.md",
  "guest-page/testing/explore.ts": "a program of its own, see its head",
};

test("no file is dead: everything but programs and tests is imported", () => {
  const imported = new Set<string>(["sync/real/index.ts"]);
  for (const file of sources) {
    for (const specifier of file.imports) {
      const target = resolveImport(file, specifier);
      if (target !== undefined) imported.add(target.endsWith(".js") ? target.replace(/\.js$/, ".ts") : `${target}.ts`);
    }
  }
  // Handlers of instructions are imported by the generated loop, tables by a look into their folder.
  const isFound = ({ path }: SourceFile): boolean => path.startsWith("cpu/interpreter/") && path !== "cpu/interpreter/main.ts";
  const dead = sources.filter((file) => !imported.has(file.path) && !/\.test\.ts$|\.d\.ts$/.test(file.path) && !isFound(file)).map(({ path }) => path);
  report(dead, STARTED);
});

test("every handler file of the interpreter is used by another file or by the instruction table", () => {
  const files = sources.filter(isInterpreter);
  const imported = new Set(files.flatMap((file) => file.imports.map((name) => posix.join("cpu/interpreter", `${name}.ts`))));
  const runs = sources.filter(({ path }) => /^cpu\/(table|generate)\//.test(path)).flatMap(({ lines }) => lines).join("\n");
  const isRun = (name: string): boolean => {
    const pattern = name.replace(/(?:8|16|32|64)$/, "(?:\\d+|\\{s\\})").replace(/(?:r|m)$/, "(?:[rm]|\\{f\\})");
    return new RegExp(`["\`:](?:${name}|${pattern})["\`]`).test(runs) || new RegExp(`\\b${name}\\b`).test(runs);
  };
  const dead = files.filter((file) => !imported.has(file.path) && file.path !== "cpu/interpreter/main.ts" && !exportsOf(file).some(({ name }) => isRun(name)));
  report(dead.map(({ path }) => path));
});

test("no file names the place it was written in", () => {
  const roots = ["src", "docs", "scripts", "bin", "test", "bench", ".ci"].map((name) => join(SOURCE_FOLDER, "..", name)).filter(existsSync);
  const texts = roots.flatMap((root) => (readdirSync(root, { recursive: true }) as string[])
    .filter((name) => /\.(ts|mjs|js|md|json|c|sh)$/.test(name) || name === "run").map((name) => join(root, name)));
  // An absolute path into somebody's home, or a registry by its host name.
  const place = new RegExp(["/(?:home|Users)/\\w+/", "https?://(?:registry|npm|pypi|proxy)\\."].join("|"));
  report(texts.filter((path) => place.test(readFileSync(path, "utf8"))).map((path) => path.slice(SOURCE_FOLDER.length - 3)));
});

// The checks above see nothing where these fail.

test("an import of a room above is noticed", () => {
  const fault = (path: string, text: string): string | undefined => {
    const file = sourceFile(path, text);
    return importFault(file, file.imports[0]!);
  };
  assert.match(fault("exit/x.ts", 'import { a } from "../host-memory/index.js";\n')!, /exit may import only/);
  assert.match(fault("exit/x.ts", 'import type { a } from "../cpu/core.raw.js";\n')!, /only cpu\/index.ts/);
  assert.match(fault("device/x.ts", 'import {\n  a,\n} from "node:fs";\n')!, /Node's modules/);
  assert.match(fault("abi/x.ts", 'export { lock } from "#sync";\n')!, /nothing/);
  assert.equal(fault("exit/x.ts", 'import { a } from "../cpu/index.js";\n'), undefined);
  assert.equal(sourceFile("exit/x.ts", '// import { a } from "../host-memory/index.js";\n').imports.length, 0);
});

test("a long function and an undocumented export are noticed", () => {
  const body = "  call();\n".repeat(80);
  const file = sourceFile("exit/x.ts", `/** X. */\nexport function x(): { a: number } {\n${body}}\n\nexport class Y {\n  async y(a: string): Promise<void> {\n${body}  }\n}\n`);
  assert.deepEqual(functionsOf(file).map(({ name, lineCount }) => [name, lineCount]), [["x", 82], ["y", 82]]);
  assert.deepEqual(exportsOf(file).map(({ name, isDocumented }) => [name, isDocumented]), [["x", true], ["Y", false]]);
});

test("a kept view and a frame's address are noticed", () => {
  assert.match("    this.#kept = view;", KEPT_VIEW);
  assert.doesNotMatch("    const value = view.readU32(0);", KEPT_VIEW);
  assert.match("  const base = frameAddress(pfn);", FRAME_NAMES);
});

test("what stands in strings, templates and patterns is not taken for code", () => {
  const file = sourceFile("exit/x.ts", 'const a = "Atomics";\nconst b = `Atomics ${c("`")} Atomics`;\nconst d = /Atomics["`]/;\nconst e = 1 / Atomics / 2;\n');
  assert.equal(file.code.split("Atomics").length - 1, 1);
});

test("the sources are found", () => {
  assert.ok(byPath.size > 200, `expected more than 200 files, got ${byPath.size}`);
  assert.ok(functionsOf(byPath.get("exit/run-loop.ts")!).some(({ name }) => name === "runTurn"));
  assert.ok(functionsOf(byPath.get("machine/virtual-machine.ts")!).some(({ name }) => name === "exec"));
});
