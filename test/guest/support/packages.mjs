/**
 * Programs out of Debian packages, for tests: fetched by the host's apt as the default guest is, and kept for the next run.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { apt } from "../../../dist/platform/node/guest-image/apt.js";
import { readDebFiles } from "../../../dist/platform/node/guest-image/deb.js";
import { defaultCacheFolder } from "../../../dist/platform/node/guest-image/default-guest.js";

const FETCH_TIMEOUT_MS = 60_000;

/**
 * One file of a package, or why it cannot be had.
 * @param {string} name of the package
 * @param {string} pathInside without a slash in front
 * @returns {Promise<{ bytes: Uint8Array } | { missing: string }>}
 */
export async function fileOfPackage(name, pathInside) {
  const kept = join(defaultCacheFolder(), "tests", `${name}-${pathInside.replaceAll("/", "-")}`);
  try {
    return { bytes: await readFile(kept) };
  } catch {
    // Not there yet.
  }
  try {
    await mkdir(join(defaultCacheFolder(), "tests"), { recursive: true });
    const work = await mkdtemp(join(defaultCacheFolder(), "tests", ".fetch-"));
    try {
      await apt.download(name, work, AbortSignal.timeout(FETCH_TIMEOUT_MS));
      const [deb = ""] = await readdir(work);
      const files = await readDebFiles(join(work, deb), (path) => (path === pathInside ? "wanted" : undefined), 1);
      const bytes = files.get("wanted") ?? new Uint8Array();
      await writeFile(join(work, "wanted"), bytes);
      await rename(join(work, "wanted"), kept);
      return { bytes };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (error) {
    return { missing: `${name} cannot be had: ${error instanceof Error ? error.message : String(error)}` };
  }
}
