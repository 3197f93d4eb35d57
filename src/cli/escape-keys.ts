/** Ctrl-A as QEMU has it: the key behind it is for us, everything else is for the guest. */

const CTRL_A = 1;

/** What a key behind Ctrl-A asks for. */
export type EscapeCommand = "help" | "quit" | "monitor";

const COMMANDS: Readonly<Record<string, EscapeCommand>> = { h: "help", "?": "help", x: "quit", c: "monitor" };

/** One thing that was typed. */
export type KeyEvent = { readonly bytes: Uint8Array } | { readonly command: EscapeCommand };

/** Takes the terminal's input apart. */
export class EscapeKeys {
  #isEscaped = false;

  /** The parts of `input` in order. Ctrl-A a, and Ctrl-A twice, send one Ctrl-A; other keys behind Ctrl-A are dropped. */
  *split(input: Uint8Array): Generator<KeyEvent> {
    let start = 0;
    for (const [at, byte] of input.entries()) {
      if (!this.#isEscaped && byte !== CTRL_A) continue;
      if (at > start) yield { bytes: input.slice(start, at) };
      start = at + 1;
      if (!this.#isEscaped) {
        this.#isEscaped = true;
        continue;
      }
      this.#isEscaped = false;
      const key = String.fromCharCode(byte).toLowerCase();
      const command = COMMANDS[key];
      if (command !== undefined) yield { command };
      else if (key === "a" || byte === CTRL_A) yield { bytes: Uint8Array.of(CTRL_A) };
    }
    if (start < input.length) yield { bytes: input.slice(start) };
  }
}

/** Lines of the help for the console. */
export const ESCAPE_HELP: readonly string[] = [
  "Ctrl-A h   this help",
  "Ctrl-A x   quit: end the guest at once",
  "Ctrl-A c   switch between console and monitor",
  "Ctrl-A a   send Ctrl-A to the guest",
];
