/** How a guest's run ended, and the error that goes with it. */
import type { GuestReport, TranslatorDifference, VcpuOutcome } from "../exit/index.js";
import {
  GuestEndedError, GuestPanicError, InternalError, type MachineError, OutOfMemoryError, TranslatorDifferenceError, TripleFaultError, UnsupportedInstructionError,
} from "./errors.js";

/** Why the guest does not run any more. */
export type GuestExitReason =
  | "power-off" | "reboot" | "suspend" | "crash" | "panic" | "triple-fault" | "unsupported-instruction" | "out-of-memory"
  | "translator-difference" | "stopped" | "internal-error";

/** The end of a guest's run. */
export interface GuestExit {
  readonly reason: GuestExitReason;
  /** Last part of the guest's console output. */
  readonly log: string;
  /** Registers, for a triple fault, an unsupported instruction or a translator difference. */
  readonly report?: GuestReport;
  /** What differs, for "translator-difference". */
  readonly difference?: TranslatorDifference;
  /** What failed, for "internal-error". */
  readonly cause?: unknown;
}

/** What the log says when a kernel gives up, whichever way the machine then ends. */
const PANIC_LINE = /Kernel panic - not syncing[^\r\n]*/;
/** Ends that a panic leads to: a restart (panic=-1), a crash report, or a triple fault as last means to restart. */
const ENDS_OF_A_PANIC: readonly GuestExitReason[] = ["reboot", "crash", "triple-fault", "stopped"];

/** Puts together what the vCPU's thread reported and what the guest's log says. */
export function exitFromOutcome(outcome: VcpuOutcome, log: string): GuestExit {
  const panicked = ENDS_OF_A_PANIC.includes(outcome.kind) && PANIC_LINE.test(log);
  const reason = panicked ? "panic" : outcome.kind;
  if (!("report" in outcome)) return { reason, log };
  return { reason, log, report: outcome.report, ...("difference" in outcome ? { difference: outcome.difference } : {}) };
}

/** The error by which pending calls learn of the end. */
export function errorForExit(exit: GuestExit): MachineError {
  const { reason, log, report } = exit;
  switch (reason) {
    case "panic":
    case "crash":
      return new GuestPanicError(PANIC_LINE.exec(log)?.[0] ?? "the guest's kernel crashed", { log, report });
    case "triple-fault":
      return new TripleFaultError(`triple fault at rip ${report?.rip ?? "unknown"}`, { log, report });
    case "unsupported-instruction":
      return new UnsupportedInstructionError(
        `unsupported instruction at rip ${report?.rip ?? "unknown"}: ${report?.bytes ?? "unreadable"}`, { log, report });
    case "translator-difference":
      return new TranslatorDifferenceError(exit.difference!, { log, report });
    case "out-of-memory":
      return new OutOfMemoryError("the VM's host memory is used up");
    case "internal-error":
      return new InternalError(`internal error: ${messageOf(exit.cause)}`, { log, cause: exit.cause });
    default:
      return new GuestEndedError(`the guest has ended (${reason})`);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
