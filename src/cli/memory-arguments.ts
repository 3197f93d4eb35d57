/** The options about the host's memory behind the guest: limit, swap, storm, page access. */
import { Option, type Command } from "commander";
import {
  MEMORY_LIMIT_BYTES_MIN, PAGE_ACCESS_NAMES, type PageAccess, STORM_RATE_LIMIT, type StormRate, type VirtualMachineOptions,
} from "../machine/index.js";
import { UsageError } from "./errors.js";
import { parseSize, parseWhole } from "./sizes.js";

/** As the machine takes them; what was not given is absent. */
export type MemoryArguments = Pick<VirtualMachineOptions, "memoryLimitBytes" | "swapFile" | "swapBytes" | "storm" | "stormSeed" | "pageAccess">;

/** As commander gives them. */
export interface RawMemoryOptions {
  readonly memoryLimit?: string;
  readonly swap?: string;
  readonly swapSize?: string;
  readonly storm?: string;
  readonly stormSeed?: string;
  readonly pageAccess?: PageAccess;
}

const SWAP_BYTES_MIN = 4096;
const SWAP_BYTES_MAX = 2 ** 32;

/** Adds the options to the command that runs a guest. */
export function addMemoryOptions(command: Command): Command {
  return command
    .option("--memory-limit <size>", "host memory for the guest's pages, 16M to below --memory; the rest is swapped out")
    .option("--swap <file>", "where pages are swapped out to (default: a temporary file that nobody sees)")
    .option("--swap-size <size>", "most that is swapped out, taken only as needed (default: as --memory)")
    .option("--storm <rate>", "move so many guest pages a second while the guest runs, or max: as many as there can be")
    .option("--storm-seed <number>", "what the storm's choice of pages follows from (default: random, told by the statistics)")
    .addOption(new Option("--page-access <how>", "how guest pages in use are held; all but revocable are for comparison").choices(PAGE_ACCESS_NAMES));
}

/** Reads them. Throws UsageError. */
export function readMemoryOptions(options: RawMemoryOptions, memoryBytes: number): MemoryArguments {
  const { memoryLimit, swap, swapSize, storm, stormSeed, pageAccess } = options;
  if (swap === "") throw new UsageError("--swap needs a file");
  return {
    ...(memoryLimit === undefined ? {} : { memoryLimitBytes: parseLimit(memoryLimit, memoryBytes) }),
    ...(swap === undefined ? {} : { swapFile: swap }),
    ...(swapSize === undefined ? {} : { swapBytes: parseSwapSize(swapSize) }),
    ...(storm === undefined ? {} : { storm: parseStorm(storm) }),
    ...(stormSeed === undefined ? {} : { stormSeed: parseWhole("--storm-seed", stormSeed, 0, 2 ** 32 - 1) }),
    ...(pageAccess === undefined ? {} : { pageAccess }),
  };
}

function parseLimit(text: string, memoryBytes: number): number {
  const bytes = parseSize("--memory-limit", text);
  if (bytes < MEMORY_LIMIT_BYTES_MIN) throw new UsageError(`--memory-limit: ${text} is less than 16M`);
  if (bytes >= memoryBytes) throw new UsageError(`--memory-limit: ${text} must be smaller than --memory (${memoryBytes / 2 ** 20}M)`);
  return bytes;
}

function parseSwapSize(text: string): number {
  const bytes = parseSize("--swap-size", text);
  if (bytes < SWAP_BYTES_MIN || bytes > SWAP_BYTES_MAX) throw new UsageError(`--swap-size: ${text} is not between 4K and 4G`);
  return bytes;
}

/** Moves a second of --storm. Throws UsageError. */
export function parseStorm(text: string): StormRate {
  if (text.trim() === "max") return "max";
  if (!/^\d+$/.test(text.trim()) || Number(text) > STORM_RATE_LIMIT) {
    throw new UsageError(`--storm: "${text}" is neither a number of moves a second up to ${STORM_RATE_LIMIT} nor max`);
  }
  return Number(text);
}
