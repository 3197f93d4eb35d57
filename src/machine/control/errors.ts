/** Errors of the control commands. */

/** A command is wrong, or its argument. The message is one line that says what is right. */
export class ControlUsageError extends Error {
  override readonly name = "ControlUsageError";
  readonly code = "ERR_CONTROL_USAGE";
}

/** A command was understood and did not do what was asked for. The message is one line. */
export class ControlFailure extends Error {
  override readonly name = "ControlFailure";
  readonly code = "ERR_CONTROL_FAILED";
}
