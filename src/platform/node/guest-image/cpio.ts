/** Writes cpio archives in the "newc" format, as the kernel unpacks them (Documentation/driver-api/early-userspace/buffer-format.rst). */

const HEADER_LENGTH = 110;
const ALIGNMENT = 4;
const TRAILER = "TRAILER!!!";

/** File types of the mode field. */
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** One file of an archive. A folder must come before what is in it. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** S_IF* and permission bits. */
  readonly mode: number;
  /** Content of a file, target of a symbolic link; otherwise absent. */
  readonly bytes?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

/** Builds an archive; every file belongs to root and is of 1970, so that equal input gives equal bytes. */
export function buildCpio(entries: readonly CpioEntry[]): Uint8Array {
  const all = [...entries, { path: TRAILER, mode: 0 }];
  const encoder = new TextEncoder();
  const names = all.map((entry) => encoder.encode(entry.path + "\0"));
  let length = 0;
  all.forEach((entry, i) => (length += alignUp(HEADER_LENGTH + names[i]!.length) + alignUp(entryLength(entry))));

  const archive = new Uint8Array(length);
  let at = 0;
  all.forEach((entry, i) => {
    const name = names[i]!;
    encoder.encodeInto(makeHeader(entry, i + 1, name.length), archive.subarray(at));
    archive.set(name, at + HEADER_LENGTH);
    at += alignUp(HEADER_LENGTH + name.length);
    if (entry.bytes) archive.set(entry.bytes, at);
    at += alignUp(entryLength(entry));
  });
  return archive;
}

function makeHeader(entry: CpioEntry, inode: number, nameLength: number): string {
  const isTrailer = entry.path === TRAILER;
  const fields = [
    isTrailer ? 0 : inode,
    entry.mode,
    0, // owner
    0, // group
    (entry.mode & S_IFDIR) === S_IFDIR ? 2 : 1, // links
    0, // time
    entryLength(entry),
    0, // device the file is on
    0,
    entry.device?.[0] ?? 0,
    entry.device?.[1] ?? 0,
    nameLength,
    0, // checksum, of the "crc" format only
  ];
  return "070701" + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
}

function entryLength(entry: CpioEntry): number {
  return entry.bytes?.length ?? 0;
}

function alignUp(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
