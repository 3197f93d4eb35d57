/**
 * Builds everything: TypeScript to dist/, what runs of it in a few files (bundle.mjs), the generated sources of the interpreter, the interpreter to
 * dist/cpu/core.wasm, and that to machine code (compile-core.mjs).
 * A step whose inputs have not changed since it last succeeded is left out. Usage: node scripts/build.mjs
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const interpreter = join(root, "src/cpu/interpreter");
const generated = join(interpreter, "generated");

/** -O3 takes twenty times as long to compile and gives code of the same speed: V8 optimises again. */
const OPTIMISATION = "-O1";

function fail(step, detail) {
  process.stderr.write(`build: ${step} failed${detail ? `: ${detail}` : ""}\n`);
  process.exit(1);
}

/** Runs a program of node_modules with this Node.js. */
function run(step, script, args) {
  const result = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) fail(step, result.error?.message);
}

/** Hash over the contents of all files below the given paths. */
function hashOf(paths, salt) {
  const hash = createHash("sha256").update(salt);
  const visit = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const full = join(path, entry.name);
      if (entry.isDirectory()) visit(full);
      else hash.update(full.slice(root.length)).update(readFileSync(full));
    }
  };
  for (const path of paths) {
    if (/\.(?:json|mjs)$/.test(path)) hash.update(readFileSync(path));
    else visit(path);
  }
  return hash.digest("hex");
}

/** Does `step` unless `inputs` are as they were when it last succeeded and `output` is there. */
function unlessDone(name, output, inputs, salt, step) {
  const stamp = join(dist, `.stamp-${name}`);
  const before = hashOf(inputs, salt);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, "utf8") === before) return;
  process.stderr.write(`build: ${name}\n`);
  step();
  mkdirSync(dist, { recursive: true });
  // The step may have written into its own inputs (generated sources), so the stamp is what it was before.
  writeFileSync(stamp, hashOf(inputs, salt));
}

const compiled = [join(root, "src"), ...["tsconfig.json", "package-lock.json", "scripts/bundle.mjs"].map((name) => join(root, name))];
unlessDone("typescript", join(dist, "bundle/main.js"), compiled, "", () => {
  run("typescript", "node_modules/typescript/bin/tsc", ["-p", "tsconfig.json"]);
  for (const asset of ["platform/node/guest-image/init.sh"]) cpSync(join(root, "src", asset), join(dist, asset));
  run("instruction tables", "dist/cpu/generate/main.js", [generated, interpreter, join(dist, "cpu/translator")]);
  run("bundles", "scripts/bundle.mjs", []);
});

unlessDone("processor", join(dist, "cpu/core.wasm"), [interpreter, join(root, "package-lock.json")], OPTIMISATION, () => {
  run("processor", "node_modules/assemblyscript/bin/asc.js", [
    join("src/cpu/interpreter/main.ts"), OPTIMISATION, "--noAssert", "--runtime", "stub",
    "--importMemory", "--sharedMemory", "--initialMemory", "4096", "--maximumMemory", "65536", "--memoryBase", "4096",
    "--exportTable", "--enable", "threads", "--enable", "simd", "--enable", "bulk-memory", "--disableWarning", "-o", "dist/cpu/core.wasm",
  ]);
});

// Where there is none, or another Node.js runs than this one, the core is compiled when it is needed.
unlessDone("machine code of the processor", join(dist, "cpu/compiled"), [interpreter, ...["package-lock.json", "scripts/compile-core.mjs"].map((name) => join(root, name))], process.version, () => {
  rmSync(join(dist, "cpu/compiled"), { recursive: true, force: true });
  mkdirSync(join(dist, "cpu/compiled"));
  const { status } = spawnSync(process.execPath, [join(root, "scripts/compile-core.mjs")], { cwd: root, stdio: "ignore" });
  if (status !== 0) process.stderr.write("build: this Node.js gives no machine code of the processor away: first starts compile it\n");
});
