/** The compiled processor core, shared by all VMs of the process. */
import { compileCore } from "../cpu/index.js";
import { readInputFile } from "../platform/node/index.js";
import { fileURLToPath } from "node:url";

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiles the core at the first call. Throws InputFileError when the project has not been built. */
export function loadCoreModule(): Promise<WebAssembly.Module> {
  compiled ??= readInputFile(fileURLToPath(new URL("../cpu/core.wasm", import.meta.url)), "processor core").then(compileCore);
  return compiled;
}
