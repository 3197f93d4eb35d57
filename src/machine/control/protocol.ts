/**
 * What goes over the control socket: a line of JSON each way.
 *
 *   to the VM    {"id": 1, "command": ["memory", "move", "0x100"]}       id: number, string or absent; command: words, or one text
 *   from it      {"id": 1, "ok": true, "result": …}
 *                {"id": 1, "ok": false, "error": {"kind": "usage" | "failed", "message": "one line"}}
 *
 * A client may send the next line before the answer has come; answers keep the order. An outcome that is a refusal is a result.
 */
import { ControlFailure, ControlUsageError } from "./errors.js";

/** What pairs an answer with its question. */
export type RequestId = number | string | null;

/** A line to the VM, understood. */
export interface ControlRequest {
  readonly id: RequestId;
  readonly words: readonly string[];
}

/** A line from the VM. */
export type ControlAnswer =
  | { readonly id: RequestId; readonly ok: true; readonly result: unknown }
  | { readonly id: RequestId; readonly ok: false; readonly error: { readonly kind: "usage" | "failed"; readonly message: string } };

/** Reads a line. Throws ControlUsageError; `id` is told to `onId` as soon as it is known. */
export function readRequest(line: string, onId: (id: RequestId) => void): ControlRequest {
  const value = parseJson(line);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ControlUsageError("expected a JSON object in one line");
  const { id = null, command } = value as { id?: unknown; command?: unknown };
  if (id !== null && typeof id !== "number" && typeof id !== "string") throw new ControlUsageError('"id" must be a number or a string');
  onId(id);
  const words = typeof command === "string" ? [command] : command;
  if (!Array.isArray(words) || words.some((word) => typeof word !== "string")) {
    throw new ControlUsageError('"command" must be a list of words, such as ["memory", "show"]');
  }
  return { id, words: words as string[] };
}

/** The answer that tells `error`. */
export function failedAnswer(id: RequestId, error: unknown): ControlAnswer {
  const [message = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return { id, ok: false, error: { kind: error instanceof ControlUsageError ? "usage" : "failed", message } };
}

/** The result in an answer. Throws what the VM said was wrong, as ControlUsageError or ControlFailure. */
export function resultOf(line: string): unknown {
  let answer: ControlAnswer;
  try {
    answer = JSON.parse(line) as ControlAnswer;
  } catch (error) {
    throw new ControlFailure("the answer is not in the language of this release", { cause: error });
  }
  if (answer.ok) return answer.result;
  throw answer.error.kind === "usage" ? new ControlUsageError(answer.error.message) : new ControlFailure(answer.error.message);
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new ControlUsageError("expected a JSON object in one line", { cause: error });
  }
}
