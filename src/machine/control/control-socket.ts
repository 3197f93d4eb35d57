/** The commands over a socket: the VM's side, and the side of who asks. */
import { askLine, LINE_BYTES_MAX, LineServer, LocalSocketError } from "../../platform/node/index.js";
import type { ControlTarget } from "./control-target.js";
import { ControlFailure } from "./errors.js";
import { parseCommand } from "./parse.js";
import { type ControlAnswer, failedAnswer, readRequest, type RequestId, resultOf } from "./protocol.js";

/** A path on which commands for a VM are taken, from any number of clients at a time. */
export class ControlSocket {
  readonly #server: LineServer;

  private constructor(server: LineServer) {
    this.#server = server;
  }

  /**
   * Takes commands on `path`, a Unix domain socket that only the user may reach, or a named pipe on Windows. They wait until `target`
   * is there. Throws LocalSocketError; a socket that nobody listens on any more is replaced.
   */
  static async listen(path: string, target: ControlTarget | Promise<ControlTarget>): Promise<ControlSocket> {
    const tooLong: ControlAnswer = failedAnswer(null, new Error(`a line may have ${LINE_BYTES_MAX} bytes`));
    return new ControlSocket(await LineServer.listen(path, {
      onLine: async (line) => (line.trim() === "" ? undefined : JSON.stringify(await answerLine(line, target))),
      tooLong: JSON.stringify(tooLong),
    }));
  }

  /** Takes no more commands, lets answers that are on their way go out, and removes the socket. */
  async close(): Promise<void> {
    await this.#server.close();
  }
}

/** The answer to one line; never rejects. */
async function answerLine(line: string, target: ControlTarget | Promise<ControlTarget>): Promise<ControlAnswer> {
  let id: RequestId = null;
  try {
    const { words } = readRequest(line, (given) => (id = given));
    const { run } = parseCommand(words);
    return { id, ok: true, result: await run(await target) };
  } catch (error) {
    return failedAnswer(id, error);
  }
}

/** Asks the VM behind `path` to carry out the command of `words`. Throws ControlUsageError or ControlFailure. */
export async function sendCommand(path: string, words: readonly string[]): Promise<unknown> {
  try {
    return resultOf(await askLine(path, JSON.stringify({ id: 1, command: words })));
  } catch (error) {
    throw error instanceof LocalSocketError ? new ControlFailure(error.message, { cause: error }) : error;
  }
}
