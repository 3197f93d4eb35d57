/**
 * A folder of files that can be made anew at any time: checked when they are read, bounded, shared by all processes of the user.
 *
 *   head, 24 bytes, little endian                                              key          contents
 *   | magic and version (8) | length of contents (8) | key length (4) | CRC-32 (4) | ASCII text | ...
 *
 * The CRC-32 is of the key and the contents. It finds what disks, full ones too, and killed processes do to files; whoever can write to the folder can
 * forge it, as he can everything else of the user's.
 *
 * A file is written under a temporary name and renamed, and never written again, so a reader sees a whole file or none, and what it has
 * open stays as it is. Two processes that make the same file do the work twice, and the later one stays. What goes wrong is never told: a cache
 * that cannot be used is an empty one.
 */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, renameSync, statSync, unlinkSync, utimesSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "./crc32.js";

/** The last byte counts the forms that a file has had. */
const MAGIC = 0x01_65_68_63_61_63_50_55n;
const HEAD_BYTES = 24;
const KEY_PATTERN = /^[a-z0-9][a-z0-9.-]{0,119}$/;
const TEMPORARY_PATTERN = /^\.new-/;
/** What a killed process was writing is removed when it is this old. */
const LEFTOVER_AGE_MS = 3600 * 1000;
/** Contents are checked through a buffer of this size: fresh memory costs more than the reading. */
const CHUNK_BYTES = 1 << 18;
/** Others of the user's group need not know what he runs. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Bounds of a cache. What was used longest ago goes first. */
export interface FileCacheBounds {
  /** Most bytes of all files together. */
  readonly bytesMax: number;
  /** Most files. */
  readonly filesMax: number;
}

const BOUNDS_DEFAULT: FileCacheBounds = { bytesMax: 512 << 20, filesMax: 1000 };

/** A file of a cache, checked and open. It stays readable when the cache drops it. Close it. */
export class CachedFile {
  /** Length of the contents. */
  readonly lengthBytes: number;
  readonly #descriptor: number;
  readonly #start: number;

  /** For FileCache only: contents stand from `start` on. */
  constructor(descriptor: number, start: number, lengthBytes: number) {
    this.#descriptor = descriptor;
    this.#start = start;
    this.lengthBytes = lengthBytes;
  }

