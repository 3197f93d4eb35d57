/** The main thread's end of the commands to the memory thread: pairs answers with questions. */
import { PendingAnswers } from "../pending-answers.js";
import type { MemoryCommand, MemoryCommandName, MemoryRequest, MemoryResults } from "./memory-command.js";

type AnyResult = MemoryResults[MemoryCommandName];

/** Commands of one VM. */
export class MemoryClient {
  readonly #send: (request: MemoryRequest) => void;
  readonly #pending = new PendingAnswers<AnyResult>();
  #error: unknown;

  /** `send` brings a request to the memory thread and wakes it. */
  constructor(send: (request: MemoryRequest) => void) {
    this.#send = send;
  }

  /** Resolves with the command's result. Rejects when the VM has ended. */
  async run<Command extends MemoryCommand>(command: Command): Promise<MemoryResults[Command["name"]]> {
    if (this.#error !== undefined) throw this.#error;
    return await this.#pending.ask((id) => this.#send({ id, command })) as MemoryResults[Command["name"]];
  }

  /** Takes an answer of the memory thread. */
  take(id: number, result: AnyResult): void {
    this.#pending.take(id, result);
  }

  /** Every waiting and later command rejects with `error`. */
  fail(error: unknown): void {
    this.#error = error;
    this.#pending.fail(error);
  }
}
