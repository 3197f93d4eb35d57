/** Options of a VM, and what they may be. */
import { VCPU_COUNT_MAX } from "../abi/layout.js";
import { type Tier, TIER_DEFAULT, TIERS } from "../cpu/index.js";
import type { PersonalityName } from "../exit/index.js";
import { PAGE_ACCESS_NAMES, type PageAccess } from "../guest-page/index.js";
import type { GuestFile } from "../platform/node/guest-image/index.js";
import { InvalidOptionError } from "./errors.js";
import { parseListenAddress } from "./gdb/listen-address.js";
import { checkStormRate, type StormRate } from "./memory/index.js";

const MIB = 1 << 20;
const PAGE_BYTES = 4096;
/** Least and most memory of a guest. */
export const MEMORY_BYTES_MIN = 64 * MIB;
export const MEMORY_BYTES_MAX = 3072 * MIB;
export const MEMORY_BYTES_DEFAULT = 256 * MIB;
/** Least host memory for a guest's pages: below, a guest does nothing but wait for its swap file. */
export const MEMORY_LIMIT_BYTES_MIN = 16 * MIB;
/** Most virtual processors of a guest. */
export const VCPUS_MAX = VCPU_COUNT_MAX;
/** Names of the hypervisors that a guest can see, and the one it sees when nothing is said. */
export const PERSONALITIES: readonly PersonalityName[] = ["xen", "kvm"];
export const PERSONALITY_DEFAULT: PersonalityName = "xen";

/** Rarest lock-step check: an entry of so many. */
export const LOCK_STEP_MAX = 1_000_000;

/** What a VM is made from. Everything has a default: `VirtualMachine.create()` boots the default guest. */
export interface VirtualMachineOptions {
  /** A bzImage or an ELF vmlinux with a PVH note: a path, or the file's content. Absent: the default guest's kernel. */
  readonly kernel?: string | Uint8Array;
  /** An initial RAM disk: a path, or the file's content. Absent: the default guest's, made at run time, if the kernel is the default too. */
  readonly initrd?: string | Uint8Array;
  /** More files for the default guest's root, which is in its memory; with an initrd of your own there are none. */
  readonly files?: readonly GuestFile[];
  /** Words for the kernel's command line, behind ours. */
  readonly append?: string;
  /** Size of guest memory, 64 MiB to 3 GiB; host memory is used only as the guest touches it. Default 256 MiB. */
  readonly memoryBytes?: number;
  /** Virtual processors, each a thread; 1 to 8, default 1. */
  readonly vcpus?: number;
  /**
   * Most host memory for the guest's pages, 16 MiB to below memoryBytes; what is beyond lies in the swap file. Absent: as much as the
   * guest touches.
   */
  readonly memoryLimitBytes?: number;
  /** Where pages are swapped out to: a path. Absent: a temporary file that nobody sees. */
  readonly swapFile?: string;
  /** Size of the swap file, which is not taken before it is needed. Default: memoryBytes. */
  readonly swapBytes?: number;
  /** Moves so many random pages of the guest a second while it runs, from its first instruction on; "max" = as many as there can be. Default 0. */
  readonly storm?: StormRate;
  /** u32: what the storm's choice of pages follows from. Absent: a random one, which stats() tells. */
  readonly stormSeed?: number;
  /** How the hypervisor holds guest pages that it uses; default "revocable". */
  readonly pageAccess?: PageAccess;
  /** Called with the reason when the guest waits for memory (the swap file is full), and with undefined when it goes on. */
  readonly onStall?: (reason: string | undefined) => void;
  /** Which hypervisor the guest sees: "xen" (default), with PV consoles, or "kvm", with serial ports. */
  readonly personality?: PersonalityName;
  /** Which code is translated to WebAssembly: "both" (default) what runs often, "interpreter" none, "translator" all that was seen once. */
  readonly tier?: Tier;
  /** true: samples what the guest executes, for `profile()` once it has ended. Default false. */
  readonly profile?: boolean;
  /** System.map of the kernel, for a profile: a path, or the file's content. Absent: the kernel's own table of symbols. */
  readonly systemMap?: string | Uint8Array;
  /**
   * Where a debugger may connect that speaks gdb's remote protocol: a TCP port of the loopback interface (0 = any that is free), "host:port", or the path of
   * a Unix domain socket. Whoever can connect there can do anything to the guest. Absent: nobody can.
   */
  readonly gdb?: number | string;
  /** true: the guest stands before its first instruction until the debugger lets it go on. Default false. */
  readonly gdbWait?: boolean;
  /**
   * Every how manyth entry into translated code is run by the interpreter, too, and compared: 1 = each; default 0, none. The first difference ends
   * the guest with a TranslatorDifferenceError. Slow, and needs the page access "revocable".
   */
  readonly lockStep?: number;
  /**
   * Where what would be made anew is kept for later starts (unpacked kernels, compiled code). Absent: a folder in the user's cache folder; false: nowhere.
   * It may be removed at any time, and is bounded; what is damaged in it is made anew.
   */
  readonly cache?: false | { readonly directory: string };
  /** What the default guest does on its console: a shell (default), or nothing, only commands by `exec`. */
  readonly mode?: "shell" | "exec";
  /** How the default guest's shell starts. */
  readonly shell?: ShellOptions;
  /** true: the kernel prints its whole log on the console. Default false. */
  readonly verbose?: boolean;
  /** Ends the start, and later the VM. */
  readonly signal?: AbortSignal;
  /** Called with each chunk of console output of the guest, kernel log included. */
  readonly onLog?: (bytes: Uint8Array) => void;
  /** Called before steps that take long, such as the fetch of the default guest. */
  readonly onProgress?: (step: string) => void;
}

