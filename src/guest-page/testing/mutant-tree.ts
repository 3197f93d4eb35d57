/**
 * Copies of the compiled code with paused atomics and, if wished, a planted fault: a folder with dist/ and a package.json of its own, so
 * that the copy is complete and nothing of the repository's is touched.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** What is copied; everything else of dist/ is not needed by the catchers. */
const COPIED = ["abi", "sync", "host-memory", "guest-page", "hypercall", "kvm", "exit/requests", "cpu/vcpu-state.raw.js"];
/** Files whose `Atomics` becomes that of sync/jitter. */
const PAUSED_FILES = ["sync/real/atomics.js", "sync/real/lock.js", "sync/real/reader-slots.js", "sync/real/section-steps.js", "guest-page/page-view.raw.js", "cpu/vcpu-state.raw.js"];
const PAUSED_ATOMICS = "sync/jitter/paused-atomics.raw.js";

/** One replacement in a compiled file. */
export interface Edit {
  /** Path from dist/. */
  readonly file: string;
  /** Text that is in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Thrown when a fault cannot be planted: the code has changed under it. */
export class MutationMisfit extends Error {
  override readonly name = "MutationMisfit";
}

/** The text of a compiled file with an edit made. Throws MutationMisfit. */
export function planted(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new MutationMisfit(`${file} has this text ${parts.length - 1} times instead of once: ${find}`);
  return parts.join(replace);
}

/** A copy on the disk. */
export class MutantTree {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Copies the code. Throws MutationMisfit. */
  static create(edits: readonly Edit[] = []): MutantTree {
    const tree = new MutantTree(mkdtempSync(join(tmpdir(), "unpinned-copy-")));
    try {
      tree.#copy();
      for (const edit of edits) tree.#apply(edit);
      for (const file of PAUSED_FILES) tree.#pause(file);
    } catch (error) {
      tree.remove();
      throw error;
    }
    return tree;
  }

  /** Path in the copy of a file of dist/. */
  path(file: string): string {
    return join(this.folder, "dist", file);
  }

  /** Deletes the copy. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #copy(): void {
    const isNeeded = (path: string): boolean => !/\.(?:d\.ts|map|test\.js)$/.test(path);
    for (const part of COPIED) cpSync(join(DIST, part), this.path(part), { recursive: true, filter: isNeeded });
    writeFileSync(join(this.folder, "package.json"), JSON.stringify({ type: "module", imports: { "#sync": "./dist/sync/real/index.js" } }));
  }

  #apply(edit: Edit): void {
    const path = this.path(edit.file);
    writeFileSync(path, planted(readFileSync(path, "utf8"), edit));
  }

  #pause(file: string): void {
    const from = relative(dirname(file), PAUSED_ATOMICS).replaceAll("\\", "/");
    writeFileSync(this.path(file), `import { Atomics } from "${from.startsWith(".") ? from : `./${from}`}";\n${readFileSync(this.path(file), "utf8")}`);
  }
}
