/** Runs the cases of busybox on this host, with the very binary that the guest has. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchBusybox } from "../../../dist/platform/node/guest-image/index.js";

const CASE_TIMEOUT_MS = 60_000;

/** Whether the guest's busybox runs on this host. */
export const canRunOnHost = process.platform === "linux" && process.arch === "x64";

/** The same surroundings on both sides; the shell finds its applets by itself. */
export const ENVIRONMENT = { PATH: "/bin", LC_ALL: "C", TZ: "UTC", HOME: "/", TERM: "dumb" };

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
      cwd: folder, env: ENVIRONMENT, encoding: "utf8", timeout: CASE_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"],
    });
    return { exitCode: status ?? -1, stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
