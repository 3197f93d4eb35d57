/** The files that every machine boots: a kernel, and an initial RAM disk with the benchmark's own init; and the same for the host itself. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadKernel } from "../dist/machine/boot/index.js";
import { buildCpio } from "../dist/platform/node/guest-image/cpio.js";
import { fetchDefaultGuest } from "../dist/platform/node/guest-image/index.js";
import { listEntries } from "../dist/platform/node/guest-image/initramfs.js";
import { buildElf } from "./vmlinux.mjs";

/** A folder in memory, where Linux has one: what is timed shall not wait for a disk. */
const MEMORY_FOLDER = "/dev/shm";
const STATIC = ["-O2", "-static"];
const SOURCES = {
  // No vectors: these are the integer kernels.
  kernels: [...STATIC, "-fno-tree-vectorize"],
  programs: STATIC,
};
/** With SSE2, as all 64-bit code: the x87 rounds otherwise, so results would differ. */
const WORD_SIZES = { 64: ["-m64"], 32: ["-m32", "-msse2", "-mfpmath=sse"] };

/**
 * @typedef {object} GuestFiles
 * @property {string} kernelPath the bzImage
 * @property {string} version package and version of the kernel
 * @property {string} initrdPath
 */

/** @typedef {{ kernelPath: string, busyboxPath: string, version: string }} GuestSource as fetchDefaultGuest gives it */
/** @typedef {Partial<Record<keyof typeof SOURCES, Uint8Array>>} CompiledPrograms */

/** The default guest, fetched if need be. */
export function fetchGuest() {
  return fetchDefaultGuest({ onProgress: (message) => process.stderr.write(`${message}\n`) });
}

/**
 * Writes an initial RAM disk into `folder`.
 * @param {string} folder
 * @param {{ parameters: Readonly<Record<string, string | number>>, compiled?: CompiledPrograms, guest?: GuestSource }} content
 *   `guest`: the default one if absent
 * @returns {Promise<GuestFiles>}
 */
export async function prepareGuestFiles(folder, { parameters, compiled = {}, guest }) {
  const { kernelPath, busyboxPath, version } = guest ?? await fetchGuest();
  const files = [{ path: "/bench/parameters", mode: 0o644, bytes: shellText(parameters) }];
  // What only the workloads need is not in the way of a boot.
  if (parameters.workloads) files.push(...await listBenchFiles(compiled));
  const initrdPath = join(mkdtempSync(join(folder, "guest-")), "initrd");
  writeFileSync(initrdPath, buildCpio(listEntries({ busybox: readFileSync(busyboxPath), files }, readGuestSource("init.sh"))));
  return { kernelPath, version, initrdPath };
}

/**
 * Lays the same files out for the host itself.
 * @param {string} folder
 * @param {{ parameters: Readonly<Record<string, string | number>>, compiled?: CompiledPrograms }} content
 * @returns {Promise<{ busyboxPath: string, benchFolder: string, scratchFolder: string }>} the scratch folder is the caller's to remove
 */
export async function prepareHostFiles(folder, { parameters, compiled = {} }) {
  const benchFolder = join(folder, "native");
  mkdirSync(benchFolder);
  const { busyboxPath } = await fetchGuest();
  // The cached file need not be executable.
  const busybox = { path: "/bench/busybox", mode: 0o755, bytes: readFileSync(busyboxPath) };
  for (const { path, mode, bytes } of [busybox, { path: "/bench/parameters", mode: 0o644, bytes: shellText(parameters) }, ...await listBenchFiles(compiled)]) {
    writeFileSync(join(benchFolder, path.slice("/bench/".length)), bytes, { mode });
  }
  writeFileSync(join(benchFolder, "native.sh"), readGuestSource("native.sh"));
  const scratchFolder = mkdtempSync(join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), "unpinned-bench-"));
  return { busyboxPath: join(benchFolder, "busybox"), benchFolder, scratchFolder };
}

/** @param {CompiledPrograms} compiled */
async function listBenchFiles(compiled) {
  // The same sample in all guests, whatever busybox is theirs.
  const sample = readFileSync((await fetchGuest()).busyboxPath);
  const files = [
    { path: "/bench/workloads.sh", mode: 0o644, bytes: readGuestSource("workloads.sh") },
    { path: "/bench/sample", mode: 0o644, bytes: sample },
  ];
  for (const [name, bytes] of Object.entries(compiled)) files.push({ path: `/bench/${name}`, mode: 0o755, bytes });
  return files;
}

/** @param {Readonly<Record<string, string | number>>} parameters */
function shellText(parameters) {
  return new TextEncoder().encode(Object.entries(parameters).map(([name, value]) => `${name}='${value}'\n`).join(""));
}

/** @param {string} name */
function readGuestSource(name) {
  return readFileSync(fileURLToPath(new URL(`guest/${name}`, import.meta.url)));
}

/**
 * Compiles the C programs with the host's compiler.
 * @param {string} folder
 * @param {keyof typeof WORD_SIZES} wordSize
 * @returns {{ compiled: CompiledPrograms } | { reason: string }} or why that cannot be done here
 */
export function compilePrograms(folder, wordSize) {
  /** @type {CompiledPrograms} */
  const compiled = {};
  for (const [name, options] of Object.entries(SOURCES)) {
    const source = fileURLToPath(new URL(`guest/${name}.c`, import.meta.url));
    const path = join(folder, `${name}-${wordSize}`);
    const { status, error, stderr } = spawnSync("gcc", [...options, ...WORD_SIZES[wordSize], "-o", path, source], { encoding: "utf8" });
    const packages = wordSize === 64 ? "gcc libc6-dev" : "gcc-multilib";
    if (error !== undefined) return { reason: `there is no gcc here (Debian: ${packages})` };
    if (status !== 0) return { reason: `gcc makes no static ${wordSize}-bit program here (Debian: ${packages}): ${stderr.trim().split("\n")[0]}` };
    compiled[/** @type {keyof typeof SOURCES} */ (name)] = readFileSync(path);
  }
  return { compiled };
}

/**
 * Unpacks the kernel into an ELF file that QEMU enters by its PVH note, as we enter it.
 * @param {string} folder
 * @param {string} kernelPath
 * @returns {Promise<string>} its path
 */
export async function unpackKernel(folder, kernelPath) {
  const path = join(folder, "vmlinux");
  if (!existsSync(path)) writeFileSync(path, buildElf(await loadKernel(readFileSync(kernelPath))));
  return path;
}
