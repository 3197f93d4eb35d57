/** Connections that carry bytes, by TCP or a local socket, for a protocol that is somebody else's business. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { listenAtPath, LocalSocketError } from "./local-socket.js";
import { codeOf, reasonOf } from "./system-errors.js";

/** A place to listen: a TCP port (0 = any that is free), or the path of a Unix domain socket or a named pipe of Windows. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** Who takes what comes from a connection. */
export interface ByteEvents {
  onBytes(bytes: Uint8Array): void;
  /** The connection is gone, whoever ended it; called once. */
  onClose(): void;
}

/** One connection. Nothing is read from it before `start`. */
export interface ByteConnection {
  start(events: ByteEvents): void;
  /** Sends, if the other side is still there. */
  send(bytes: Uint8Array): void;
  /** Ends it behind what was sent. */
  close(): void;
}

/** How long a connection may take to end by itself. */
const CLOSE_GRACE_MS = 500;
/** Bytes that a client has not taken at most; then it is no client any more. */
const UNTAKEN_BYTES_MAX = 0x10_0000;

/** A server. */
export class ByteServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #address = "";

  /** Calls `accept` with each connection. */
  constructor(accept: (connection: ByteConnection) => void) {
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      // "close" follows, and that is all there is to do.
      socket.on("error", () => undefined);
      socket.setNoDelay(true);
      accept(connectionOf(socket));
    });
  }

  /** Begins to listen. Throws LocalSocketError. */
  async listen(address: ListenAddress): Promise<void> {
    if ("path" in address) {
      await listenAtPath(this.#server, address.path);
      this.#address = address.path;
    } else {
      await listenAtPort(this.#server, address);
      this.#address = nameOf(address.host, (this.#server.address() as AddressInfo).port);
    }
    // A client that cannot be accepted is that client's loss.
    this.#server.on("error", () => undefined);
  }

  /** Where it listens: host:port, or the path. */
  get address(): string {
    return this.#address;
  }

  /** Stops listening, removes the socket, lets what was sent go out, and ends all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.end();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(timer);
  }
}

function connectionOf(socket: Socket): ByteConnection {
  return {
    start({ onBytes, onClose }) {
      if (socket.destroyed) {
        onClose();
        return;
      }
      socket.on("data", onBytes);
      socket.on("close", () => onClose());
      socket.resume();
    },
    send(bytes) {
      if (!socket.writable) return;
      socket.write(bytes);
      if (socket.writableLength > UNTAKEN_BYTES_MAX) socket.destroy();
    },
    close() {
      socket.end();
      // Paused, it would never see the other side's end.
      socket.resume();
    },
  };
}

async function listenAtPort(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const why = codeOf(error) === "EADDRINUSE" ? "another program listens there" : reasonOf(error);
      reject(new LocalSocketError(`${nameOf(host, port)}: ${why}`, { cause: error }));
    });
    server.listen({ host, port }, () => resolve());
  });
}

function nameOf(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
