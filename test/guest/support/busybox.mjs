/** Runs the cases of busybox on this host, with the very binary that the guest has. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fetchBusybox } from "../../../dist/platform/node/guest-image/index.js";

const CASE_TIMEOUT_MS = 60_000;

/** Whether the guest's busybox runs on this host. */
export const canRunOnHost = process.platform === "linux" && process.arch === "x64";

/** The same surroundings on both sides. PATH is not among them: it leads to the applets, wherever they are. */
export const ENVIRONMENT = { LC_ALL: "C", TZ: "UTC", HOME: "/", TERM: "dumb" };

/**
 * @param {string} preparation
 * @param {[name: string, script: string][]} cases
 * @returns {Promise<Map<string, import("./guest.mjs").Answer>>}
 */
export async function runCasesOnHost(preparation, cases) {
  const { path } = await fetchBusybox();
  const folder = mkdtempSync(join(tmpdir(), "unpinned-busybox-"));
  const busybox = join(folder, "busybox");
  try {
    copyFileSync(path, busybox);
    chmodSync(busybox, 0o755);
    // For awk and xargs, which look for programs themselves; and the host's own tools must not be found.
    spawnSync(busybox, ["--install", "-s", folder]);
    return new Map(cases.map(([name, script]) => [name, runCase(busybox, `${preparation}\n${script}`)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} busybox @param {string} script @returns {import("./guest.mjs").Answer} */
function runCase(busybox, script) {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-case-"));
  try {
    const { status, stdout, stderr } = spawnSync(busybox, ["sh", "-c", script], {
      cwd: folder, env: { ...ENVIRONMENT, PATH: dirname(busybox) }, encoding: "utf8", timeout: CASE_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"],
    });
    return { exitCode: status ?? -1, stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
