/** The files that every machine boots: the default guest's kernel, and an initial RAM disk with the benchmark's own init. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadKernel } from "../dist/machine/boot/index.js";
import { buildCpio } from "../dist/platform/node/guest-image/cpio.js";
import { fetchDefaultGuest } from "../dist/platform/node/guest-image/index.js";
import { listEntries } from "../dist/platform/node/guest-image/initramfs.js";
import { buildElf } from "./vmlinux.mjs";

const KERNELS_SOURCE = fileURLToPath(new URL("guest/kernels.c", import.meta.url));
const INIT = fileURLToPath(new URL("guest/init.sh", import.meta.url));
/** No vectors: these are the integer kernels. */
const COMPILER_ARGUMENTS = ["-O2", "-fno-tree-vectorize", "-m64", "-static"];

/**
 * @typedef {object} GuestFiles
 * @property {string} kernelPath the bzImage
 * @property {string} version package and version of the kernel
 * @property {string} initrdPath
 */

/**
 * Fetches the default guest if need be, and writes the initial RAM disk into `folder`.
 * @param {string} folder
 * @param {{ parameters: Readonly<Record<string, string | number>>, kernels?: Uint8Array | undefined }} content
 * @returns {Promise<GuestFiles>}
 */
export async function prepareGuestFiles(folder, { parameters, kernels }) {
  const { kernelPath, busyboxPath, version } = await fetchDefaultGuest({ onProgress: (message) => process.stderr.write(`${message}\n`) });
  const settings = Object.entries(parameters).map(([name, value]) => `${name}='${value}'\n`).join("");
  const files = [{ path: "/bench/parameters", mode: 0o644, bytes: new TextEncoder().encode(settings) }];
  if (kernels !== undefined) files.push({ path: "/bench/kernels", mode: 0o755, bytes: kernels });
  const initrdPath = join(folder, "initrd");
  writeFileSync(initrdPath, buildCpio(listEntries({ busybox: readFileSync(busyboxPath), files }, readFileSync(INIT))));
  return { kernelPath, version, initrdPath };
}

/**
 * Compiles the C kernels with the host's compiler.
 * @param {string} folder
 * @returns {{ program: Uint8Array } | { reason: string }} or why that cannot be done here
 */
export function compileKernels(folder) {
  const path = join(folder, "kernels");
  const { status, error, stderr } = spawnSync("gcc", [...COMPILER_ARGUMENTS, "-o", path, KERNELS_SOURCE], { encoding: "utf8" });
  if (error !== undefined) return { reason: "there is no gcc here" };
  if (status !== 0) return { reason: `gcc failed: ${stderr.trim().split("\n")[0]}` };
  return { program: readFileSync(path) };
}

/**
 * Unpacks the kernel into an ELF file that QEMU enters by its PVH note, as we enter it.
 * @param {string} folder
 * @param {string} kernelPath
 * @returns {Promise<string>} its path
 */
export async function unpackKernel(folder, kernelPath) {
  const path = join(folder, "vmlinux");
  writeFileSync(path, buildElf(await loadKernel(readFileSync(kernelPath))));
  return path;
}
