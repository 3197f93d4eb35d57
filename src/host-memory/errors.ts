/** The two ways in which this room refuses: a typed error for whoever builds a VM, an assertion for our own mistakes. */

/** What was wrong with a request to build or change a host memory. */
export type HostMemoryErrorCode =
  | "guest-memory-invalid"
  | "guest-memory-too-large"
  | "reservation-refused"
  | "not-a-host-memory"
  | "too-many-threads"
  | "memslot-invalid"
  | "memslot-overlap"
  | "memslot-id-taken"
  | "memslot-unknown"
  | "memslot-table-full";

/** A request that cannot be met; `code` says why, `message` is one line for a person. */
export class HostMemoryError extends Error {
  override readonly name = "HostMemoryError";
  readonly code: HostMemoryErrorCode;

  constructor(code: HostMemoryErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Our own mistake: stops the VM. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Stops with an `AssertionError` unless `condition` holds. `message` says what was expected; `got` is appended, so that
 * a passing assertion builds no string.
 */
export function assert(condition: boolean, message: string, ...got: readonly unknown[]): asserts condition {
  if (!condition) throw new AssertionError([message, ...got].map(String).join(" "));
}

/** The message of what `action` throws; undefined = it did not. */
export function failureOf(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
