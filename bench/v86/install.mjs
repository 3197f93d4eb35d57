/** Installs v86 from the npm registry into this folder, when it is asked for. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const MANIFEST = new URL("node_modules/v86/package.json", import.meta.url);

/**
 * Installs v86 if it is not there. Throws with one line if that fails.
 * @param {(message: string) => void} onProgress
 * @returns {string} its version
 */
export function installV86(onProgress) {
  if (!existsSync(MANIFEST)) {
    onProgress("Installing v86 from the npm registry");
    // A shell, because npm is a script of another name on Windows.
    const { status, stderr } = spawnSync("npm ci --no-audit --no-fund", { cwd: FOLDER, shell: true, encoding: "utf8" });
    if (status !== 0) throw new Error(`npm could not install v86 (${stderr.trim().split("\n")[0]}): look at the network, or leave it out with --beside qemu,native`);
  }
  return JSON.parse(readFileSync(MANIFEST, "utf8")).version;
}
