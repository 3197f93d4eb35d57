/** Host to guest bytes of one console: what does not fit the ring yet waits here, and so does who wrote it. */
import type { ByteRing } from "./byte-ring.raw.js";

interface PendingWrite {
  bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The writing end of one input ring. */
export class InputChannel {
  #pending: PendingWrite[] = [];
  #error: unknown;

  /** undefined once the guest has ended, so that nothing here keeps its memory. */
  #ring: ByteRing | undefined;

  constructor(ring: ByteRing, readonly ringDoorbell: () => void) {
    this.#ring = ring;
  }

  /** Resolves when all of `bytes` are on their way; writes keep their order. Rejects when the guest has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve, reject) => {
      this.#pending.push({ bytes, resolve, reject });
      this.flush();
    });
  }

  /** Moves what fits; to be called when the other end has taken something. */
  flush(): void {
    const ring = this.#ring;
    let moved = 0;
    for (let first = this.#pending[0]; ring !== undefined && first !== undefined; first = this.#pending[0]) {
      const count = ring.push(first.bytes);
      moved += count;
      first.bytes = first.bytes.subarray(count);
      if (first.bytes.length > 0) break;
      this.#pending.shift();
      first.resolve();
    }
    if (moved > 0) this.ringDoorbell();
  }

  /** Every waiting and later write rejects with `error`. */
  fail(error: unknown): void {
    this.#error = error;
    this.#ring = undefined;
    for (const write of this.#pending.splice(0)) write.reject(error);
  }
}
