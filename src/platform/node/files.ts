/** Files that the operator names. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { type FileHandle, open, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { reasonOf } from "./system-errors.js";

/** A file that was named cannot be read. The message is one line. */
export class InputFileError extends Error {
  override readonly name = "InputFileError";
  readonly code = "ERR_INPUT_FILE";
}

/** Reads the whole file `path`; `role` names it in the error message ("kernel", "initrd"). */
export async function readInputFile(path: string, role: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await readFile(path, signal === undefined ? {} : { signal });
  } catch (error) {
    throw failure(error, path, role, signal);
  }
}

function failure(error: unknown, path: string, role: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  return new InputFileError(`cannot read the ${role} ${path}: ${reasonOf(error, "no such file")}`, { cause: error });
}

/** Files are hashed through a buffer of this size: fresh memory costs more than the reading. */
const CHUNK_BYTES = 1 << 18;

/** SHA-256 of `bytes`, in hexadecimal. */
export function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * SHA-256 of the file `path`, in hexadecimal, without having all of it in memory. undefined = `isWanted` says no to its first bytes (up to 256 KiB), or
 * it is no regular file, and might be read once only. Errors are those of readInputFile.
 */
export async function hashInputFile(
  path: string, role: string, { isWanted, signal }: { readonly isWanted: (head: Uint8Array) => boolean; readonly signal?: AbortSignal | undefined },
): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    if (!(await file.stat()).isFile()) return undefined;
    const hash = createHash("sha256");
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (let done = 0; ;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, done);
      const part = chunk.subarray(0, bytesRead);
      if (done === 0 && !isWanted(part)) return undefined;
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(part);
      done += bytesRead;
    }
  } catch (error) {
    throw failure(error, path, role, signal);
  } finally {
    await file?.close();
  }
}

/** The path of a file or folder of this program. */
export function ownPath(url: URL): string { return fileURLToPath(url); }

/** Reads a file of this program. Throws InputFileError when it is not there: `role` names it. */
export async function readOwnFile(url: URL, role: string): Promise<Uint8Array> {
  return await readInputFile(ownPath(url), role);
}

/** SHA-256 over files of this program; those in a folder (a URL that ends in "/") are its scripts. */
export function hashOwnFiles(urls: readonly URL[]): string {
  const hash = createHash("sha256");
  for (const url of urls) {
    const path = ownPath(url);
    const names = url.href.endsWith("/") ? readdirSync(path).filter((name) => name.endsWith(".js")).sort() : [""];
    for (const name of names) hash.update(name).update(createHash("sha256").update(readFileSync(`${path}${name}`)).digest());
  }
  return hash.digest("hex");
}
