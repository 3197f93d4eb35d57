/**
 * The default guest: Debian's kernel and busybox, fetched once and kept in the user's cache folder.
 *
 *   <cache>/unpinned/debian/
 *     linux-image-cloud-amd64.json                      -> which folder holds what this name stood for when it was fetched
 *     linux-image-6.1.0-56-cloud-amd64_6.1.192-2/       vmlinuz
 *     busybox-static.json, busybox-static_1.../         busybox
 *     .fetch-XXXXXX/                                    a fetch that is going on, or was cut off
 *
 * A folder is filled under a temporary name and then moved into place, and the .json file is written last, likewise. So what
 * a .json file names is whole, whatever happened in between, and two processes at once do the same work twice at worst.
 */

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GuestImageError } from "../../../abi/guest-image-error.js";
import { userCacheFolder } from "../cache-folder.js";
import { apt, INSTEAD, type AptPackage, type PackageSource } from "./apt.js";
import { readDebFiles, type FileChoice } from "./deb.js";

/** The kernel of the default guest. */
export const DEFAULT_KERNEL_PACKAGE = "linux-image-cloud-amd64";
const BUSYBOX_PACKAGE = "busybox-static";
const MIB = 1 << 20;
/** How often the progress of a download is told. */
const PROGRESS_INTERVAL_MS = 250;
/** What is left of a fetch that was cut off is removed by a later one, when it is this old. */
const LEFTOVER_AGE_MS = 24 * 3600 * 1000;

/** How the default guest is fetched. Everything has a default. */
export interface FetchOptions {
  /** A Debian kernel package, or a meta package that depends on one, such as linux-image-amd64. */
  readonly kernelPackage?: string;
  /** Folder to keep packages in. */
  readonly cacheFolder?: string;
  /** Told, in one line, what is being done; never called if nothing has to be fetched. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Where packages come from; the host's apt if absent. */
  readonly packages?: PackageSource;
}

/** One package in the cache folder. */
export interface CachedPackage {
  /** Its own name, which is not the name that was asked for if that is a meta package's. */
  readonly package: string;
  readonly version: string;
  /** Absolute path of the file that was taken out of it. */
  readonly path: string;
}

/** The files of the default guest. */
export interface DefaultGuest {
  readonly kernelPath: string;
  readonly busyboxPath: string;
  /** Package and version of the kernel, for people. */
  readonly version: string;
}

/** What we take out of a package. */
interface Wanted {
  readonly fileName: string;
  readonly choose: FileChoice;
}

const wantedKernel: Wanted = { fileName: "vmlinuz", choose: (path) => (/^boot\/vmlinuz-/.test(path) ? "vmlinuz" : undefined) };
const wantedBusybox: Wanted = { fileName: "busybox", choose: (path) => (/^(usr\/)?bin\/busybox$/.test(path) ? "busybox" : undefined) };

/**
 * Gives the files of the default guest, from the cache if they are there, without any use of the network then. Throws
 * GuestImageError, with one line that says what to do, if they cannot be had, and the signal's reason if aborted.
 */
export async function fetchDefaultGuest(options: FetchOptions = {}): Promise<DefaultGuest> {
  const kernel = await fetchKernel(options);
  const busybox = await fetchBusybox(options);
  return { kernelPath: kernel.path, busyboxPath: busybox.path, version: `${kernel.package} ${kernel.version}` };
}

/** Gives the kernel of the default guest alone; otherwise as fetchDefaultGuest. */
export async function fetchKernel(options: FetchOptions = {}): Promise<CachedPackage> {
  return fetchPackage(options.kernelPackage ?? DEFAULT_KERNEL_PACKAGE, wantedKernel, options);
}

/** Gives the busybox of the default guest alone; otherwise as fetchDefaultGuest. */
export async function fetchBusybox(options: FetchOptions = {}): Promise<CachedPackage> {
  return fetchPackage(BUSYBOX_PACKAGE, wantedBusybox, options);
}

