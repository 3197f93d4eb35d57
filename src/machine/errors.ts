/** Errors that users of the library meet. `code` is stable; messages are one line for people. */
import { formatLockStepDifference } from "../cpu/index.js";
import { formatGuestReport, type GuestReport, type TranslatorDifference } from "../exit/index.js";

/** Stable names of the errors, one a class. */
export type MachineErrorCode =
  | "ERR_INVALID_OPTION" | "ERR_GUEST_ENDED" | "ERR_GUEST_PANIC" | "ERR_TRIPLE_FAULT" | "ERR_UNSUPPORTED_INSTRUCTION"
  | "ERR_TRANSLATOR_DIFFERENCE" | "ERR_NO_AGENT" | "ERR_EXEC_TIMEOUT" | "ERR_OUT_OF_MEMORY" | "ERR_INTERNAL";

/** Base of every error that a VirtualMachine makes. */
export abstract class MachineError extends Error {
  abstract readonly code: MachineErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    // Until it is formatted, a stack holds the objects of its frames, and with them the memory of a VM that has ended.
    void this.stack;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** An option has a value that cannot be used. */
export class InvalidOptionError extends MachineError {
  readonly code = "ERR_INVALID_OPTION";
}

/** The guest is not running any more: it powered itself off, restarted, or was stopped. */
export class GuestEndedError extends MachineError {
  readonly code = "ERR_GUEST_ENDED";
}

/** The guest has no agent of ours, so commands cannot be run in it. */
export class NoAgentError extends MachineError {
  readonly code = "ERR_NO_AGENT";
}

/** A command did not end within the time it was given. */
export class ExecTimeoutError extends MachineError {
  readonly code = "ERR_EXEC_TIMEOUT";
}

/** The host memory of the VM is used up. */
export class OutOfMemoryError extends MachineError {
  readonly code = "ERR_OUT_OF_MEMORY";
}

/** Base of the errors that end a guest and come with what it last said. */
export abstract class GuestFailure extends MachineError {
  /** Last part of the guest's console output (up to 64 KiB). */
  readonly log: string;
  readonly report: GuestReport | undefined;

  constructor(message: string, details: { log: string; report?: GuestReport | undefined; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.log = details.log;
    this.report = details.report;
  }

  /** Lines for an operator: the log's last lines, then the registers. */
  describe(logLineCount = 40): string[] {
    const lines = this.log.split(/\r?\n/).filter((line) => line !== "").slice(-logLineCount);
    return this.report === undefined ? lines : [...lines, ...formatGuestReport(this.report)];
  }
}

/** The guest's kernel panicked. */
export class GuestPanicError extends GuestFailure {
  readonly code = "ERR_GUEST_PANIC";
}

/** The guest's processor could not deliver an exception, three times over. */
export class TripleFaultError extends GuestFailure {
  readonly code = "ERR_TRIPLE_FAULT";
}

/** The guest ran an instruction that the software processor does not have. */
export class UnsupportedInstructionError extends GuestFailure {
  readonly code = "ERR_UNSUPPORTED_INSTRUCTION";
}

/** The lock-step check has found translated code that does something else than the interpreter: a fault of Unpinned itself. */
export class TranslatorDifferenceError extends GuestFailure {
  readonly code = "ERR_TRANSLATOR_DIFFERENCE";

  constructor(readonly difference: TranslatorDifference, details: { log: string; report?: GuestReport | undefined }) {
    const { vcpu, blocks, regionRip, narrowed } = difference;
    const [{ rip, bytes } = { rip: regionRip, bytes: "unreadable" }] = blocks;
    const where = narrowed ? `at rip ${rip} (${bytes})` : `somewhere behind rip ${rip}`;
    super(`lock step: translated code differs from the interpreter on vCPU ${vcpu} ${where}, in the region entered at ${regionRip}; please report this with the lines below`, details);
  }

  /** Lines for an operator: what differs, then the registers. */
  override describe(): string[] {
    const behind = this.difference.blocks.slice(1).map(({ rip, bytes }) => `or behind it, at rip ${rip} (${bytes})`);
    return [...behind, ...formatLockStepDifference(this.difference), ...(this.report === undefined ? [] : formatGuestReport(this.report))];
  }
}

/** A fault of Unpinned itself. */
export class InternalError extends GuestFailure {
  readonly code = "ERR_INTERNAL";
}
