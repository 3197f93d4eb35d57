/**
 * The file that pages of the guest are swapped out to: 4096-byte slots, written and read where they lie, by any thread of the
 * process. Nothing is allocated in advance; a slot takes disk space when it is first written.
 *
 * A named regular file begins with a page that says which process uses it, so that neither a file with other contents nor the swap
 * file of a running VM is overwritten; what a killed process left is taken over.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, reasonOf } from "./system-errors.js";

const SLOT_BYTES = 4096;
const HEAD_PATTERN = /^unpinned swap file of process (\d+)\n/;
/** Only the user may read what the guest had in its memory. */
const FILE_MODE = 0o600;

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** The swap file cannot be made, read or written. The message is one line with the file's path. */
export class SwapFileError extends Error {
  override readonly name = "SwapFileError";
  readonly code = "ERR_SWAP_FILE";
}

/** What a thread needs to use the file of another: numbers and text, to be sent by messages. */
export interface SwapFileShare {
  /** The open file; descriptors are the process's, so every thread may use it. */
  readonly descriptor: number;
  readonly path: string;
  readonly slotCount: number;
  /** Where slot 0 begins. */
  readonly firstSlotOffset: number;
}

/** The slots of an open swap file, as one thread uses them. Both methods block until the data is there. */
export class SwapFileSlots {
  readonly #share: SwapFileShare;

  constructor(share: SwapFileShare) {
    this.#share = share;
  }

  /** Slots that the file may have; they are numbered from 0. */
  get slotCount(): number {
    return this.#share.slotCount;
  }

  /** Writes 4096 bytes. Throws SwapFileError; the slot's contents are undefined then. */
  write(slot: number, bytes: Uint8Array): void {
    this.#transfer(slot, (offset, length, position) => writeSync(this.#share.descriptor, bytes, offset, length, position));
  }

  /** Fills `target`, 4096 bytes, with a slot that was written. Throws SwapFileError. */
  read(slot: number, target: Uint8Array): void {
    this.#transfer(slot, (offset, length, position) => readSync(this.#share.descriptor, target, offset, length, position));
  }

  #transfer(slot: number, call: (offset: number, length: number, position: number) => number): void {
    const { path, firstSlotOffset } = this.#share;
    const start = firstSlotOffset + slot * SLOT_BYTES;
    for (let done = 0; done < SLOT_BYTES;) {
      const count = attempt(path, () => call(done, SLOT_BYTES - done, start + done));
      if (count === 0) throw new SwapFileError(`swap file ${path}: slot ${slot} is missing, somebody has shortened the file`);
      done += count;
    }
  }
}

/** An open swap file, for the one who made it and closes it. */
export class SwapFile {
  readonly share: SwapFileShare;
  readonly #removesAtEnd: boolean;
  #isOpen = true;

  private constructor(share: SwapFileShare, removesAtEnd: boolean) {
    this.share = share;
    this.#removesAtEnd = removesAtEnd;
  }

  /**
   * Opens a file for `slotCount` slots: `path`, made if it is not there, or else a file in the system's folder for temporary files
   * that nobody sees. Throws SwapFileError.
   */
  static open(path: string | undefined, slotCount: number): SwapFile {
    const { share, removesAtEnd } = path === undefined ? openTemporary(slotCount) : openNamed(path, slotCount);
    return new SwapFile(share, removesAtEnd);
  }

  /** Gives the disk space back. Precondition: no thread uses the file any more. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { descriptor, path } = this.share;
    try {
      if (this.#removesAtEnd) unlinkSync(path);
      else if (fstatSync(descriptor).isFile()) ftruncateSync(descriptor, 0);
    } catch {
      // Somebody else has removed it, or the file system is gone: there is nothing left to give back.
    }
    closeSync(descriptor);
  }
}

interface OpenedFile {
  readonly share: SwapFileShare;
  readonly removesAtEnd: boolean;
}

function openTemporary(slotCount: number): OpenedFile {
  const path = join(tmpdir(), `unpinned-swap-${process.pid}-${globalThis.crypto.randomUUID()}`);
  const descriptor = attempt(path, () => openSync(path, "wx+", FILE_MODE));
  let isRemoved = true;
  try {
    unlinkSync(path);
  } catch {
    // Windows may refuse to remove a file that is open.
    isRemoved = false;
  }
  return { share: { descriptor, path, slotCount, firstSlotOffset: 0 }, removesAtEnd: !isRemoved };
}

function openNamed(path: string, slotCount: number): OpenedFile {
  const descriptor = attempt(path, () => openExistingOrNew(path));
  try {
    const isFile = fstatSync(descriptor).isFile();
    if (isFile) claim(descriptor, path);
    return { share: { descriptor, path, slotCount, firstSlotOffset: isFile ? SLOT_BYTES : 0 }, removesAtEnd: false };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function openExistingOrNew(path: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return openSync(path, "wx+", FILE_MODE);
  }
}

/** Writes the first page, unless it says that the file is somebody else's. An empty file, and one of zeroes, is nobody's. */
function claim(descriptor: number, path: string): void {
  const head = new Uint8Array(SLOT_BYTES);
  attempt(path, () => readSync(descriptor, head, 0, SLOT_BYTES, 0));
  const owner = HEAD_PATTERN.exec(new TextDecoder().decode(head))?.[1];
  if (owner === undefined && head.some((byte) => byte !== 0)) {
    throw new SwapFileError(`swap file ${path}: the file has other contents; name a new one`);
  }
  if (owner !== undefined && isRunning(Number(owner))) {
    throw new SwapFileError(`swap file ${path}: process ${owner} uses it`);
  }
  head.fill(0);
  new TextEncoder().encodeInto(`unpinned swap file of process ${process.pid}\n`, head);
  attempt(path, () => writeSync(descriptor, head, 0, SLOT_BYTES, 0));
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

function attempt<Value>(path: string, call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    if (error instanceof SwapFileError) throw error;
    const code = codeOf(error);
    const reason = reasonOf(error, "no such folder");
    throw new SwapFileError(FULL.has(code) ? `swap file ${path} is full (${reason})` : `swap file ${path}: ${reason}`, { cause: error });
  }
}
