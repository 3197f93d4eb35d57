/** Which modes programs of the guest have switched the terminal to, so that they can be switched back (xterm control sequences). */

/** DEC private modes that would outlive the guest, and whether a terminal normally has them on. */
const NORMALLY_ON: Readonly<Record<string, boolean>> = {
  "1": false, // application cursor keys
  "25": true, // visible cursor
  "1000": false, // mouse reports
  "1002": false,
  "1003": false,
  "1006": false,
  "1049": false, // alternate screen
  "2004": false, // bracketed paste
};
const MODE_SEQUENCE = /\x1b\[\?([\d;]+)([hl])/g;
/** Longest part of a sequence that is kept over the end of a chunk. */
const OVERLAP_CHARACTERS = 16;

/** Follows the output. */
export class ScreenModes {
  readonly #changed = new Map<string, boolean>();
  #rest = "";

  note(bytes: Uint8Array): void {
    let text = this.#rest;
    for (const byte of bytes) text += String.fromCharCode(byte);
    for (const [, modes, end] of text.matchAll(MODE_SEQUENCE)) {
      for (const mode of modes!.split(";")) {
        if (mode in NORMALLY_ON) this.#changed.set(mode, end === "h");
      }
    }
    const escape = text.lastIndexOf("\x1b");
    this.#rest = escape >= 0 && text.length - escape < OVERLAP_CHARACTERS ? text.slice(escape) : "";
  }

  /** What brings the modes back to normal, and colours with them; empty when all is as it was. */
  resetSequence(): string {
    let sequence = "";
    for (const [mode, isOn] of this.#changed) {
      if (isOn !== NORMALLY_ON[mode]) sequence += `\x1b[?${mode}${isOn ? "l" : "h"}`;
    }
    return sequence === "" ? "" : `${sequence}\x1b[0m`;
  }
}
