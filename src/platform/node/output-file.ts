/** A file that the operator names for something that is known only at the end of a run. */
import { open, unlink, writeFile } from "node:fs/promises";
import { codeOf, reasonOf } from "./system-errors.js";

/** A file that was named cannot be written. The message is one line. */
export class OutputFileError extends Error {
  override readonly name = "OutputFileError";
  readonly code = "ERR_OUTPUT_FILE";
}

/** A file that was found to be writable. What is in it stays until `write`. */
export class OutputFile {
  readonly #path: string;
  readonly #role: string;
  readonly #isNew: boolean;

  private constructor(path: string, role: string, isNew: boolean) {
    this.#path = path;
    this.#role = role;
    this.#isNew = isNew;
  }

  /** Makes `path` if it is not there; `role` names it in error messages ("profile"). Throws OutputFileError. */
  static async prepare(path: string, role: string): Promise<OutputFile> {
    try {
      const isNew = await tryOpen(path, "ax");
      if (!isNew) await tryOpen(path, "a");
      return new OutputFile(path, role, isNew);
    } catch (error) {
      throw failure(path, role, error);
    }
  }

  /** Writes the whole file. Throws OutputFileError. */
  async write(text: string): Promise<void> {
    try {
      await writeFile(this.#path, text);
    } catch (error) {
      throw failure(this.#path, this.#role, error);
    }
  }

  /** There is nothing to write: takes the file away if it was not there before. */
  async discard(): Promise<void> {
    if (this.#isNew) await unlink(this.#path).catch(() => undefined);
  }
}

/** Opens and closes; false = it is there, which "ax" minds. */
async function tryOpen(path: string, flags: "ax" | "a"): Promise<boolean> {
  try {
    await (await open(path, flags)).close();
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function failure(path: string, role: string, error: unknown): OutputFileError {
  return new OutputFileError(`cannot write the ${role} ${path}: ${reasonOf(error, "no such folder")}`, { cause: error });
}
