/** Standard output and standard error, written with back-pressure. */

/** Standard output was closed by its reader (`… | head`). */
export class ClosedOutputError extends Error {
  override readonly name = "ClosedOutputError";
  readonly code = "EPIPE";
}

/** Resolves when `data` has gone out. Rejects with ClosedOutputError when nobody reads any more. */
export async function writeOutput(target: "stdout" | "stderr", data: Uint8Array | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process[target].write(data, (error) => {
      if (error == null) resolve();
      else reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new ClosedOutputError("the output is closed", { cause: error }) : error);
    });
  });
}

/** Lets write errors come by writeOutput only, and not end the process. To be called once, first. */
export function catchOutputErrors(): void {
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
}
