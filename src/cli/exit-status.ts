/** Exit statuses of the program, one table: the help text and the error handling are derived from it. */
import {
  GdbServerError, GuestImageError, GuestPanicError, InputFileError, InternalError, InvalidOptionError, LocalSocketError, NoAgentError, OutOfMemoryError,
  SwapFileError, TranslatorDifferenceError, TripleFaultError, UnsupportedInstructionError,
} from "../machine/index.js";
import { ControlFailure, ControlUsageError } from "../machine/control/index.js";
import { ClosedOutputError, OutputFileError } from "../platform/node/index.js";
import { SignalError, TimeoutError, UsageError } from "./errors.js";

type ErrorClass = abstract new (...args: never[]) => Error;

/** One status. */
export interface StatusLine {
  readonly status: number;
  readonly says: string;
  readonly errors: readonly ErrorClass[];
}

export const STATUS_USAGE = 2;
const STATUS_INTERNAL = 73;

/** All statuses but the command's own. */
export const STATUS_TABLE: readonly StatusLine[] = [
  { status: 1, says: "unpinned ctl: the operation was refused or failed, or no guest answers; unpinned explore: something was found", errors: [ControlFailure] },
  {
    status: STATUS_USAGE, says: "wrong use, or an input that cannot be used",
    errors: [UsageError, InvalidOptionError, InputFileError, GuestImageError, NoAgentError, SwapFileError, LocalSocketError, OutputFileError, GdbServerError, ControlUsageError],
  },
  { status: 70, says: "the guest's kernel panicked", errors: [GuestPanicError] },
  { status: 71, says: "the guest's processor ran into a triple fault", errors: [TripleFaultError] },
  { status: 72, says: "the guest ran an instruction that is not supported", errors: [UnsupportedInstructionError] },
  { status: 74, says: "--lock-step has found translated code that differs from the interpreter", errors: [TranslatorDifferenceError] },
  { status: STATUS_INTERNAL, says: "internal error, or out of host memory", errors: [InternalError, OutOfMemoryError] },
  { status: 124, says: "ended by --timeout", errors: [TimeoutError] },
  { status: 141, says: "standard output was closed", errors: [ClosedOutputError] },
];

/** The status for an error that ended the run. */
export function statusOfError(error: unknown): number {
  if (error instanceof SignalError) return error.status;
  return STATUS_TABLE.find((line) => line.errors.some((one) => error instanceof one))?.status ?? STATUS_INTERNAL;
}
