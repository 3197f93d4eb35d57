/** The command line: its options, its help, and what they mean. */
import { Command, CommanderError } from "commander";
import {
  LOCK_STEP_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, PERSONALITIES, PERSONALITY_DEFAULT, TIER_DEFAULT, TIERS, VCPUS_MAX,
} from "../machine/index.js";
import { helpLines } from "../machine/control/index.js";
import type { CtlArguments } from "./ctl.js";
import { UsageError } from "./errors.js";
import { addExploreCommand, type ExploreArguments } from "./explore-arguments.js";
import { STATUS_TABLE } from "./exit-status.js";
import { addMemoryOptions, type MemoryArguments, type RawMemoryOptions, readMemoryOptions } from "./memory-arguments.js";
import { addProfileOptions, type ProfileArguments, type RawProfileOptions, readProfileOptions } from "./profile-arguments.js";
import { parseSize, parseWhole } from "./sizes.js";

/** What `unpinned run` was asked for. */
export interface RunArguments extends MemoryArguments, ProfileArguments {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly personality: (typeof PERSONALITIES)[number];
  readonly tier: (typeof TIERS)[number];
  readonly lockStep?: number;
  readonly exec?: string;
  readonly timeoutMs?: number;
  /** Where unpacked kernels are kept; false = nowhere. */
  readonly cache?: false | { readonly directory: string };
  /** Path on which commands are taken. */
  readonly control?: string;
  /** Where gdb may connect: a TCP port, host:port, or a path. */
  readonly gdb?: string;
  readonly gdbWait?: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** Result of reading the command line: something to do, or text to print (help, version). */
export type ParsedArguments = { readonly run: RunArguments } | { readonly ctl: CtlArguments } | { readonly explore: ExploreArguments } | { readonly text: string };

interface RawOptions extends RawMemoryOptions, RawProfileOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  memory: string;
  vcpus: string;
  personality: string;
  tier: string;
  lockStep?: string;
  exec?: string;
  timeout?: string;
  cache?: string | false;
  control?: string;
  gdb?: string;
  gdbWait?: boolean;
  json?: boolean;
  verbose?: boolean;
}

/** What is asked for, by the command that was given. */
interface Handlers {
  onRun(options: RawOptions): void;
  onCtl(socket: string, words: string[], options: { json?: boolean }): void;
  onExplore(args: ExploreArguments): void;
}

const TIMEOUT_SECONDS_MAX = 2_000_000;
const MIB = 2 ** 20;

/** Reads the arguments behind the program's name. Throws UsageError. */
export function parseArguments(args: readonly string[], version: string): ParsedArguments {
  let parsed: ParsedArguments | undefined;
  let text = "";
  const program = createProgram(version, {
    onRun: (options) => (parsed = { run: readOptions(options) }),
    onCtl: (socket, words, { json = false }) => (parsed = { ctl: { socket, words, json } }),
    onExplore: (explore) => (parsed = { explore }),
  });
  const output = { writeOut: (part: string) => (text += part), writeErr: () => undefined };
  for (const command of [program, ...program.commands]) command.configureOutput(output).exitOverride();
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(usageMessage(error, args[0]), { cause: error });
  }
  return parsed ?? { text };
}

function createProgram(version: string, handlers: Handlers): Command {
  const program = new Command("unpinned")
    .description("Boots unmodified 64-bit Linux in a virtual machine made of JavaScript and WebAssembly.")
    .version(version)
    .showSuggestionAfterError(false);
  addRunCommand(program, handlers);
  program.command("ctl")
    .description("see and steer a running guest: one command for a VM that was started with --control")
    .showSuggestionAfterError(false)
    .argument("<socket>", "the path that was given to --control")
    .argument("[command...]", "see below")
    .option("--json", "print the result as JSON")
    .addHelpText("after", ["", "Commands:", ...helpLines().map((line) => `  ${line}`)].join("\n"))
    .action((socket: string, words: string[], options: { json?: boolean }) => handlers.onCtl(socket, words, options));
  addExploreCommand(program, (args) => handlers.onExplore(args));
  program.action(() => {
    throw new UsageError("a command is missing: try unpinned run, or unpinned run --help");
  });
  return program;
}