  /** Fills `target` with the contents from `position` on. Throws an Error when that fails: the file was whole a moment ago. */
  read(target: Uint8Array, position: number): void {
    if (!readFully(this.#descriptor, target, this.#start + position)) throw new Error("a file of the cache has been cut short while it was in use");
  }

  /** Gives the file back. */
  close(): void {
    closeSync(this.#descriptor);
  }
}

/**
 * A cache in one folder. Keys are short names in lower case, 1 to 120 of a-z, 0-9, "." and "-", that say all that contents depend on: a hash
 * of what they are made from, and a number for the way they are made. All methods are synchronous, none throws but for a key that is none.
 */
export class FileCache {
  /** For other threads, which open the same cache by it. */
  readonly folder: string;
  readonly #bounds: FileCacheBounds;

  /** The folder is made at the first `put`. */
  constructor(folder: string, bounds: FileCacheBounds = BOUNDS_DEFAULT) {
    this.folder = folder;
    this.#bounds = bounds;
  }

  /** What was last put under `key`; undefined = it is not there, or damaged. */
  get(key: string): Uint8Array | undefined {
    const file = this.open(key);
    if (file === undefined) return undefined;
    try {
      const bytes = new Uint8Array(file.lengthBytes);
      file.read(bytes, 0);
      return bytes;
    } catch {
      return undefined;
    } finally {
      file.close();
    }
  }

  /** As `get`, for contents that are wanted in parts, or that need not be in memory all at once. */
  open(key: string): CachedFile | undefined {
    const path = this.#pathOf(key);
    const descriptor = attempt(() => openSync(path, "r"));
    if (descriptor === undefined) return undefined;
    const file = attempt(() => checkedFile(descriptor, key));
    if (file === undefined) {
      attempt(() => closeSync(descriptor));
      attempt(() => unlinkSync(path));
      return undefined;
    }
    const now = new Date();
    attempt(() => utimesSync(path, now, now));
    return file;
  }

  /** Keeps `parts`, one behind the other, under `key`. False = they could not be kept, or are more than the cache may hold. */
  put(key: string, ...parts: readonly Uint8Array[]): boolean {
    const path = this.#pathOf(key);
    const head = headFor(key, parts);
    if (lengthOf([head, ...parts]) > this.#bounds.bytesMax) return false;
    const temporary = join(this.folder, `.new-${process.pid}-${globalThis.crypto.randomUUID()}`);
    try {
      makeFolder(this.folder);
      writeNew(temporary, [head, ...parts]);
      renameSync(temporary, path);
    } catch {
      attempt(() => unlinkSync(temporary));
      return false;
    }
    attempt(() => this.#evict(key));
    return true;
  }

  #pathOf(key: string): string {
    if (!KEY_PATTERN.test(key)) throw new Error(`expected a key of lower-case letters, digits, dots and hyphens, got "${key}"`);
    return join(this.folder, key);
  }

  /** Removes what is beyond the bounds, and what killed processes left; never the file of `newest`, though clocks may disagree. */
  #evict(newest: string): void {
    const files = readdirSync(this.folder).flatMap((name) => {
      const stat = attempt(() => statSync(join(this.folder, name)));
      return stat?.isFile() === true ? [{ name, bytes: stat.size, usedMs: name === newest ? Infinity : stat.mtimeMs }] : [];
    });
    const remove = (name: string): void => void attempt(() => unlinkSync(join(this.folder, name)));
    const isTemporary = ({ name }: { readonly name: string }): boolean => TEMPORARY_PATTERN.test(name);
    for (const { name, usedMs } of files.filter(isTemporary)) if (usedMs < Date.now() - LEFTOVER_AGE_MS) remove(name);
    let [bytes, count] = [0, 0];
    // A name that is no key is not a file of ours: the folder may have been chosen badly.
    for (const file of files.filter(({ name }) => KEY_PATTERN.test(name)).sort((a, b) => b.usedMs - a.usedMs)) {
      bytes += file.bytes;
      count += 1;
      if (bytes > this.#bounds.bytesMax || count > this.#bounds.filesMax) remove(file.name);
    }
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function headFor(key: string, parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES + key.length);
  head.writeBigUInt64LE(MAGIC, 0);
  head.writeBigUInt64LE(BigInt(lengthOf(parts)), 8);
  head.writeUInt32LE(key.length, 16);
  head.write(key, HEAD_BYTES, "latin1");
  head.writeUInt32LE(parts.reduce((crc, part) => crc32(part, crc), crc32(head.subarray(HEAD_BYTES))), 20);
  return head;
}

function writeNew(path: string, parts: readonly Uint8Array[]): void {
  const descriptor = openSync(path, "wx", FILE_MODE);
  try {
    for (const part of parts) {
      for (let done = 0; done < part.length;) done += writeSync(descriptor, part, done);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Checks an open file against its head; undefined = it is not what was put under `key`. */
function checkedFile(descriptor: number, key: string): CachedFile | undefined {
  const start = HEAD_BYTES + key.length;
  const head = Buffer.alloc(start);
  const lengthBytes = fstatSync(descriptor).size - start;
  if (lengthBytes < 0 || !readFully(descriptor, head, 0)) return undefined;
  const isOurs = head.readBigUInt64LE(0) === MAGIC && head.readBigUInt64LE(8) === BigInt(lengthBytes)
    && head.readUInt32LE(16) === key.length && head.toString("latin1", HEAD_BYTES) === key;
  if (!isOurs) return undefined;
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, lengthBytes));
  let crc = crc32(head.subarray(HEAD_BYTES));
  for (let done = 0; done < lengthBytes; done += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, lengthBytes - done));
    if (!readFully(descriptor, part, start + done)) return undefined;
    crc = crc32(part, crc);
  }
  return crc === head.readUInt32LE(20) ? new CachedFile(descriptor, start, lengthBytes) : undefined;
}

/** Fills `target` from `position` on; false = the file ends before. */
function readFully(descriptor: number, target: Uint8Array, position: number): boolean {
  for (let done = 0; done < target.length;) {
    const count = readSync(descriptor, target, done, target.length - done, position + done);
    if (count === 0) return false;
    done += count;
  }
  return true;
}

function attempt<Value>(call: () => Value): Value | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

/** Makes `path` with the folders above it. Node's own way of doing that never ends where a folder cannot be made though the one above is there, as below /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
  } catch (error) {
    // Another process may have been quicker.
    if (!existsSync(path)) throw error;
  }
}
