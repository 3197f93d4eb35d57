/** What a profile has to know of the guest's kernel: its functions, and how it tells which task runs. */
import { GuestImageError } from "../../abi/guest-image-error.js";
import type { KernelImage, KernelSegment } from "../boot/index.js";
import { memberOffset } from "./btf.js";
import { readKallsyms } from "./kallsyms.js";
import { parseSystemMap, SymbolTable } from "./symbol-table.js";

/** Bytes of task_struct.comm (TASK_COMM_LEN), closing zero included. */
export const TASK_COMM_BYTES = 16;
/** Below are physical addresses: a kernel runs there until its page tables are on. */
const PHYSICAL_END = 1n << 32n;
/** What KASLR may shift a kernel by: less than its 1 GiB, in steps of CONFIG_PHYSICAL_ALIGN, at least 2 MiB. */
const SHIFT_MAX = 1n << 30n;
const SHIFT_STEP = 1n << 21n;

/** Where the running kernel says which task runs. */
export interface TaskLayout {
  /** From the kernel's GS base to the pointer to the current task. */
  readonly currentOffset: bigint;
  /** From the task to its name. */
  readonly commOffset: number;
}

/** A kernel, for a profile of it. */
export interface ProfiledKernel {
  readonly symbols: SymbolTable;
  readonly segments: readonly KernelSegment[];
  /** undefined = the kernel does not tell (no BTF): samples carry no task's name. */
  readonly tasks: TaskLayout | undefined;
}

/** Reads `kernel`'s symbols, from its kallsyms or from `systemMap`, which wins. Throws GuestImageError when there are none. */
export function readProfiledKernel({ segments }: KernelImage, systemMap: string | undefined): ProfiledKernel {
  const listed = systemMap === undefined ? readKallsyms(segments) : parseSystemMap(systemMap);
  if (listed === undefined) {
    throw new GuestImageError(systemMap === undefined
      ? "the kernel has no symbols for a profile (CONFIG_KALLSYMS): give its System.map as the system map"
      : "the system map names no function: give the System.map that was made with this kernel");
  }
  const symbols = new SymbolTable(listed);
  return { symbols, segments, tasks: findTaskLayout(symbols, segments) };
}

/** From 6.2 to 6.14 the current task is the first member of pcpu_hot. */
function findTaskLayout(symbols: SymbolTable, segments: readonly KernelSegment[]): TaskLayout | undefined {
  const currentOffset = symbols.addressOf("current_task") ?? symbols.addressOf("pcpu_hot");
  const [start, end] = [symbols.addressOf("__start_BTF"), symbols.addressOf("__stop_BTF")];
  const btf = start === undefined || end === undefined ? undefined : bytesAt(segments, start, Number(end - start));
  const commOffset = btf && memberOffset(btf, "task_struct", "comm");
  return currentOffset === undefined || commOffset === undefined ? undefined : { currentOffset, commOffset };
}

function bytesAt(segments: readonly KernelSegment[], address: bigint, lengthBytes: number): Uint8Array | undefined {
  const segment = segments.find(({ linkedAddress, bytes }) => address >= linkedAddress && address < linkedAddress + BigInt(bytes.length));
  if (segment === undefined) return undefined;
  const offset = Number(address - segment.linkedAddress);
  return segment.bytes.subarray(offset, offset + lengthBytes);
}

/**
 * How far the kernel runs from where it was linked (KASLR). `syscallEntry` is what it has put in the MSR LSTAR: the address of
 * entry_SYSCALL_64; 0 = nothing yet. 0 as well when that is no shift KASLR makes: the symbols are of another kernel then.
 */
export function kernelShift({ symbols }: Pick<ProfiledKernel, "symbols">, syscallEntry: bigint): bigint {
  const linked = symbols.addressOf("entry_SYSCALL_64");
  if (linked === undefined || syscallEntry === 0n) return 0n;
  const shift = BigInt.asIntN(64, syscallEntry - linked);
  return shift > -SHIFT_MAX && shift < SHIFT_MAX && shift % SHIFT_STEP === 0n ? shift : 0n;
}

/** The address that the code at `rip` was linked for. */
export function linkedAddressOf({ segments }: Pick<ProfiledKernel, "segments">, rip: bigint, shift: bigint): bigint {
  if (rip >= PHYSICAL_END) return BigInt.asUintN(64, rip - shift);
  const segment = segments.find(({ gpa, memoryBytes }) => rip >= BigInt(gpa) && rip < BigInt(gpa + memoryBytes));
  return segment === undefined ? rip : rip - BigInt(segment.gpa) + segment.linkedAddress;
}
