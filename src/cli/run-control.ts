/** `--control`: the socket of one run, from before the guest is made until after its end. */
import type { VirtualMachine } from "../machine/index.js";
import { ControlSocket } from "../machine/control/index.js";

/** The socket, if one was asked for. */
export class RunControl {
  readonly #path: string | undefined;
  #socket: ControlSocket | undefined;
  #serve!: (vm: VirtualMachine) => void;
  readonly #vm = new Promise<VirtualMachine>((resolve) => (this.#serve = resolve));

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Begins to take commands; they wait for the guest. Throws LocalSocketError. */
  async listen(): Promise<void> {
    if (this.#path !== undefined) this.#socket = await ControlSocket.listen(this.#path, this.#vm);
  }

  /** Commands are for `vm` from now on. */
  serve(vm: VirtualMachine): void {
    this.#serve(vm);
  }

  /** Ends it. Answers that are on their way go out, unless the guest was never made. */
  async close(): Promise<void> {
    await this.#socket?.close();
  }
}
