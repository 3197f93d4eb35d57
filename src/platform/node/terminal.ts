/** The terminal of the operator: raw input, size, and its restoration whichever way the program ends. */
import { spawnSync } from "node:child_process";
import { ScreenModes } from "./screen-modes.js";

/** Size in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What a terminal in raw mode reports. */
export interface TerminalEvents {
  onInput(bytes: Uint8Array): void;
  onResize(size: TerminalSize): void;
}

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Standard input and output as a terminal. At most one at a time. */
export class Terminal {
  readonly #events: TerminalEvents;
  readonly #modes = new ScreenModes();
  #isRaw = false;

  /** undefined when standard input is no terminal. Switches to raw mode. */
  static open(events: TerminalEvents): Terminal | undefined {
    return process.stdin.isTTY ? new Terminal(events) : undefined;
  }

  private constructor(events: TerminalEvents) {
    this.#events = events;
    this.#setRaw(true);
    process.stdin.on("data", this.#onData);
    process.stdout.on("resize", this.#onResize);
    process.on("exit", this.#restoreAtExit);
    process.on("SIGCONT", this.#onContinue);
  }

  /** The size now; 24 by 80 where the terminal does not say. */
  static size(): TerminalSize {
    return { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 };
  }

  /** Takes note of what is written to the terminal, to undo at the end what it changes. */
  noteOutput(bytes: Uint8Array): void {
    this.#modes.note(bytes);
  }

  /** Puts the terminal back and stops listening. */
  close(): void {
    this.#restoreAtExit();
    process.stdin.off("data", this.#onData);
    process.stdin.pause();
    process.stdout.off("resize", this.#onResize);
    process.off("exit", this.#restoreAtExit);
    process.off("SIGCONT", this.#onContinue);
  }

  #setRaw(isRaw: boolean): void {
    this.#isRaw = isRaw;
    try {
      process.stdin.setRawMode(isRaw);
      if (isRaw) passOutputThrough();
    } catch {
      // The terminal is gone (EIO after a hang-up): there is nothing left to restore.
    }
  }

  readonly #onData = (bytes: Uint8Array): void => this.#events.onInput(bytes);
  readonly #onResize = (): void => this.#events.onResize(Terminal.size());
  readonly #onContinue = (): void => this.#setRaw(this.#isRaw);
  readonly #restoreAtExit = (): void => {
    if (!this.#isRaw) return;
    if (process.stdout.isTTY) process.stdout.write(this.#modes.resetSequence());
    this.#setRaw(false);
  };
}

/**
 * Node.js leaves the terminal adding a carriage return to each line feed, but the guest has its own line discipline, and full-screen
 * programs mean a line feed as such. setRawMode(false) undoes this too. Without stty, lines merely get two carriage returns.
 */
function passOutputThrough(): void {
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
}

/** Calls `onSignal` with the name of the first signal that asks the program to end; the result stops that. */
export function onEndingSignal(onSignal: (name: (typeof ENDING_SIGNALS)[number]) => void): () => void {
  const listeners = ENDING_SIGNALS.map((name) => [name, () => onSignal(name)] as const);
  for (const [name, listener] of listeners) process.on(name, listener);
  return () => {
    for (const [name, listener] of listeners) process.off(name, listener);
  };
}
