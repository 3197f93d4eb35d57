/**
 * Makes dist/bundle/ of what the compiler has written: each program in one file, because Node.js takes about a millisecond of processor time for
 * every module of every thread, and a run has six threads.
 *
 *   main.js             the command line, and chunks that it shares with index.js or loads when they are needed
 *   index.js            the library
 *   *-worker.js         a thread each, in one file
 *   init.sh             beside the code that looks for it there
 *
 * Everything in dist/bundle/ stands one folder below dist/, so "../cpu/core.wasm" means the same as in dist/machine/, and so on. Not in the bundles:
 * packages, and the explorer, which instruments the compiled modules themselves.
 */
import { build } from "esbuild";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const outdir = join(dist, "bundle");

/** Leaves the explorer's modules where they are. */
const explorerStays = {
  name: "explorer stays",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/explored?\// }, ({ path, resolveDir }) => {
      const target = resolve(resolveDir, path);
      return { path: relative(outdir, target).replaceAll(sep, "/"), external: true };
    });
  },
};

/** Modules of ours do nothing by being imported, so what is re-exported only is left out, and with it the modules of Node's it imports. */
const noSideEffects = {
  name: "no side effects",
  setup({ onResolve }) {
    onResolve({ filter: /^(?:\.|#)/ }, async ({ path, kind, resolveDir }) => {
      if (kind === "entry-point") return undefined;
      const found = path === "#sync" ? join(dist, "sync/real/index.js") : resolve(resolveDir, path);
      return { path: found, sideEffects: false };
    });
  },
};

const common = {
  outdir, bundle: true, format: "esm", platform: "node", target: "node20", packages: "external", sourcemap: true, sourcesContent: false, logLevel: "warning",
  plugins: [explorerStays, noSideEffects], absWorkingDir: dirname(dist),
};

/** Writes all bundles anew. */
async function bundle() {
  rmSync(outdir, { recursive: true, force: true });
  const workers = readdirSync(join(dist, "machine")).filter((name) => name.endsWith("-worker.js"));
  await Promise.all([
    // Names are for people who print what the library gives them; in the threads they would cost time for every closure.
    build({ ...common, splitting: true, keepNames: true, entryPoints: { main: join(dist, "cli/main.js"), index: join(dist, "machine/index.js") }, chunkNames: "part-[hash]" }),
    build({ ...common, entryPoints: workers.map((name) => join(dist, "machine", name)) }),
  ]);
  cpSync(join(dist, "platform/node/guest-image/init.sh"), join(outdir, "init.sh"));
}

await bundle();