function addRunCommand(program: Command, handlers: Handlers): void {
  const command = program.command("run")
    .description("boot a guest: a shell on its console, or one command")
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .option("--kernel <file>", "bzImage, or ELF vmlinux with a PVH note (default: Debian's cloud kernel, fetched once)")
    .option("--initrd <file>", "initial RAM disk (default: busybox with our init, made at run time)")
    .option("--append <string>", "words for the kernel's command line, behind ours")
    .option("-m, --memory <size>", "guest memory with K, M or G, 64M to 3G", `${MEMORY_BYTES_DEFAULT / MIB}M`)
    .option("--vcpus <count>", `virtual processors, each a thread, 1 to ${VCPUS_MAX}`, "1")
    .option("--personality <name>", `hypervisor that the guest sees: ${PERSONALITIES.join(" or ")}`, PERSONALITY_DEFAULT)
    .option("--tier <name>", "translate to WebAssembly what runs often (both), nothing (interpreter) or all that was seen once (translator)", TIER_DEFAULT)
    .option("--lock-step <n>", "run every nth entry into translated code by the interpreter, too, and end with status 74 where they differ (1: each)")
    .option("--exec <command>", "run a command in the default guest, without a console, and exit with its status")
    .option("--timeout <seconds>", "end the guest after so long, with status 124")
    .option("--cache <folder>", "keep unpacked kernels and compiled code for later starts there (default: derived, beside the default guest's files)")
    .option("--no-cache", "keep nothing, and use nothing that was kept")
    .option("--control <socket>", "take commands for the running guest on this path: see unpinned ctl --help")
    .option("--gdb <address>", "let gdb connect: a TCP port of this machine, host:port, or a path for a Unix domain socket")
    .option("--gdb-wait", "with --gdb: the guest stands before its first instruction until gdb lets it go on")
    .option("--json", "print one JSON object at the end: status, boot time, instructions, pages, storm, exits, hypercalls")
    .option("--verbose", "show the kernel's log (with --exec: on standard error)")
    .addHelpText("after", runNotes)
    .action((options: RawOptions) => handlers.onRun(options));
  addMemoryOptions(command);
  addProfileOptions(command);
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

function usageMessage(error: CommanderError, command: string | undefined): string {
  if (error.code === "commander.help") return "a command is missing: try unpinned run, or unpinned run --help";
  const [firstLine = ""] = error.message.split("\n");
  return `${firstLine.replace(/^error: /, "")} (see unpinned ${command === "ctl" || command === "explore" ? command : "run"} --help)`;
}

function readOptions(options: RawOptions): RunArguments {
  const { kernel, initrd, append, lockStep, exec, timeout, cache, control, gdb, gdbWait = false, json = false, verbose = false } = options;
  if (exec !== undefined && initrd !== undefined) {
    throw new UsageError("--exec needs the default guest's init: leave --initrd out");
  }
  if (gdbWait && gdb === undefined) throw new UsageError("--gdb-wait needs --gdb: nobody else could let the guest go on");
  if (cache === "") throw new UsageError("--cache needs the path of a folder");
  if (exec?.trim() === "") throw new UsageError("--exec needs a command");
  const memoryBytes = parseMemory(options.memory);
  return {
    memoryBytes, ...readMemoryOptions(options, memoryBytes), ...readProfileOptions(options), vcpus: parseVcpus(options.vcpus),
    personality: parsePersonality(options.personality), tier: parseTier(options.tier), json, verbose,
    ...(lockStep === undefined ? {} : { lockStep: parseWhole("--lock-step", lockStep, 1, LOCK_STEP_MAX) }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
    ...(append === undefined ? {} : { append }),
    ...(exec === undefined ? {} : { exec }),
    ...(timeout === undefined ? {} : { timeoutMs: parseTimeout(timeout) }),
    ...(cache === undefined ? {} : { cache: cache === false ? cache : { directory: cache } }),
    ...(control === undefined ? {} : { control }),
    ...(gdb === undefined ? {} : { gdb, gdbWait }),
  };
}

/** Bytes of a size such as 256M. Throws UsageError unless it is a memory size that a guest can have. */
export function parseMemory(text: string): number {
  const bytes = parseSize("--memory", text);
  if (bytes < MEMORY_BYTES_MIN || bytes > MEMORY_BYTES_MAX) {
    throw new UsageError(`--memory: ${text} is not between 64M and 3G`);
  }
  return bytes;
}

/** Hosts whose processors keep the guest's order of loads and stores. */
const ORDERED_ARCHITECTURES = ["x64", "ia32"];

/**
 * Number of vCPUs. Throws UsageError unless it is one that a guest can have on a host of this architecture (process.arch): two vCPUs
 * see each other's stores in an order that x86 promises, and our plain stores have only the host's (docs/locking.md, part 5).
 */
export function parseVcpus(text: string, architecture: string = process.arch): number {
  const count = parseWhole("--vcpus", text, 1, VCPUS_MAX);
  if (count > 1 && !ORDERED_ARCHITECTURES.includes(architecture)) {
    throw new UsageError(`--vcpus: a guest has one vCPU on ${architecture} hosts, whose memory order is weaker than the x86 guest's`);
  }
  return count;
}

function parsePersonality(text: string): RunArguments["personality"] {
  const name = PERSONALITIES.find((one) => one === text);
  if (name === undefined) throw new UsageError(`--personality: "${text}" is neither ${PERSONALITIES.join(" nor ")}`);
  return name;
}

function parseTier(text: string): RunArguments["tier"] {
  const name = TIERS.find((one) => one === text);
  if (name === undefined) throw new UsageError(`--tier: "${text}" is none of ${TIERS.join(", ")}`);
  return name;
}

function parseTimeout(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : NaN;
  if (!(seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX)) {
    throw new UsageError(`--timeout: "${text}" is no number of seconds above 0`);
  }
  return seconds * 1000;
}
