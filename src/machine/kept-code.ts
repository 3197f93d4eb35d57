/** Compiled code that is kept in the cache from one start to the next: the processor core's, and the regions of guest code. */
import { compileCore, compileCoreAtOnce, type LibraryHost, regionLookUp } from "../cpu/index.js";
import { FileCache, hashBytes, hashOwnFiles, makeNativeCode, nativeCodeHost, ownPath, readOwnFile, restoreModule, takeNativeCode } from "../platform/node/index.js";

const HASH_LENGTH = 32;

/** The compiled processor core. */
export interface LoadedCore {
  readonly module: WebAssembly.Module;
  /** Keeps its machine code, once V8 has made it; undefined = it is kept already, or there is no cache. */
  readonly keep: ((code: Uint8Array) => void) | undefined;
}

/** How the translator's thread gets at regions that are kept. */
export interface KeptCode {
  /** The folder of the cache. */
  readonly folder: string;
  /** Hash of the kernel, with whose code regions are kept. */
  readonly kernel: string;
}

let loaded: Promise<LoadedCore> | undefined;

/** Loads the processor core at the first call, all VMs of the process share it. Throws InputFileError when the project has not been built. */
export function loadCore(cache: FileCache | undefined): Promise<LoadedCore> {
  loaded ??= loadFrom(cache);
  return loaded;
}

/** Where the core's machine code is that the build has made for the engine in which it ran, so that no first start has to compile it. */
function builtCode(): FileCache { return new FileCache(ownPath(new URL("../cpu/compiled", import.meta.url))); }

function readCore(): Promise<Uint8Array> { return readOwnFile(new URL("../cpu/core.wasm", import.meta.url), "processor core"); }

function keyOfCore(bytes: Uint8Array): string { return keyOf("core", hashBytes(bytes)); }

/** Part of the build: makes that code, where V8 gives it away. Sets flags of V8 for good. */
export async function buildCoreCode(): Promise<void> {
  const bytes = await readCore();
  const code = makeNativeCode(() => compileCoreAtOnce(bytes));
  if (code !== undefined) builtCode().put(keyOfCore(bytes), code);
}

async function loadFrom(cache: FileCache | undefined): Promise<LoadedCore> {
  const bytes = await readCore();
  const key = keyOfCore(bytes);
  const built = builtCode().get(key);
  const ready = built && restoreModule(bytes, built);
  if (ready !== undefined) return { module: ready, keep: undefined };
  const code = cache?.get(key);
  const module = code && restoreModule(bytes, code);
  if (module !== undefined) return { module, keep: undefined };
  return { module: await compileCore(bytes), keep: cache && ((made) => void cache.put(key, made)) };
}

function keyOf(kind: string, hash: string): string {
  return `${kind}-${hash.slice(0, HASH_LENGTH)}-${nativeCodeHost()}`;
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

/** Regions are what the core and the translator make them: those of another version are not to be used. Where the modules run from few files, the translator is in this one. */
function translatorHash(): string {
  return hashOwnFiles(["../cpu/translator/", "../cpu/core.wasm", import.meta.url].map((name) => new URL(name, import.meta.url)));
}

/** A translation library's way to digests and machine code. `memory` is the VM's. */
export function libraryHost(memory: WebAssembly.Memory): LibraryHost {
  const regionOf = regionLookUp(memory);
  return { digest: hashBytes, takeNativeCode: (module) => takeNativeCode(module, regionOf(module)), restoreModule };
}
