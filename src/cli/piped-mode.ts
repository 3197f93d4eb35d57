/** Standard input is no terminal: its lines go to the guest's shell, and its end ends the guest. */
import { NoAgentError, type VirtualMachine } from "../machine/index.js";
import { writeOutput } from "../platform/node/index.js";
import { type RunContext, statusAtEnd } from "./modes.js";

const END_OF_FILE = 4;
const NEW_LINE = 10;
/** A program that reads the terminal may take the end-of-file mark that was meant for the shell: it is sent again this often. */
const END_REPEAT_MS = 2000;

/** Feeds the shell; the result is 0 once the guest has powered off. */
export async function runPiped({ signal, boot }: RunContext): Promise<number> {
  const vm = await boot({ mode: "shell", shell: { echo: false } });
  const feeding = feed(vm, signal).catch((error: unknown) => {
    // The guest may end before its input does.
    if (!signal.aborted) void error;
  });
  for await (const bytes of vm.console.readable) await writeOutput("stdout", bytes);
  const status = await statusAtEnd(vm, signal);
  process.stdin.destroy();
  await feeding;
  return status;
}

async function feed(vm: VirtualMachine, signal: AbortSignal): Promise<void> {
  await readyOrForeign(vm, signal);
  const writer = vm.console.writable.getWriter();
  let last = NEW_LINE;
  for await (const bytes of process.stdin as AsyncIterable<Uint8Array>) {
    await writer.write(bytes);
    last = bytes.at(-1) ?? last;
  }
  if (last !== NEW_LINE) await writer.write(Uint8Array.of(NEW_LINE));
  await writer.write(Uint8Array.of(END_OF_FILE));
  const timer = setInterval(() => void writer.write(Uint8Array.of(END_OF_FILE)).catch(() => undefined), END_REPEAT_MS);
  await vm.ended;
  clearInterval(timer);
}

/** The default guest's terminal is set up when its init is ready; another guest does not tell. */
async function readyOrForeign(vm: VirtualMachine, signal: AbortSignal): Promise<void> {
  try {
    await vm.ready({ signal });
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
  }
}
