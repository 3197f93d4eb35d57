/**
 * The file system of the default guest, made in memory at each start: busybox, our init and little else. Not packed, because
 * unpacking it in the guest costs 37 million instructions.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { GuestImageError } from "../../../abi/guest-image-error.js";
import { buildCpio, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, type CpioEntry } from "./cpio.js";

/** Commands of the host that can run at one time: /init serves this many slots. */
export const EXEC_SLOT_COUNT = 3;

/** A file that the user wants in the guest. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  /** Permission bits, such as 0o755. */
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** What goes into the initramfs. */
export interface InitramfsOptions {
  /** The static busybox binary. */
  readonly busybox: Uint8Array;
  /** More files; missing folders are made. They may replace files of ours in /etc, but not /init. */
  readonly files?: readonly GuestFile[];
}

/** Folders as a path each, in order. */
const folders = [
  ".", "bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin",
  "unpinned", "unpinned/dev", "unpinned/dev/pts", "unpinned/dev/shm",
];

/** Nodes that the kernel and /init need before devtmpfs is there. */
const nodes: readonly [path: string, major: number, minor: number][] = [
  ["dev/console", 5, 1],
  ["dev/null", 1, 3],
];

/** Copied to /dev when devtmpfs is there. */
const links: readonly [path: string, target: string][] = [
  ["unpinned/dev/fd", "/proc/self/fd"],
  ["unpinned/dev/stdin", "/proc/self/fd/0"],
  ["unpinned/dev/stdout", "/proc/self/fd/1"],
  ["unpinned/dev/stderr", "/proc/self/fd/2"],
];

const texts: readonly [path: string, text: string][] = [
  ["etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"],
  ["etc/group", "root:x:0:\ntty:x:5:\n"],
  ["etc/hostname", "unpinned\n"],
  ["etc/hosts", "127.0.0.1 localhost unpinned\n"],
  [
    "etc/fstab",
    "sysfs /sys sysfs nosuid,nodev,noexec 0 0\n" +
      "devpts /dev/pts devpts gid=5,mode=620,ptmxmode=666 0 0\n" +
      "tmpfs /dev/shm tmpfs nosuid,nodev,mode=1777 0 0\n" +
      "tmpfs /run tmpfs nosuid,nodev,mode=755 0 0\n" +
      "tmpfs /tmp tmpfs nosuid,nodev,mode=1777 0 0\n",
  ],
];

/** Builds the initramfs of the default guest. Throws GuestImageError if a file given by the user has no usable path. */
export async function buildInitramfs(options: InitramfsOptions): Promise<Uint8Array> {
  return buildCpio(listEntries(options, await readInitScript()));
}

/** Lists what goes into the initramfs, each folder before what is in it. */
export function listEntries({ busybox, files = [] }: InitramfsOptions, initScript: Uint8Array): CpioEntry[] {
  const encoder = new TextEncoder();
  const entries = new Map<string, CpioEntry>();
  const add = (entry: CpioEntry) => entries.set(entry.path, entry);

  for (const path of folders) add({ path, mode: S_IFDIR | (path === "root" ? 0o700 : 0o755) });
  for (const [path, major, minor] of nodes) add({ path, mode: S_IFCHR | 0o600, device: [major, minor] });
  for (const [path, target] of links) add({ path, mode: S_IFLNK | 0o777, bytes: encoder.encode(target) });
  for (const [path, text] of texts) add({ path, mode: S_IFREG | 0o644, bytes: encoder.encode(text) });
  add({ path: "bin/busybox", mode: S_IFREG | 0o755, bytes: busybox });
  for (const file of files) {
    const path = checkPath(file.path);
    for (const folder of foldersOf(path)) if (!entries.has(folder)) add({ path: folder, mode: S_IFDIR | 0o755 });
    add({ path, mode: S_IFREG | (file.mode & 0o7777), bytes: file.bytes });
  }
  add({ path: "init", mode: S_IFREG | 0o755, bytes: initScript });
  return [...entries.values()];
}

function checkPath(path: string): string {
  const parts = path.split("/").slice(1);
  const isPlain = path.startsWith("/") && parts.every((part) => part !== "" && part !== "." && part !== "..") && !path.includes("\0");
  if (!isPlain) throw new GuestImageError(`"${path}" is no path for a file in the guest: give an absolute one, such as /root/test`);
  return parts.join("/");
}

function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** Reads init.sh: beside the compiled module, or, in a working tree where only the compiler has run, beside the source. */
async function readInitScript(): Promise<Uint8Array> {
  const beside = new URL("./init.sh", import.meta.url);
  const inSource = new URL("../../../../src/platform/node/guest-image/init.sh", import.meta.url);
  return readFile(existsSync(beside) ? beside : inSource);
}
