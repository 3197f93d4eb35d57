/** A user's own scenario, from a file: JavaScript, or TypeScript where this Node.js or a compiler that is installed can read it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire, register } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ScenarioDescription } from "../explore/index.js";
import { UsageError } from "./errors.js";

/** Whether a word of the command line is a file's path, and not a scenario's name. */
export function isScenarioFile(name: string): boolean {
  return /[/\\]/.test(name) || /\.[cm]?[jt]s$/.test(name);
}

/** Loads the file's export `scenario`. In it, "unpinned/explore" is this program's. Throws UsageError. */
export async function loadScenarioFile(path: string): Promise<ScenarioDescription> {
  provideOwnName();
  const full = resolve(path);
  const exports = /ts$/.test(full) && !readsTypeScript() ? await loadCompiled(full, path) : await load(full, path);
  const { scenario } = exports;
  if (!isDescription(scenario)) throw new UsageError(`explore: ${path} has no export "scenario" with a name, says, expected and create`);
  return scenario;
}

/** Node.js 22.18 and later strip types by themselves. */
function readsTypeScript(): boolean {
  return "typescript" in process.features && Boolean(process.features.typescript);
}

async function load(full: string, path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(full).href)) as Record<string, unknown>;
  } catch (error) {
    const [line = ""] = String(error instanceof Error ? error.message : error).split("\n");
    throw new UsageError(`explore: ${path} cannot be loaded: ${line}`, { cause: error });
  }
}

/** Lets files outside of the package import "unpinned/explore". */
function provideOwnName(): void {
  const own = new URL("../explore/index.js", import.meta.url).href;
  const hooks = `export async function resolve(specifier, context, next) {
    return specifier === "unpinned/explore" ? { url: ${JSON.stringify(own)}, shortCircuit: true } : next(specifier, context);
  }`;
  register(`data:text/javascript,${encodeURIComponent(hooks)}`);
}

/** Compiles TypeScript into a folder of its own, which is gone when this returns. */
async function loadCompiled(full: string, path: string): Promise<Record<string, unknown>> {
  const compiler = findCompiler();
  if (compiler === undefined) throw new UsageError(`explore: Node.js ${process.versions.node} cannot read TypeScript, and no compiler is installed: compile ${path} to .js first`);
  const folder = mkdtempSync(join(tmpdir(), "unpinned-explore-"));
  try {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
      compilerOptions: {
        target: "es2022", module: "nodenext", moduleResolution: "nodenext", noCheck: true, skipLibCheck: true, types: [], rootDir: dirname(full), outDir: join(folder, "out"),
      },
      files: [full],
    }));
    const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
    const output = join(folder, "out", basename(full).replace(/ts$/, "js"));
    return await load(output, stdout === "" ? path : `${path} (${stdout.split("\n")[0]})`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function findCompiler(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  } catch {
    return undefined;
  }
}

function isDescription(value: unknown): value is ScenarioDescription {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string" && "create" in value && typeof value.create === "function";
}
