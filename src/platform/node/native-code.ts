/**
 * Machine code that V8 has made of WebAssembly modules, carried from one process to the next.
 *
 * Node.js has no interface for it (browsers keep such code by themselves), but V8's own test functions do what is needed: `%SerializeWasmModule`
 * and `%DeserializeWasmModule` are the functions behind a browser's code cache. V8 checks its version, its flags and the processor's features before it takes
 * code back. Where any of this is missing, in another engine or a later Node.js, the answer is undefined, and modules are compiled as always.
 */
import { setFlagsFromString } from "node:v8";
import { withFlags } from "./v8-flags.js";

interface Natives {
  serialize(module: WebAssembly.Module): ArrayBuffer;
  deserialize(code: ArrayBuffer, bytes: Uint8Array): WebAssembly.Module | undefined;
  isOptimized(exported: unknown): boolean;
  optimize(exported: unknown): void;
}

const SOURCE = `({
  serialize: (module) => %SerializeWasmModule(module),
  deserialize: (code, bytes) => %DeserializeWasmModule(code, bytes),
  isOptimized: (exported) => %IsTurboFanFunction(exported),
  optimize: (exported) => %WasmTierUpFunction(exported),
})`;

/** Calls `use` with V8's functions; undefined = there are none. They are compiled anew each time: V8 drops what is not used for long, and then could not read it. */
function withNatives<T>(use: (natives: Natives) => T): T | undefined {
  // A debugger's or another engine's eval is none of ours.
  if (process.versions["v8"] === undefined) return undefined;
  try {
    return withFlags(["allow-natives-syntax"], () => use((0, eval)(SOURCE) as Natives));
  } catch {
    return undefined;
  }
}

/** Releases of V8 that have WebAssembly's hints behind flags; one that is older has none, and one that is newer may not know the flags. */
const HINT_FLAGS_FIRST = 10, HINT_FLAGS_LAST = 13;
const V8_MAJOR = Number.parseInt(process.versions["v8"] ?? "", 10);
const HAS_HINT_FLAGS = V8_MAJOR >= HINT_FLAGS_FIRST && V8_MAJOR <= HINT_FLAGS_LAST;
const BRANCH_HINTS = ["experimental-wasm-branch-hinting"];
/** V8 does not look at compilation hints where it leaves all compilation for the first call. */
const COMPILATION_HINTS = ["experimental-wasm-compilation-hints", "no-wasm-lazy-compilation"];

/**
 * Has V8 take the hints of the modules that `compile` compiles, where these are experiments still (WebAssembly's proposals branch hinting and compilation hints): which branches are likely, and,
 * if `optimizes`, which functions are worth the optimising compiler at once. Modules that other threads make meanwhile are then compiled at once, too.
 */
export function withHints<T>(compile: () => T, optimizes: boolean): T {
  if (!HAS_HINT_FLAGS) return compile();
  return withFlags(optimizes ? [...BRANCH_HINTS, ...COMPILATION_HINTS] : BRANCH_HINTS, compile);
}

/** Names what code depends on besides its module: the engine and the processor's kind. Part of a cache's key. */
export function nativeCodeHost(): string {
  return `${process.versions["v8"] ?? "none"}-${process.arch}-${process.platform}`.toLowerCase().replace(/[^a-z0-9.-]/g, "-");
}

/**
 * The machine code of `module` as far as V8 has optimised it, if `exported`, one of its exported functions, is optimised, or is to be with `optimize`;
 * else undefined: V8 ends the process when it is asked for the code of a module that has none.
 */
export function takeNativeCode(module: WebAssembly.Module, exported: unknown, optimize = false): Uint8Array | undefined {
  return withNatives((natives) => {
    if (optimize && !natives.isOptimized(exported)) natives.optimize(exported);
    return natives.isOptimized(exported) ? new Uint8Array(natives.serialize(module)) : undefined;
  });
}

/**
 * The machine code of all functions of the module that `compile` compiles, optimised, to be restored in other processes; undefined where V8 does not give it away. The module has functions. Takes
 * as long as the optimising compiler does, and sets flags of V8 for good: for a process that does nothing else.
 */
export function makeNativeCode(compile: () => WebAssembly.Module): Uint8Array | undefined {
  return withNatives((natives) => {
    const module = withFlags(["no-liftoff", "no-wasm-lazy-compilation"], compile);
    // Off without the baseline compiler, and not back with it; the code is for processes with V8's default flags.
    setFlagsFromString("--wasm-dynamic-tiering");
    return new Uint8Array(natives.serialize(module));
  });
}

/** The module of `bytes` with machine code that was taken from it in another process; undefined when V8 does not take it. */
export function restoreModule(bytes: Uint8Array, code: Uint8Array): WebAssembly.Module | undefined {
  return withNatives((natives) => natives.deserialize(code.slice().buffer as ArrayBuffer, bytes));
}
