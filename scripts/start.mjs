/**
 * `npm start`: from a fresh checkout to a guest. Installs and builds what is missing, then is `unpinned run`.
 * Usage: npm start, or npm start -- OPTIONS (the options of `unpinned run`).
 */
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { prepare, root } from "./prepare.mjs";

prepare();
const program = join(root, "bin/unpinned.js");
// In this very process: the terminal, its signals and the exit status then need no passing on.
process.argv = [process.execPath, program, "run", ...process.argv.slice(2)];
await import(pathToFileURL(program).href);
