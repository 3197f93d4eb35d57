/** Files that the operator names. */
import { readFile } from "node:fs/promises";
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
    if (signal?.aborted === true) throw signal.reason;
    throw new InputFileError(`cannot read the ${role} ${path}: ${reasonOf(error, "no such file")}`, { cause: error });
  }
}
