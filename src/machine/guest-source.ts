/** From options to what is booted: kernel, initial RAM disk, command line, and whether our agent is in it. */
import type { FetchOptions } from "../platform/node/guest-image/index.js";
import { type FileCache, hashBytes, hashInputFile, openCache, readInputFile } from "../platform/node/index.js";
import {
  type BootImage, buildBoot, defaultCommandLine, isBzImage, keepKernel, type KernelImage, kernelInMemory, loadKernel, openKeptKernel, type PieceBytes,
} from "./boot/index.js";
import { type ProfiledKernel, readProfiledKernel } from "./profile/index.js";
import { initWords, MEMORY_BYTES_DEFAULT, PERSONALITY_DEFAULT, type VirtualMachineOptions } from "./options.js";

/** A guest ready to be started. */
export interface GuestSource {
  readonly image: BootImage;
  /** True when the initial RAM disk is ours, with the agent that runs commands. */
  readonly hasAgent: boolean;
  /** The kernel, if a profile was asked for. */
  readonly profiled: ProfiledKernel | undefined;
  /** Hash of the kernel's file, where one was made; undefined also without a cache. */
  readonly kernelHash: string | undefined;
  /** To be called when the image is loaded, or will not be: what it is read from is closed. */
  release(): void;
}

/** A kernel, in memory or in an open file of the cache. */
interface OpenedKernel {
  readonly kernel: KernelImage<PieceBytes>;
  readonly hash: string | undefined;
  close(): void;
}

/** Reads, fetches and unpacks what `options` name. Throws GuestImageError or InputFileError, and the signal's reason. */
export async function prepareGuest(options: VirtualMachineOptions, vcpuCount: number, cache: FileCache | undefined): Promise<GuestSource> {
  // What was given comes first: a file that cannot be used is to be said before anything is fetched.
  const initrd = await readGiven(options.initrd, "initrd", options.signal);
  const opened = await openKernel(options, cache);
  try {
    return { ...await prepareWith(opened.kernel, initrd, options, vcpuCount), kernelHash: opened.hash, release: () => opened.close() };
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function prepareWith(
  kernel: KernelImage<PieceBytes>, givenInitrd: Uint8Array | undefined, options: VirtualMachineOptions, vcpuCount: number,
): Promise<Omit<GuestSource, "release" | "kernelHash">> {
  const profiled = options.profile === true ? readProfiledKernel(kernelInMemory(kernel), await readSystemMap(options)) : undefined;
  options.signal?.throwIfAborted();
  const initrd = givenInitrd ?? await buildDefaultInitrd(options);
  const { personality = PERSONALITY_DEFAULT } = options;
  const append = [...initWords(options), options.append ?? ""].join(" ").trim();
  const image = buildBoot({
    kernel, initrd, vcpuCount, personality,
    memoryBytes: options.memoryBytes ?? MEMORY_BYTES_DEFAULT,
    commandLine: defaultCommandLine(options.mode ?? "shell", personality, append),
  });
  return { image, hasAgent: givenInitrd === undefined, profiled };
}

/** The cache that `options` ask for, undefined = none. */
export function cacheOf({ cache }: VirtualMachineOptions): FileCache | undefined {
  return cache === false ? undefined : openCache(cache?.directory);
}

/** Opens the unpacked kernel in `cache`, or else unpacks it, and keeps it there. */
async function openKernel(options: VirtualMachineOptions, cache: FileCache | undefined): Promise<OpenedKernel> {
  const { signal } = options;
  const source = options.kernel ?? await findDefaultKernel(options);
  const hash = cache && await hashKernel(source, signal);
  const kept = cache && hash !== undefined ? openKeptKernel(cache, hash) : undefined;
  if (kept !== undefined) return { ...kept, hash };
  const file = typeof source === "string" ? await readInputFile(source, "kernel", signal) : source;
  const kernel = await loadKernel(file);
  // The file may have changed since it was hashed, and an array of the caller's while we waited.
  if (cache && hash !== undefined && hashBytes(file) === hash) keepKernel(cache, hash, kernel);
  return { kernel, hash, close: () => undefined };
}

/** SHA-256 of a kernel that is to be unpacked; undefined = it is an ELF kernel, or none at all. */
async function hashKernel(source: string | Uint8Array, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (typeof source === "string") return await hashInputFile(source, "kernel", { isWanted: isBzImage, signal });
  return isBzImage(source) ? hashBytes(source) : undefined;
}

async function readSystemMap({ systemMap, signal }: VirtualMachineOptions): Promise<string | undefined> {
  const bytes = await readGiven(systemMap, "system map", signal);
  return bytes && new TextDecoder("latin1").decode(bytes);
}

async function readGiven(
  source: string | Uint8Array | undefined, role: string, signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  return typeof source === "string" ? await readInputFile(source, role, signal) : source;
}

async function findDefaultKernel(options: VirtualMachineOptions): Promise<string> {
  const { fetchKernel } = await loadGuestImage();
  return (await fetchKernel(fetchOptions(options))).path;
}

async function buildDefaultInitrd(options: VirtualMachineOptions): Promise<Uint8Array> {
  const { buildInitramfs, fetchBusybox } = await loadGuestImage();
  const { path } = await fetchBusybox(fetchOptions(options));
  return await buildInitramfs({ busybox: await readInputFile(path, "busybox", options.signal), files: options.files ?? [] });
}

/** Loaded when it is needed only: it brings the unpackers along. */
function loadGuestImage(): Promise<typeof import("../platform/node/guest-image/index.js")> {
  return import("../platform/node/guest-image/index.js");
}

function fetchOptions({ onProgress, signal }: VirtualMachineOptions): FetchOptions {
  return { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
}
