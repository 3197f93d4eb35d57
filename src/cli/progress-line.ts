/** One line on standard error that says what takes long, and goes away. Nothing where standard error is no terminal. */

const ERASE_LINE = "\r\x1b[K";

/** The line. */
export class ProgressLine {
  #isShown = false;

  /** Shows `step` in place of what was there. */
  show(step: string): void {
    if (!process.stderr.isTTY) return;
    this.#isShown = true;
    process.stderr.write(`${ERASE_LINE}unpinned: ${step}`);
  }

  /** Takes the line away; to be called before other output. */
  clear(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    process.stderr.write(ERASE_LINE);
  }
}