/** The folder in which packages are kept. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  return join(userCacheFolder(environment, platform), "debian");
}

async function fetchPackage(name: string, wanted: Wanted, options: FetchOptions): Promise<CachedPackage> {
  options.signal?.throwIfAborted();
  const cache = options.cacheFolder ?? defaultCacheFolder();
  const pointer = join(cache, `${name}.json`);
  const cached = await readPointer(cache, pointer, wanted);
  if (cached) return cached;

  const packages = options.packages ?? apt;
  const described = await resolvePackage(name, packages, options.signal);
  const folder = `${described.name}_${described.version}`.replace(/[^A-Za-z0-9_.+~-]/g, "-");
  try {
    await mkdir(cache, { recursive: true });
    await removeLeftovers(cache);
    const path = join(cache, folder, wanted.fileName);
    if (!(await lengthOf(path))) await fillFolder(join(cache, folder), described, { wanted, packages, options, cache });
    const found = { package: described.name, version: described.version };
    await writeAtomically(pointer, JSON.stringify({ ...found, folder, lengthBytes: await lengthOf(path) }) + "\n");
    return { ...found, path };
  } catch (cause) {
    throw asGuestImageError(cause, cache, options.signal);
  }
}

/** Follows a meta package to the kernel package it stands for. */
async function resolvePackage(name: string, packages: PackageSource, signal: AbortSignal | undefined): Promise<AptPackage> {
  const described = await packages.describe(name, signal);
  const kernel = described.dependsOn.find((dependency) => /^linux-image-\d/.test(dependency));
  return kernel === undefined ? described : packages.describe(kernel, signal);
}

/** Returns what a .json file names, if all of it is there. */
async function readPointer(cache: string, pointer: string, wanted: Wanted): Promise<CachedPackage | undefined> {
  try {
    const found = JSON.parse(await readFile(pointer, "utf8")) as { package: string; version: string; folder: string; lengthBytes: number };
    const path = join(cache, found.folder, wanted.fileName);
    if (found.lengthBytes > 0 && (await lengthOf(path)) === found.lengthBytes) {
      return { package: found.package, version: found.version, path };
    }
  } catch {
    // Absent, garbled, or of another version of ours: it is fetched anew.
  }
  return undefined;
}

interface FillOptions {
  readonly wanted: Wanted;
  readonly packages: PackageSource;
  readonly options: FetchOptions;
  readonly cache: string;
}

/** Downloads a package, takes the wanted file out of it, and moves it into place. */
async function fillFolder(folder: string, described: AptPackage, { wanted, packages, options, cache }: FillOptions): Promise<void> {
  const work = await mkdtemp(join(cache, ".fetch-"));
  try {
    const downloads = join(work, "download");
    const unpacked = join(work, "unpacked");
    await mkdir(downloads);
    await mkdir(unpacked);
    await download(described, downloads, packages, options);
    const deb = (await readdir(downloads)).find((file) => file.endsWith(".deb"));
    if (deb === undefined) throw new GuestImageError(`apt gave no file for ${described.name}: try again, or ${INSTEAD}`);
    options.onProgress?.(`Unpacking ${described.name}`);
    const files = await readDebFiles(join(downloads, deb), wanted.choose, 1);
    options.signal?.throwIfAborted();
    for (const [fileName, bytes] of files) await writeFile(join(unpacked, fileName), bytes, { flush: true });
    await moveIntoPlace(unpacked, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function download(described: AptPackage, folder: string, packages: PackageSource, { onProgress, signal }: FetchOptions): Promise<void> {
  const total = (described.lengthBytes / MIB).toFixed(1);
  onProgress?.(`Fetching ${described.name} ${described.version} (${total} MiB)`);
  let isDone = false;
  const timer = setInterval(async () => {
    const lengths = await Promise.all((await readdir(folder).catch(() => [])).map((file) => lengthOf(join(folder, file))));
    const received = lengths.reduce((sum, length) => sum + length, 0);
    if (received > 0 && !isDone) onProgress?.(`Fetching ${described.name} ${described.version} (${(received / MIB).toFixed(1)} of ${total} MiB)`);
  }, PROGRESS_INTERVAL_MS);
  try {
    await packages.download(described.name, folder, signal);
  } finally {
    isDone = true;
    clearInterval(timer);
  }
}

/** Moves a filled folder to its place, unless another process has been faster. */
async function moveIntoPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== "EEXIST" && code !== "ENOTEMPTY" && code !== "EPERM") throw cause;
    // What is there has a file of the right name, of some length: or else it is a folder someone has emptied.
    const [file] = await readdir(from);
    if (file !== undefined && !(await lengthOf(join(to, file)))) await rename(join(from, file), join(to, file));
  }
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(temporary, text, { flush: true });
  await rename(temporary, path);
}

async function removeLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(".fetch-")) continue;
    const path = join(cache, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > LEFTOVER_AGE_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Length of a file, 0 if there is none. */
async function lengthOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

function asGuestImageError(cause: unknown, cache: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  const code = (cause as NodeJS.ErrnoException).code;
  if (cause instanceof GuestImageError || code === undefined) return cause;
  return new GuestImageError(`the cache folder ${cache} cannot be used (${code}): set XDG_CACHE_HOME to one that can be written, or ${INSTEAD}`, { cause });
}
