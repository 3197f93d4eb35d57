/** Options of a VM, and what they may be. */
import { VCPU_COUNT_MAX } from "../abi/layout.js";
import type { PersonalityName } from "../exit/index.js";
import { InvalidOptionError } from "./errors.js";

const MIB = 1 << 20;
/** Least and most memory of a guest. */
export const MEMORY_BYTES_MIN = 64 * MIB;
export const MEMORY_BYTES_MAX = 3072 * MIB;
export const MEMORY_BYTES_DEFAULT = 256 * MIB;
/** Most virtual processors of a guest. */
export const VCPUS_MAX = VCPU_COUNT_MAX;
/** Names of the hypervisors that a guest can see, and the one it sees when nothing is said. */
export const PERSONALITIES: readonly PersonalityName[] = ["xen", "kvm"];
export const PERSONALITY_DEFAULT: PersonalityName = "xen";

/** What a VM is made from. Everything has a default: `VirtualMachine.create()` boots the default guest. */
export interface VirtualMachineOptions {
  /** A bzImage or an ELF vmlinux with a PVH note: a path, or the file's content. Absent: the default guest's kernel. */
  readonly kernel?: string | Uint8Array;
  /** An initial RAM disk: a path, or the file's content. Absent: the default guest's, made at run time, if the kernel is the default too. */
  readonly initrd?: string | Uint8Array;
  /** Words for the kernel's command line, behind ours. */
  readonly append?: string;
  /** Size of guest memory, 64 MiB to 3 GiB; host memory is used only as the guest touches it. Default 256 MiB. */
  readonly memoryBytes?: number;
  /** Virtual processors, each a thread; 1 to 8, default 1. */
  readonly vcpus?: number;
  /** Which hypervisor the guest sees: "xen" (default), with PV consoles, or "kvm", with serial ports. */
  readonly personality?: PersonalityName;
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
  const { memoryBytes = MEMORY_BYTES_DEFAULT, kernel, initrd } = options;
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < MEMORY_BYTES_MIN || memoryBytes > MEMORY_BYTES_MAX) {
    throw new InvalidOptionError(`memoryBytes must be between 64 MiB and 3 GiB, got ${memoryBytes}`);
  }
  const { vcpus = 1 } = options;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > VCPUS_MAX) {
    throw new InvalidOptionError(`vcpus must be a whole number from 1 to ${VCPUS_MAX}, got ${vcpus}`);
  }
  const { personality = PERSONALITY_DEFAULT } = options;
  if (!PERSONALITIES.includes(personality)) {
    throw new InvalidOptionError(`personality must be one of ${PERSONALITIES.join(", ")}, got ${String(personality)}`);
  }
  for (const [name, value] of Object.entries({ kernel, initrd })) {
    if (value === undefined || typeof value === "string" || value instanceof Uint8Array) continue;
    throw new InvalidOptionError(`${name} must be a path or a Uint8Array`);
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
