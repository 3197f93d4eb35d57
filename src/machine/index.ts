/**
 * Unpinned: boots unmodified 64-bit Linux as a Xen PVH guest in worker threads of this process.
 *
 *     import { VirtualMachine } from "unpinned";
 *     await using vm = await VirtualMachine.create();
 *     console.log((await vm.exec("uname -a")).stdout);
 */
export { GuestImageError } from "../abi/guest-image-error.js";
export type { GuestReport } from "../exit/index.js";
export { InputFileError } from "../platform/node/index.js";
export {
  ExecTimeoutError, GuestEndedError, GuestFailure, GuestPanicError, InternalError, InvalidOptionError, MachineError, type MachineErrorCode,
  NoAgentError, OutOfMemoryError, TripleFaultError, UnsupportedInstructionError,
} from "./errors.js";
export { errorForExit, type GuestExit, type GuestExitReason } from "./guest-exit.js";
export type { ExecChunk, ExecOptions, ExecResult, GuestProcess } from "./guest-process.js";
export {
  MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, PERSONALITIES, PERSONALITY_DEFAULT, type ShellOptions, VCPUS_MAX, type VirtualMachineOptions,
} from "./options.js";
export type { MachineStats, VcpuStats } from "./stats.js";
export { type GuestConsole, type ShutdownOptions, VirtualMachine } from "./virtual-machine.js";
