/**
 * Translations that serve any vCPU, and another start of the same kernel: by the content of the traces that they were made from.
 *
 * A region's code names no address (region-layout.ts, GLOBAL), so equal traces have equal code. `find` answers by a digest of all that the code
 * depends on, so that nobody gets code for other instructions. Recipes say which regions there are: whoever has sampled an entry of one, and has
 * its traces, asks for it at once instead of waiting until that is hot.
 *
 *   contents of a saved library
 *   | length of the head (4, little endian) | head, JSON: FORMAT, and what is known of each region | WebAssembly and machine code of each |
 */
import { checkOf, contentOf } from "./signature.js";
import type { Trace } from "./traces.js";

const FORMAT = 1;
const HEAD_LENGTH_BYTES = 4;
/** Regions of a library, and of what is saved of it; what was used longest ago goes first. */
export const LIBRARY_REGIONS_MAX = 2000;
/** Bound of what is saved. */
const BYTES_MAX = 48 << 20;
/** After so many saves without use a region is left out. */
const IDLE_SAVES_MAX = 8;

/** Which region may be had, without being made. */
export interface Recipe {
  /** Addresses of its traces in their order, in hexadecimal, and checkOf of each. */
  readonly rips: readonly string[];
  readonly checks: readonly number[];
  /** The trace at which it has to be entered, and those at which it may be. */
  readonly first: number;
  readonly entries: readonly number[];
}

/** A region of the library. */
export interface LibraryRegion {
  readonly module: WebAssembly.Module;
  readonly entries: readonly number[];
  /** Bytes of its WebAssembly. */
  readonly bytes: number;
}

/** How a library gets at what differs between platforms. */
export interface LibraryHost {
  /** A cryptographic digest of `content`, as text: who can choose a guest's code must not be able to choose what other code is run as. */
  digest(content: Uint8Array): string;
  /** The machine code of a module whose only function is optimised, undefined when it is not; and the module of such code. */
  takeNativeCode(module: WebAssembly.Module): Uint8Array | undefined;
  restoreModule(bytes: Uint8Array, code: Uint8Array): WebAssembly.Module | undefined;
}

interface Entry {
  readonly recipe: Recipe;
  readonly bytes: Uint8Array;
  code: Uint8Array | undefined;
  module: WebAssembly.Module | undefined;
  isUsed: boolean;
  readonly idleSaves: number;
}

interface SavedEntry extends Recipe {
  readonly digest: string;
  readonly idleSaves: number;
  readonly bytes: number;
  readonly code: number;
}

/** The library of one VM, used by the translator's thread. */
export class TranslationLibrary {
  readonly #host: LibraryHost;
  readonly #regionsMax: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #isChanged = false;

  /** `saved` is what `save` answered; what cannot be read is left out. */
  constructor(host: LibraryHost, saved?: Uint8Array, regionsMax = LIBRARY_REGIONS_MAX) {
    this.#host = host;
    this.#regionsMax = regionsMax;
    if (saved !== undefined) this.#load(saved);
  }

