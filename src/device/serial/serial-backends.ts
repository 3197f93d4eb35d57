/** What the device thread runs where the consoles are serial ports: console n is port n. */
import type { Uart } from "./uart.js";

/** Where bytes go. */
export interface SerialBackendOptions {
  /** Receives output in chunks. The array is the receiver's. */
  readonly onOutput: (console: number, bytes: Uint8Array) => void;
  /** How many bytes of output may be taken now. What is not taken stays in the port, which then does not send. */
  readonly outputSpace: (console: number) => number;
}

/** Carries bytes between the ports and the main thread. Belongs to the device thread. */
export class SerialBackends {
  readonly #uarts: readonly Uart[];
  readonly #options: SerialBackendOptions;

  constructor(uarts: readonly Uart[], options: SerialBackendOptions) {
    this.#uarts = uarts;
    this.#options = options;
  }

  /** One look at everything; true = there was work, so look again before sleeping. */
  service(): boolean {
    let didWork = false;
    for (const [console, uart] of this.#uarts.entries()) {
      const space = this.#options.outputSpace(console);
      const bytes = space > 0 ? uart.takeOutput(space) : undefined;
      if (bytes === undefined || bytes.length === 0) continue;
      this.#options.onOutput(console, bytes);
      didWork = true;
    }
    return didWork;
  }

  /** Types `bytes` at console `console`; returns how many were taken. The rest is to be offered again after a doorbell. */
  pushInput(console: number, bytes: Uint8Array): number {
    return bytes.length === 0 ? 0 : this.#uarts[console]?.putInput(bytes) ?? 0;
  }
}
