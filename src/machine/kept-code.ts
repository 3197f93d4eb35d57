/** Compiled code that is kept in the cache from one start to the next: the processor core's, and the regions of guest code. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileCore, type LibraryHost, regionModuleImports } from "../cpu/index.js";
import { FileCache, hashBytes, nativeCodeHost, readInputFile, restoreModule, takeNativeCode } from "../platform/node/index.js";

/** Only code of a run that was long enough for V8 to have found out what is hot is worth keeping. */
const INSTRUCTIONS_MIN = 200e6;
const HASH_LENGTH = 32;

/** The compiled processor core, and where its machine code is kept. */
export interface LoadedCore {
  readonly module: WebAssembly.Module;
  /** Key of its machine code; undefined = that is there already. */
  readonly missingKey: string | undefined;
}

/** How a thread gets at code that is kept. */
export interface KeptCode {
  /** The folder of the cache. */
  readonly folder: string;
  /** See LoadedCore. */
  readonly coreKey: string | undefined;
  /** Hash of the kernel, with whose code regions are kept. */
  readonly kernel: string;
}

let loaded: Promise<LoadedCore> | undefined;

/** Loads the processor core at the first call, all VMs of the process share it. Throws InputFileError when the project has not been built. */
export function loadCore(cache: FileCache | undefined): Promise<LoadedCore> {
  loaded ??= loadFrom(cache);
  return loaded;
}

async function loadFrom(cache: FileCache | undefined): Promise<LoadedCore> {
  const bytes = await readInputFile(fileURLToPath(new URL("../cpu/core.wasm", import.meta.url)), "processor core");
  const key = cache && keyOf("core", hashBytes(bytes));
  const code = key === undefined ? undefined : cache!.get(key);
  const module = code && restoreModule(bytes, code);
  return module === undefined ? { module: await compileCore(bytes), missingKey: key } : { module, missingKey: undefined };
}

function keyOf(kind: string, hash: string): string {
  return `${kind}-${hash.slice(0, HASH_LENGTH)}-${nativeCodeHost()}`;
}

/** Keeps the machine code of the core, whose exported function `entry` has run `instructions` of a guest, where it is missing. */
export function keepCore({ folder, coreKey }: KeptCode, module: WebAssembly.Module, entry: unknown, instructions: number): void {
  if (coreKey === undefined || instructions < INSTRUCTIONS_MIN) return;
  const code = takeNativeCode(module, entry, true);
  if (code !== undefined) new FileCache(folder).put(coreKey, code);
}

/** The regions that were kept of one kernel's code. */
export class KeptRegions {
  readonly #cache: FileCache;
  readonly #key: string;

  constructor({ folder, kernel }: KeptCode) {
    this.#cache = new FileCache(folder);
    this.#key = keyOf("regions", hashBytes(new TextEncoder().encode(`${kernel} ${translatorHash()}`)));
  }

  load(): Uint8Array | undefined { return this.#cache.get(this.#key); }
  save(library: Uint8Array): void { this.#cache.put(this.#key, library); }
}

/** Regions are what the core and the translator make them: those of another version are not to be used. */
function translatorHash(): string {
  const folder = fileURLToPath(new URL("../cpu/translator/", import.meta.url));
  const files = readdirSync(folder).filter((name) => name.endsWith(".js") && !name.endsWith(".test.js")).sort().map((name) => `${folder}${name}`);
  // Where the modules run from one file, the translator is in this one.
  const others = ["../cpu/core.wasm", import.meta.url].map((name) => fileURLToPath(new URL(name, import.meta.url)));
  return hashBytes(new TextEncoder().encode([...files, ...others].map((path) => hashBytes(readFileSync(path))).join()));
}

/** A translation library's way to digests and machine code. `memory` is the VM's. */
export function libraryHost(memory: WebAssembly.Memory): LibraryHost {
  const imports = regionModuleImports(memory);
  return {
    digest: hashBytes,
    takeNativeCode: (module) => takeNativeCode(module, new WebAssembly.Instance(module, imports).exports["region"]),
    restoreModule,
  };
}