  /** What there is, for those who run. */
  recipes(): Recipe[] { return [...this.#entries.values()].map(({ recipe }) => recipe); }

  digest(traces: readonly Trace[], first: number): string { return this.#host.digest(contentOf(traces, first)); }

  /** `withHints` as TranslateOptions has it, for a region without machine code. */
  find(digest: string, withHints: <T>(compile: () => T) => T): LibraryRegion | undefined {
    const entry = this.#entries.get(digest);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    this.#entries.delete(digest);
    this.#entries.set(digest, entry);
    entry.module ??= this.#restore(entry, withHints);
    return { module: entry.module, entries: entry.recipe.entries, bytes: entry.bytes.length };
  }

  /** Machine code that is not taken (V8 was started with other flags, say) is to be made and kept anew. */
  #restore(entry: Entry, withHints: <T>(compile: () => T) => T): WebAssembly.Module {
    const module = entry.code && this.#host.restoreModule(entry.bytes, entry.code);
    if (module === undefined) entry.code = undefined;
    return module ?? withHints(() => new WebAssembly.Module(entry.bytes as Uint8Array<ArrayBuffer>));
  }

  /** Adds what was made of `traces`; answers how to ask for it. */
  add(digest: string, traces: readonly Trace[], first: number, { module, entries, bytes }: { module: WebAssembly.Module; entries: readonly number[]; bytes: Uint8Array }): Recipe {
    const recipe = { rips: traces.map(({ rip }) => rip.toString(16)), checks: traces.map(checkOf), first, entries };
    this.#entries.set(digest, { recipe, bytes, code: undefined, module, isUsed: true, idleSaves: 0 });
    // Programs at ever new addresses have ever new regions.
    if (this.#entries.size > this.#regionsMax) this.#entries.delete(this.#entries.keys().next().value!);
    this.#isChanged = true;
    return recipe;
  }

  /** The library for another process, what was used first; undefined = there is nothing new in it. */
  save(): Uint8Array | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.code !== undefined || entry.module === undefined) continue;
      entry.code = this.#host.takeNativeCode(entry.module);
      this.#isChanged ||= entry.code !== undefined;
    }
    if (!this.#isChanged) return undefined;
    const head: SavedEntry[] = [];
    const parts: Uint8Array[] = [];
    let total = 0;
    const entries = [...this.#entries].sort(([, a], [, b]) => Number(b.isUsed) - Number(a.isUsed) || a.idleSaves - b.idleSaves);
    for (const [digest, { recipe, bytes, code = new Uint8Array(0), isUsed, idleSaves }] of entries) {
      const idle = isUsed ? 0 : idleSaves + 1;
      total += bytes.length + code.length;
      if (head.length === LIBRARY_REGIONS_MAX || total > BYTES_MAX || idle > IDLE_SAVES_MAX) break;
      head.push({ ...recipe, digest, idleSaves: idle, bytes: bytes.length, code: code.length });
      parts.push(bytes, code);
    }
    const text = new TextEncoder().encode(JSON.stringify({ format: FORMAT, regions: head }));
    const length = new Uint8Array(HEAD_LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, text.length, true);
    return concatenate([length, text, ...parts]);
  }

  #load(saved: Uint8Array): void {
    const length = new DataView(saved.buffer, saved.byteOffset).getUint32(0, true);
    const { format, regions } = JSON.parse(new TextDecoder().decode(saved.subarray(HEAD_LENGTH_BYTES, HEAD_LENGTH_BYTES + length))) as { format: number; regions: readonly SavedEntry[] };
    if (format !== FORMAT) return;
    let at = HEAD_LENGTH_BYTES + length;
    const take = (bytes: number): Uint8Array => saved.subarray(at, (at += bytes));
    for (const { digest, idleSaves, bytes, code, ...recipe } of regions) {
      const wasm = take(bytes);
      const native = take(code);
      this.#entries.set(digest, { recipe, bytes: wasm, code: code === 0 ? undefined : native, module: undefined, isUsed: false, idleSaves });
    }
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A module with the functions that regions import, which do nothing: "call", (i32, i32) -> i32, and "goOn", (i32, i32, i32, i32, i32) -> i64. */
const NO_FUNCTIONS = Uint8Array.of(
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 16, 2, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 5, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7e,
  3, 3, 2, 0, 1,
  7, 15, 2, 4, 0x63, 0x61, 0x6c, 0x6c, 0, 0, 4, 0x67, 0x6f, 0x4f, 0x6e, 0, 1,
  10, 11, 2, 4, 0, 0x41, 0, 0x0b, 4, 0, 0x42, 0, 0x0b,
);

/** Answers the function of a region's module, to be looked at; it must not be called. */
export function regionLookUp(memory: WebAssembly.Memory): (module: WebAssembly.Module) => unknown {
  const functions = new WebAssembly.Instance(new WebAssembly.Module(NO_FUNCTIONS)).exports;
  const env = { memory, ...functions, base: 0, traces: 0, slot: 0 };
  return (module) => new WebAssembly.Instance(module, { env }).exports["region"];
}