/** The shell on hvc0. */
export interface ShellOptions {
  readonly rows?: number;
  readonly columns?: number;
  /** false: no prompt and no echo, for input that is not typed. */
  readonly echo?: boolean;
}

/** Checks what can be checked without reading files. Throws InvalidOptionError. */
export function checkOptions(options: VirtualMachineOptions): void {
  const { memoryBytes = MEMORY_BYTES_DEFAULT, kernel, initrd, systemMap, files = [] } = options;
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < MEMORY_BYTES_MIN || memoryBytes > MEMORY_BYTES_MAX) {
    throw new InvalidOptionError(`memoryBytes must be between 64 MiB and 3 GiB, got ${memoryBytes}`);
  }
  const { vcpus = 1 } = options;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > VCPUS_MAX) {
    throw new InvalidOptionError(`vcpus must be a whole number from 1 to ${VCPUS_MAX}, got ${vcpus}`);
  }
  checkMemoryOptions(options, memoryBytes);
  if (options.gdbWait === true && options.gdb === undefined) throw new InvalidOptionError("gdbWait needs gdb: nobody else could let the guest go on");
  if (options.gdb !== undefined) parseListenAddress(options.gdb);
  if (files.length > 0 && initrd !== undefined) throw new InvalidOptionError("files must be left out with an initrd: they go into the default guest's");
  const { personality = PERSONALITY_DEFAULT } = options;
  if (!PERSONALITIES.includes(personality)) {
    throw new InvalidOptionError(`personality must be one of ${PERSONALITIES.join(", ")}, got ${String(personality)}`);
  }
  const { tier = TIER_DEFAULT } = options;
  if (!TIERS.includes(tier)) throw new InvalidOptionError(`tier must be one of ${TIERS.join(", ")}, got ${String(tier)}`);
  checkLockStep(options);
  checkCache(options.cache);
  for (const [name, value] of Object.entries({ kernel, initrd, systemMap })) {
    if (value === undefined || typeof value === "string" || value instanceof Uint8Array) continue;
    throw new InvalidOptionError(`${name} must be a path or a Uint8Array`);
  }
}

function checkCache(cache: VirtualMachineOptions["cache"]): void {
  if (cache === undefined || cache === false || (typeof cache?.directory === "string" && cache.directory !== "")) return;
  throw new InvalidOptionError("cache must be false, or an object whose directory is a path");
}

function checkLockStep({ lockStep = 0, tier = TIER_DEFAULT, pageAccess = "revocable" }: VirtualMachineOptions): void {
  if (!Number.isInteger(lockStep) || lockStep < 0 || lockStep > LOCK_STEP_MAX) {
    throw new InvalidOptionError(`lockStep must be a whole number from 0 to ${LOCK_STEP_MAX}, got ${lockStep}`);
  }
  if (lockStep === 0) return;
  if (tier === "interpreter") throw new InvalidOptionError('lockStep needs translated code to check: leave tier "interpreter" out');
  if (pageAccess !== "revocable") throw new InvalidOptionError('lockStep needs pageAccess "revocable"');
}

function checkMemoryOptions(options: VirtualMachineOptions, memoryBytes: number): void {
  const { memoryLimitBytes, swapBytes = memoryBytes, storm = 0, stormSeed = 0, pageAccess = "revocable" } = options;
  if (memoryLimitBytes !== undefined && !(memoryLimitBytes >= MEMORY_LIMIT_BYTES_MIN && memoryLimitBytes < memoryBytes)) {
    throw new InvalidOptionError(`memoryLimitBytes must be at least 16 MiB and below memoryBytes (${memoryBytes}), got ${memoryLimitBytes}`);
  }
  if (!(swapBytes >= PAGE_BYTES && swapBytes <= 2 ** 32)) throw new InvalidOptionError(`swapBytes must be between 4 KiB and 4 GiB, got ${swapBytes}`);
  checkStormRate("storm", storm);
  if (stormSeed !== stormSeed >>> 0) throw new InvalidOptionError(`stormSeed must be a whole number from 0 to ${2 ** 32 - 1}, got ${stormSeed}`);
  if (!PAGE_ACCESS_NAMES.includes(pageAccess)) {
    throw new InvalidOptionError(`pageAccess must be one of ${PAGE_ACCESS_NAMES.join(", ")}, got ${String(pageAccess)}`);
  }
}

/** Words of the default guest's init for `options` (see the guest's init script). */
export function initWords(options: VirtualMachineOptions): string[] {
  // Level 2: emergencies and alerts only, a panic among them.
  const words = options.verbose === true ? [] : ["quiet", "loglevel=2"];
  const { rows, columns, echo } = options.shell ?? {};
  if (rows !== undefined) words.push(`unpinned.rows=${rows}`);
  if (columns !== undefined) words.push(`unpinned.cols=${columns}`);
  if (echo === false) words.push("unpinned.echo=0");
  return words;
}
