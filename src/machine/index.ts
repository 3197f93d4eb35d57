/**
 * Unpinned: boots unmodified 64-bit Linux as a Xen PVH guest in worker threads of this process.
 *
 *     import { VirtualMachine } from "unpinned";
 *     await using vm = await VirtualMachine.create();
 *     console.log((await vm.exec("uname -a")).stdout);
 */
export { GuestImageError } from "../abi/guest-image-error.js";
export type { LockStepDifference, LockStepFigures, LockStepValue } from "../cpu/index.js";
export type { GuestReport, TranslatorDifference } from "../exit/index.js";
export { PAGE_ACCESS_NAMES, type PageAccess } from "../guest-page/index.js";
export type {
  BlockMap, MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, PinnedPage, SlotMap, SwapOutcome,
} from "../host-memory/index.js";
export type { GuestFile } from "../platform/node/guest-image/index.js";
export { InputFileError, LocalSocketError, SwapFileError } from "../platform/node/index.js";
export { ControlSocket } from "./control/control-socket.js";
export type { ControlTarget } from "./control/control-target.js";
export {
  ExecTimeoutError, GuestEndedError, GuestFailure, GuestPanicError, InternalError, InvalidOptionError, MachineError, type MachineErrorCode,
  NoAgentError, OutOfMemoryError, TranslatorDifferenceError, TripleFaultError, UnsupportedInstructionError,
} from "./errors.js";
export { GdbServerError } from "./gdb/gdb-server.js";
export { errorForExit, type GuestExit, type GuestExitReason } from "./guest-exit.js";
export type { ExecChunk, ExecOptions, ExecResult, GuestProcess } from "./guest-process.js";
export { STORM_RATE_LIMIT, type StormRate, type StormStats, type VirtualMachineMemory } from "./memory/index.js";
export {
  LOCK_STEP_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MEMORY_LIMIT_BYTES_MIN, PERSONALITIES, PERSONALITY_DEFAULT, type ShellOptions, VCPUS_MAX,
  type VirtualMachineOptions,
} from "./options.js";
export type { SpeedscopeFile, SpeedscopeFrame, SpeedscopeProfile } from "./profile/index.js";
export type { AddressTranslationStats, MachineStats, PageStats, PageUserStats, VcpuStats } from "./stats.js";
export type { VcpuMode, VcpuReport } from "./vcpu-report.js";
export { type GuestConsole, type ShutdownOptions, VirtualMachine } from "./virtual-machine.js";
export { type Tier, TIER_DEFAULT, TIERS } from "../cpu/index.js";
