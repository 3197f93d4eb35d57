/** From options to what is booted: kernel, initial RAM disk, command line, and whether our agent is in it. */
import type { FetchOptions } from "../platform/node/guest-image/index.js";
import { readInputFile } from "../platform/node/index.js";
import { type BootImage, buildBoot, defaultCommandLine, loadKernel } from "./boot/index.js";
import { type ProfiledKernel, readProfiledKernel } from "./profile/index.js";
import { initWords, MEMORY_BYTES_DEFAULT, PERSONALITY_DEFAULT, type VirtualMachineOptions } from "./options.js";

/** A guest ready to be started. */
export interface GuestSource {
  readonly image: BootImage;
  /** True when the initial RAM disk is ours, with the agent that runs commands. */
  readonly hasAgent: boolean;
  /** The kernel, if a profile was asked for. */
  readonly profiled: ProfiledKernel | undefined;
}

/** Reads, fetches and unpacks what `options` name. Throws GuestImageError or InputFileError, and the signal's reason. */
export async function prepareGuest(options: VirtualMachineOptions, vcpuCount: number): Promise<GuestSource> {
  const { signal } = options;
  // What was given comes first: a file that cannot be used is to be said before anything is fetched.
  const [givenKernel, givenInitrd] = await Promise.all([
    readGiven(options.kernel, "kernel", signal), readGiven(options.initrd, "initrd", signal),
  ]);
  const kernel = await loadKernel(givenKernel ?? await readDefaultKernel(options));
  const profiled = options.profile === true ? readProfiledKernel(kernel, await readSystemMap(options)) : undefined;
  signal?.throwIfAborted();
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

async function readSystemMap({ systemMap, signal }: VirtualMachineOptions): Promise<string | undefined> {
  const bytes = await readGiven(systemMap, "system map", signal);
  return bytes && new TextDecoder("latin1").decode(bytes);
}

async function readGiven(
  source: string | Uint8Array | undefined, role: string, signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  return typeof source === "string" ? await readInputFile(source, role, signal) : source;
}

async function readDefaultKernel(options: VirtualMachineOptions): Promise<Uint8Array> {
  const { fetchKernel } = await loadGuestImage();
  const { path } = await fetchKernel(fetchOptions(options));
  return await readInputFile(path, "kernel", options.signal);
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
