/** The command line: its options, its help, and what they mean. */
import { Command, CommanderError } from "commander";
import { MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, PERSONALITIES, PERSONALITY_DEFAULT, VCPUS_MAX } from "../machine/index.js";
import { UsageError } from "./errors.js";
import { STATUS_TABLE } from "./exit-status.js";

/** What `unpinned run` was asked for. */
export interface RunArguments {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly personality: (typeof PERSONALITIES)[number];
  readonly exec?: string;
  readonly timeoutMs?: number;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** Result of reading the command line: something to run, or text to print (help, version). */
export type ParsedArguments = { readonly run: RunArguments } | { readonly text: string };

interface RawOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  memory: string;
  vcpus: string;
  personality: string;
  exec?: string;
  timeout?: string;
  json?: boolean;
  verbose?: boolean;
}

const SUFFIXES: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const TIMEOUT_SECONDS_MAX = 2_000_000;
const MIB = 2 ** 20;

/** Reads the arguments behind the program's name. Throws UsageError. */
export function parseArguments(args: readonly string[], version: string): ParsedArguments {
  let run: RunArguments | undefined;
  let text = "";
  const program = createProgram(version, (options) => (run = readOptions(options)));
  const output = { writeOut: (part: string) => (text += part), writeErr: () => undefined };
  for (const command of [program, ...program.commands]) command.configureOutput(output).exitOverride();
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(usageMessage(error), { cause: error });
  }
  return run === undefined ? { text } : { run };
}

function createProgram(version: string, onRun: (options: RawOptions) => void): Command {
  const program = new Command("unpinned")
    .description("Boots unmodified 64-bit Linux in a virtual machine made of JavaScript and WebAssembly.")
    .version(version)
    .showSuggestionAfterError(false);
  program.command("run")
    .description("boot a guest: a shell on its console, or one command")
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .option("--kernel <file>", "bzImage, or ELF vmlinux with a PVH note (default: Debian's cloud kernel, fetched once)")
    .option("--initrd <file>", "initial RAM disk (default: busybox with our init, made at run time)")
    .option("--append <string>", "words for the kernel's command line, behind ours")
    .option("-m, --memory <size>", "guest memory with K, M or G, 64M to 3G", `${MEMORY_BYTES_DEFAULT / MIB}M`)
    .option("--vcpus <count>", `virtual processors, each a thread, 1 to ${VCPUS_MAX}`, "1")
    .option("--personality <name>", `hypervisor that the guest sees: ${PERSONALITIES.join(" or ")}`, PERSONALITY_DEFAULT)
    .option("--exec <command>", "run a command in the default guest, without a console, and exit with its status")
    .option("--timeout <seconds>", "end the guest after so long, with status 124")
    .option("--json", "print one JSON object at the end: status, boot time, instructions, pages, exits, hypercalls")
    .option("--verbose", "show the kernel's log (with --exec: on standard error)")
    .addHelpText("after", runNotes)
    .action((options: RawOptions) => onRun(options));
  program.action(() => {
    throw new UsageError("a command is missing: try unpinned run, or unpinned run --help");
  });
  return program;
}

function runNotes(): string {
  const statuses = STATUS_TABLE.map(({ status, says }) => `  ${String(status).padStart(3)}  ${says}`);
  return [
    "",
    "Keys on the console:",
    "  Ctrl-A h  help       Ctrl-A x  quit",
    "  Ctrl-A c  monitor    Ctrl-A a  send Ctrl-A",
    "Where standard input is no terminal, its lines go to the guest's shell, and its end powers the guest off.",
    "",
    "Exit status: the command's own with --exec, 0 when the guest powered itself off, else",
    ...statuses,
    "  128 + n  ended by signal n",
  ].join("\n");
}

function usageMessage(error: CommanderError): string {
  if (error.code === "commander.help") return "a command is missing: try unpinned run, or unpinned run --help";
  const [firstLine = ""] = error.message.split("\n");
  return `${firstLine.replace(/^error: /, "")} (see unpinned run --help)`;
}

function readOptions(options: RawOptions): RunArguments {
  const { kernel, initrd, append, exec, timeout, json = false, verbose = false } = options;
  if (exec !== undefined && initrd !== undefined) {
    throw new UsageError("--exec needs the default guest's init: leave --initrd out");
  }
  if (exec?.trim() === "") throw new UsageError("--exec needs a command");
  return {
    memoryBytes: parseMemory(options.memory), vcpus: parseVcpus(options.vcpus), personality: parsePersonality(options.personality), json, verbose,
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
    ...(append === undefined ? {} : { append }),
    ...(exec === undefined ? {} : { exec }),
    ...(timeout === undefined ? {} : { timeoutMs: parseTimeout(timeout) }),
  };
}

/** Bytes of a size such as 256M. Throws UsageError unless it is a memory size that a guest can have. */
export function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match === null ? NaN : Number(match[1]) * SUFFIXES[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`--memory: "${text}" is no size: give one such as 256M`);
  if (bytes < MEMORY_BYTES_MIN || bytes > MEMORY_BYTES_MAX) {
    throw new UsageError(`--memory: ${text} is not between 64M and 3G`);
  }
  return bytes;
}

/** Number of vCPUs. Throws UsageError unless it is one that a guest can have. */
export function parseVcpus(text: string): number {
  const count = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  if (!(count >= 1 && count <= VCPUS_MAX)) throw new UsageError(`--vcpus: "${text}" is no whole number from 1 to ${VCPUS_MAX}`);
  return count;
}

function parsePersonality(text: string): RunArguments["personality"] {
  const name = PERSONALITIES.find((one) => one === text);
  if (name === undefined) throw new UsageError(`--personality: "${text}" is neither ${PERSONALITIES.join(" nor ")}`);
  return name;
}

function parseTimeout(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : NaN;
  if (!(seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX)) {
    throw new UsageError(`--timeout: "${text}" is no number of seconds above 0`);
  }
  return seconds * 1000;
}
