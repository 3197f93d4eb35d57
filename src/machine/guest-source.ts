/** From options to what is booted: kernel, initial RAM disk, command line, and whether our agent is in it. */
import { type DefaultGuest, fetchDefaultGuest } from "../platform/node/guest-image/index.js";
import { buildInitramfs } from "../platform/node/guest-image/index.js";
import { readInputFile } from "../platform/node/index.js";
import { type BootImage, buildBoot, defaultCommandLine, loadKernel } from "./boot/index.js";
import { initWords, MEMORY_BYTES_DEFAULT, type VirtualMachineOptions } from "./options.js";

/** A guest ready to be started. */
export interface GuestSource {
  readonly image: BootImage;
  /** True when the initial RAM disk is ours, with the agent that runs commands. */
  readonly hasAgent: boolean;
}

/** Reads, fetches and unpacks what `options` name. Throws GuestImageError or InputFileError, and the signal's reason. */
export async function prepareGuest(options: VirtualMachineOptions, vcpuCount: number): Promise<GuestSource> {
  const { signal, initrd: givenInitrd } = options;
  const hasAgent = givenInitrd === undefined;
  const defaults = lazily(() => fetchDefault(options));
  // What was given comes first: a file that cannot be used is to be said before anything is fetched.
  const [givenKernelFile, givenInitrdFile] = await Promise.all([
    readGiven(options.kernel, "kernel", signal), readGiven(givenInitrd, "initrd", signal),
  ]);
  const kernel = await loadKernel(givenKernelFile ?? await readInputFile((await defaults()).kernelPath, "kernel", signal));
  signal?.throwIfAborted();
  const initrd = givenInitrdFile
    ?? await buildInitramfs({ busybox: await readInputFile((await defaults()).busyboxPath, "busybox", signal) });
  const append = [...initWords(options), options.append ?? ""].join(" ").trim();
  const image = buildBoot({
    kernel, initrd, vcpuCount,
    memoryBytes: options.memoryBytes ?? MEMORY_BYTES_DEFAULT,
    commandLine: defaultCommandLine(options.mode ?? "shell", append),
  });
  return { image, hasAgent };
}

async function readGiven(
  source: string | Uint8Array | undefined, role: string, signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  return typeof source === "string" ? await readInputFile(source, role, signal) : source;
}

async function fetchDefault({ onProgress, signal }: VirtualMachineOptions): Promise<DefaultGuest> {
  return await fetchDefaultGuest({
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function lazily<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined;
  return () => (value ??= make());
}
