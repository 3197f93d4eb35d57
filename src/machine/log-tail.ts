/** The last part of the guest's console output, for reports. */

const TAIL_BYTES = 0x1_0000;
/** The kernel's last line before it loops for ever, which it does when it is not to restart after a panic. */
const PANIC_END = /^(\[ *\d+\.\d+\] )?---\[ end Kernel panic - not syncing/m;
/** Longer than what PANIC_END matches, so that it is found across chunks. */
const OVERLAP_CHARACTERS = 100;

/** Keeps the last 64 KiB. */
export class LogTail {
  #pieces: Uint8Array[] = [];
  #lengthBytes = 0;
  #recentText = "";
  #isPanickedForever = false;
  readonly #decoder = new TextDecoder();

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#lengthBytes += bytes.length;
    while (this.#lengthBytes - this.#pieces[0]!.length >= TAIL_BYTES) this.#lengthBytes -= this.#pieces.shift()!.length;
    const text = this.#recentText + this.#decoder.decode(bytes, { stream: true });
    this.#isPanickedForever ||= PANIC_END.test(text);
    this.#recentText = text.slice(-OVERLAP_CHARACTERS);
  }

  /** The kept output as text. */
  text(): string {
    const decoder = new TextDecoder();
    return this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  }

  /** True when the kernel has said that it panicked and will not restart. */
  get isPanickedForever(): boolean {
    return this.#isPanickedForever;
  }
}
