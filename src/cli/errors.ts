/** Errors of the command line itself. */

/** An option or argument is wrong. The message is one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "ERR_USAGE";
}

/** --timeout has passed. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  readonly code = "ERR_TIMEOUT";
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** A signal asked the program to end. */
export class SignalError extends Error {
  override readonly name = "SignalError";
  readonly code = "ERR_SIGNAL";
  /** 128 + the signal's number, as shells report. */
  readonly status: number;

  constructor(signal: keyof typeof SIGNAL_NUMBERS) {
    super(`ended by ${signal}`);
    this.status = 128 + SIGNAL_NUMBERS[signal];
  }
}
