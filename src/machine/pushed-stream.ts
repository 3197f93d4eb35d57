/** A ReadableStream<Uint8Array> that chunks are pushed into and that says when a chunk has been taken. */
import { ReadableStream } from "node:stream/web";

/** How a pushed stream treats chunks while nobody reads. */
export interface PushedStreamOptions {
  /** Called with the length of every chunk that is dealt with: read, or dropped. */
  readonly onTaken: (lengthBytes: number) => void;
  /**
   * Bytes kept for a first reader while the stream is not locked; older ones are dropped, and all count as taken at once.
   * Absent: everything is kept, and taken only when read.
   */
  readonly keptUnreadBytes?: number;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly isTaken: boolean;
}

/** The pushing end; `readable` is the other one. */
export class PushedStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #options: PushedStreamOptions;
  #pieces: Piece[] = [];
  #queuedBytes = 0;
  #wake: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;
  #isCancelled = false;

  constructor(options: PushedStreamOptions) {
    this.#options = options;
    this.readable = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#cancel(),
    }, { highWaterMark: 0 });
  }

  /** Hands `bytes` on; they belong to the stream from now on. */
  push(bytes: Uint8Array): void {
    if (this.#end !== undefined || bytes.length === 0) return;
    if (this.#isCancelled || (this.#options.keptUnreadBytes !== undefined && !this.readable.locked)) {
      this.#options.onTaken(bytes.length);
      this.pushTaken(bytes);
      return;
    }
    this.#pieces.push({ bytes, isTaken: false });
    this.#queuedBytes += bytes.length;
    this.#wake?.();
  }

  /** As push, for `bytes` that count as taken already. */
  pushTaken(bytes: Uint8Array): void {
    if (this.#end !== undefined || this.#isCancelled || bytes.length === 0) return;
    this.#pieces.push({ bytes, isTaken: true });
    this.#queuedBytes += bytes.length;
    if (!this.readable.locked) this.#dropOldest(this.#options.keptUnreadBytes ?? Infinity);
    this.#wake?.();
  }

  /** No more chunks: readers get what is queued, then the end. */
  close(): void {
    this.#finish({});
  }

  /** Readers get what is queued, then `error`. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end ??= end;
    this.#wake?.();
  }

  async #pull(controller: { enqueue(chunk: Uint8Array): void; close(): void; error(reason: unknown): void }): Promise<void> {
    while (this.#pieces.length === 0 && this.#end === undefined && !this.#isCancelled) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    this.#wake = undefined;
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#queuedBytes -= piece.bytes.length;
      if (!piece.isTaken) this.#options.onTaken(piece.bytes.length);
      controller.enqueue(piece.bytes);
    } else if (this.#end !== undefined) {
      if ("error" in this.#end) controller.error(this.#end.error);
      else controller.close();
    }
  }

  #cancel(): void {
    this.#isCancelled = true;
    this.#dropOldest(0);
    this.#wake?.();
  }

  #dropOldest(keptBytes: number): void {
    while (this.#queuedBytes > keptBytes && this.#pieces.length > 0) {
      const piece = this.#pieces.shift()!;
      this.#queuedBytes -= piece.bytes.length;
      if (!piece.isTaken) this.#options.onTaken(piece.bytes.length);
    }
  }
}
