/** The place where gdb connects to a VM. One client at a time: a second one is turned away. */
import { ByteServer, type ByteConnection, type ListenAddress, LocalSocketError } from "../../platform/node/index.js";
import type { GuestExit } from "../guest-exit.js";
import type { DebugTarget } from "./debug-target.js";
import { parseListenAddress } from "./listen-address.js";
import { GdbSession } from "./session.js";

/** gdb cannot be listened for. The message is one line with the address. */
export class GdbServerError extends Error {
  override readonly name = "GdbServerError";
  readonly code = "ERR_GDB_SERVER";
}

/** Exit statuses and signals that gdb is told ("Stop Reply Packets"): W exited, X killed by a signal. */
const EXITED = "W00";
const KILLED = "X09";

/** A server. */
export class GdbServer {
  readonly #server: ByteServer;
  #session: GdbSession | undefined;
  #serve!: (target: DebugTarget) => void;
  readonly #target = new Promise<DebugTarget>((resolve) => (this.#serve = resolve));

  private constructor(listen: (accept: (connection: ByteConnection) => void) => ByteServer) {
    this.#server = listen((connection) => this.#accept(connection));
  }

  /** Listens at `address` (a port of the loopback interface, host:port, or a path). Throws GdbServerError and InvalidOptionError. */
  static async listen(address: number | string): Promise<GdbServer> {
    const place: ListenAddress = parseListenAddress(address);
    const result = new GdbServer((accept) => new ByteServer(accept));
    try {
      await result.#server.listen(place);
    } catch (error) {
      throw error instanceof LocalSocketError ? new GdbServerError(`gdb: ${error.message}`, { cause: error }) : error;
    }
    return result;
  }

  /** What gdb is to be given for `target remote`. */
  get address(): string {
    return this.#server.address;
  }

  /** Sessions are about `target` from now on; who has connected already is served then. */
  serve(target: DebugTarget): void {
    this.#serve(target);
  }

  #accept(connection: ByteConnection): void {
    if (this.#session !== undefined) {
      connection.close();
      return;
    }
    void this.#target.then((target) => {
      if (this.#session !== undefined) {
        connection.close();
        return;
      }
      const session = new GdbSession(target, connection);
      this.#session = session;
      connection.start({
        onBytes: (bytes) => session.receive(bytes),
        // The next client is let in when the guest runs as if this one had never been.
        onClose: () => void session.close().finally(() => void (this.#session = undefined)),
      });
    });
  }

  /** The VM has ended: tells the client, and closes the server. Resolves when nothing of it is left. */
  async end(exit: GuestExit): Promise<void> {
    this.#session?.end(exit.reason === "power-off" ? EXITED : KILLED);
    await this.close();
  }

  /** Takes no more clients, and ends the connection of one. */
  async close(): Promise<void> {
    await this.#server.close();
  }
}
