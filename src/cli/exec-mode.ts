/** `--exec`: one command, its output on ours. */
import type { ReadableStream } from "node:stream/web";
import { writeOutput } from "../platform/node/index.js";
import type { RunContext } from "./modes.js";

/** Runs the command; the result is its status. */
export async function runExec({ args, signal, boot }: RunContext): Promise<number> {
  const vm = await boot({
    mode: "exec",
    ...(args.verbose ? { onLog: (bytes: Uint8Array) => void writeOutput("stderr", bytes).catch(() => undefined) } : {}),
  });
  const command = vm.exec(args.exec!, { buffer: false, signal });
  await Promise.all([copy(command.stdout, "stdout"), copy(command.stderr, "stderr")]);
  return (await command).exitCode;
}

async function copy(stream: ReadableStream<Uint8Array>, target: "stdout" | "stderr"): Promise<void> {
  for await (const bytes of stream) await writeOutput(target, bytes);
}
