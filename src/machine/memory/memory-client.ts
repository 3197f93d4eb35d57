/** The main thread's end of the commands to the memory thread: pairs answers with questions. */
import type { MemoryCommand, MemoryCommandName, MemoryRequest, MemoryResults } from "./memory-command.js";

type AnyResult = MemoryResults[MemoryCommandName];

interface Waiting {
  readonly resolve: (result: AnyResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Commands of one VM. */
export class MemoryClient {
  readonly #send: (request: MemoryRequest) => void;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #error: unknown;

  /** `send` brings a request to the memory thread and wakes it. */
  constructor(send: (request: MemoryRequest) => void) {
    this.#send = send;
  }

  /** Resolves with the command's result. Rejects when the VM has ended. */
  async run<Command extends MemoryCommand>(command: Command): Promise<MemoryResults[Command["name"]]> {
    if (this.#error !== undefined) throw this.#error;
    const id = this.#nextId++;
    const result = await new Promise<AnyResult>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, command });
    });
    return result as MemoryResults[Command["name"]];
  }

  /** Takes an answer of the memory thread. */
  take(id: number, result: AnyResult): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve(result);
  }

  /** Every waiting and later command rejects with `error`. */
  fail(error: unknown): void {
    this.#error = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
