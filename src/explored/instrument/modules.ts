/**
 * The compiled modules of the protocols, instrumented over the explored seam and loaded. They are made anew each time, in a folder of
 * their own that is gone when they are loaded: there is no second build that could be out of date.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { planted } from "../../guest-page/testing/mutant-tree.js";
import type { Edit } from "../../guest-page/testing/mutant-tree.js";
import { instrument } from "./instrument.js";
import type { InstrumentOptions, ModuleText } from "./instrument.js";

const DIST = fileURLToPath(new URL("../..", import.meta.url));

/** Folders and files of dist that are explored. */
const INSTRUMENTED = [
  "host-memory", "guest-page", "hypercall", "exit/requests", "exit/halt.js", "exit/interrupts.js", "exit/pause.js", "sync/real/reader-slots.js",
];
/** Modules that have a stand-in: those that touch memory, and constants that are smaller here. */
const STAND_INS: Readonly<Record<string, string>> = {
  "host-memory/host-views.raw.js": "explored/views.js",
  "guest-page/page-view.raw.js": "explored/views.js",
  "sync/real/atomics.js": "explored/seam.js",
  "host-memory/layout.js": "explored/smaller/host-layout.js",
  "abi/xen/index.js": "explored/smaller/xen-constants.js",
};
/** The seam's functions and the stand-ins' methods that are shared accesses. */
export const SEAM_NAMES = [
  "atomicLoad", "atomicStore", "atomicAdd", "atomicOr", "atomicAnd", "atomicExchange", "atomicCompareExchange", "waitWhile", "waitUntilChanged", "spinUntilChanged",
  "notifyWaiters", "lock", "tryLock", "unlock", "withLock", "withLockInTurn", "withLockIfFree", "synchronizeReaders",
  "atomicLoadLong", "atomicStoreLong", "atomicAddLong", "atomicOrLong", "atomicAndLong",
  // What the protocols call upwards: whoever wires it may come to shared accesses.
  "tlbs", "code", "invalidateRangeStart", "invalidateRangeEnd", "#kick", "kick",
  // What is reached by a table: an operation of a hypercall.
  "handlers",
  "takeRequests", "waitForRequest",
  // Bytes of whole frames, and the swap file.
  "set", "subarray", "read", "write",
  "clearFrame", "copyFrame", "readU32", "writeU32", "readU8", "writeU8", "addU32", "copyOut", "copyTo", "copyIn", "loadU8", "storeU8", "exchangeU8",
  "testBit", "testAndSetBit", "testAndClearBit", "open", "close",
];
/** Properties of stand-ins that are shared accesses. */
export const SEAM_GETTERS = ["requests"];

/** The compiled modules that are instrumented, tests left out. */
export function readInstrumented(): ModuleText[] {
  const below = (folder: string): string[] => (readdirSync(join(DIST, folder), { recursive: true }) as string[]).map((name) => posix.join(folder, name.replaceAll("\\", "/")));
  const paths = INSTRUMENTED.flatMap((entry) => (entry.endsWith(".js") ? [entry] : below(entry)));
  const wanted = paths.filter((path) => path.endsWith(".js") && !/\.(?:test|worker|words|raw)\.js$|\/testing\/|support-table/.test(path) && STAND_INS[path] === undefined);
  return wanted.sort().map((path) => ({ path, text: readFileSync(join(DIST, path), "utf8") }));
}

/** How imports change: instrumented modules import each other, and everything else from where it is. */
export function optionsFor(modules: readonly ModuleText[]): InstrumentOptions {
  const instrumented = new Set(modules.map(({ path }) => path));
  const inDist = (path: string): string => pathToFileURL(join(DIST, path)).href;
  const beside = (path: string, target: string): string => {
    const relative = posix.relative(posix.dirname(path), target);
    return relative.startsWith(".") ? relative : `./${relative}`;
  };
  return {
    seamNames: SEAM_NAMES, seamGetters: SEAM_GETTERS,
    runtimeOf: () => inDist("explored/instrument/runtime.js"),
    importOf: (specifier, path) => {
      if (specifier === "#sync") return beside(path, "sync.js");
      if (!specifier.startsWith(".")) return specifier;
      const target = posix.join(posix.dirname(path), specifier);
      return instrumented.has(target) ? beside(path, target) : inDist(STAND_INS[target] ?? target);
    },
  };
}

/** Instruments and loads the modules at `paths`, with faults planted if wished; all their exports together. Throws Error. */
export async function loadInstrumented(paths: readonly string[], edits: readonly Edit[] = []): Promise<Readonly<Record<string, unknown>>> {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-explored-"));
  try {
    writeModules(folder, edits);
    const exports: Record<string, unknown> = {};
    // One after the other: they share modules, and Node.js 20 may trip over two that are linked at a time.
    for (const path of paths) Object.assign(exports, await import(pathToFileURL(join(folder, path)).href));
    return exports;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeModules(folder: string, edits: readonly Edit[]): void {
  const modules = readInstrumented().map(({ path, text }) => ({ path, text: edits.filter(({ file }) => file === path).reduce(planted, text) }));
  const strange = edits.find(({ file }) => !modules.some(({ path }) => path === file));
  if (strange !== undefined) throw new Error(`${strange.file} is not explored`);
  for (const { path, text } of instrument(modules, optionsFor(modules))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "sync.js"), [
    `export * from "${pathToFileURL(join(DIST, "explored/seam.js")).href}";`,
    'export { ReaderSlot, synchronizeReaders } from "./sync/real/reader-slots.js";', "",
  ].join("\n"));
}
