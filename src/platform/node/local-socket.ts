/**
 * Text lines between programs of one machine: a Unix domain socket, or a named pipe on Windows, found by its path. Only the user may
 * connect. A side that is not read from stops reading, so neither can make the other keep more than a line or two.
 */
import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { isMainThread } from "node:worker_threads";
import { codeOf, reasonOf } from "./system-errors.js";

/** Longest line that is taken, in bytes without its end. */
export const LINE_BYTES_MAX = 0x1_0000;
/** Longest path that every system takes (sun_path of macOS, with its final zero). */
const PATH_BYTES_MAX = 103;
const IS_WINDOWS = process.platform === "win32";
const OWNER_ONLY = 0o600;
/** How long connections may take to say their last words at the end. */
const CLOSE_GRACE_MS = 500;

/** The socket cannot be made or reached. The message is one line with the path, or with host and port. */
export class LocalSocketError extends Error {
  override readonly name = "LocalSocketError";
  readonly code = "ERR_CONTROL_SOCKET";
}

/** Answers one line with another, neither with its end; undefined = say nothing. Called for one line of a connection at a time. */
export type LineHandler = (line: string) => Promise<string | undefined>;

/** What a server does with its connections. */
export interface LineServerParts {
  readonly onLine: LineHandler;
  /** Said before a connection is closed because of a line that is too long. */
  readonly tooLong: string;
}

/** A socket that is listened on. */
export class LineServer {
  readonly #server: Server;
  /** Every connection, and whether a line of it is being answered. */
  readonly #connections = new Map<Socket, boolean>();
  #isClosing = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on `path`; takes the place of a socket that nobody listens on. Throws LocalSocketError. */
  static async listen(path: string, parts: LineServerParts): Promise<LineServer> {
    // Half open: who sends its line and says that no more will come gets its answer, too.
    const server = createServer({ allowHalfOpen: true });
    const result = new LineServer(server);
    server.on("connection", (socket) => void result.#serve(socket, parts));
    await listenAtPath(server, path);
    // A client that cannot be accepted is that client's loss.
    server.on("error", () => undefined);
    return result;
  }

  /** Stops listening, removes the socket, lets answers that are on their way go out, and ends all connections. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, isAnswering] of this.#connections) if (!isAnswering) socket.destroy();
    const timer = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(timer);
  }

  async #serve(socket: Socket, { onLine, tooLong }: LineServerParts): Promise<void> {
    this.#connections.set(socket, false);
    socket.on("error", () => undefined);
    try {
      for await (const line of readLines(socket)) {
        this.#connections.set(socket, true);
        const answer = line === undefined ? tooLong : await onLine(line);
        if (answer !== undefined) await writeLine(socket, answer);
        this.#connections.set(socket, false);
        if (line === undefined || this.#isClosing) break;
      }
    } catch {
      // The client has gone; what it asked for is done or under way, and nobody waits for the answer.
    }
    // All that was to be said has been handed to the system.
    socket.destroy();
    this.#connections.delete(socket);
  }
}

/** Has `server` listen on `path`, for the user alone; takes the place of a socket that nobody listens on. Throws LocalSocketError. */
export async function listenAtPath(server: Server, path: string): Promise<void> {
  checkPath(path);
  if (!IS_WINDOWS) await removeStale(path);
  await listenPrivately(server, path);
}

/** Sends one line to whoever listens on `path` and resolves with the line that comes back. Throws LocalSocketError. */
export async function askLine(path: string, line: string): Promise<string> {
  const socket = createConnection(path);
  try {
    await connected(socket, path);
    await writeLine(socket, line);
    for await (const answer of readLines(socket, Infinity)) {
      if (answer !== undefined) return answer;
    }
  } catch (error) {
    if (error instanceof LocalSocketError) throw error;
    throw new LocalSocketError(`${path}: the virtual machine has gone without an answer`, { cause: error });
  } finally {
    socket.destroy();
  }
  throw new LocalSocketError(`${path}: the virtual machine has gone without an answer`);
}

/** The lines that come in; undefined, and then no more, for one longer than `lengthMax` bytes. */
async function* readLines(socket: Socket, lengthMax = LINE_BYTES_MAX): AsyncGenerator<string | undefined> {
  let parts: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
      parts.push(chunk.subarray(start, end));
      lengthBytes += end - start;
      start = end + 1;
      if (lengthBytes > lengthMax) return yield undefined;
      yield Buffer.concat(parts).toString("utf8");
      parts = [];
      lengthBytes = 0;
    }
    parts.push(chunk.subarray(start));
    lengthBytes += chunk.length - start;
    if (lengthBytes > lengthMax) return yield undefined;
  }
}

async function writeLine(socket: Socket, line: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.write(`${line}\n`, (error) => (error == null ? resolve() : reject(error)));
  });
}

function checkPath(path: string): void {
  if (path === "") throw new LocalSocketError("a socket needs a path");
  // Node.js calls it EACCES when the folder is missing.
  if (!IS_WINDOWS && !existsSync(dirname(path))) throw new LocalSocketError(`${path}: no such folder`);
  if (!IS_WINDOWS && Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new LocalSocketError(`${path}: the path of a socket may have ${PATH_BYTES_MAX} bytes, this one has ${Buffer.byteLength(path)}`);
  }
}

/** Makes room for a new socket. Throws when somebody listens there, and when it is something else. */
async function removeStale(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) throw new LocalSocketError(`${path}: a file that is no socket is in the way`);
  if (await isAnswered(path)) throw inUse(path);
  unlinkSync(path);
}

function inUse(path: string): LocalSocketError {
  return new LocalSocketError(`${path}: another virtual machine listens there`);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await connected(socket, path);
    return true;
  } catch (error) {
    const code = codeOf((error as Error).cause);
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

async function connected(socket: Socket, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.on("error", (error) => reject(new LocalSocketError(`${path}: ${reasonOf(error)}`, { cause: error })));
  });
}

/** Binds with a mask that leaves others out from the first moment; a worker thread may not set one, and changes the mode right after. */
async function listenPrivately(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(codeOf(error) === "EADDRINUSE" ? inUse(path) : new LocalSocketError(`${path}: ${reasonOf(error)}`, { cause: error }));
    });
    const mask = isMainThread && !IS_WINDOWS ? process.umask(0o177) : undefined;
    server.listen({ path, readableAll: false, writableAll: false }, () => resolve());
    if (mask !== undefined) process.umask(mask);
  });
  if (!IS_WINDOWS) chmodSync(path, OWNER_ONLY);
}
