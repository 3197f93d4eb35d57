/**
 * Byte ring from the main thread to the device thread (abi/channels.ts): one producer, one consumer, neither ever waits.
 *
 *   producer                              consumer
 *   data[produced..] = bytes              end = load(produced)         pairs with the store on the left
 *   store(produced)                       copy data[consumed..end]
 *   free = capacity - (produced           store(consumed)              pairs with the load on the left
 *          - load(consumed))
 */
import { INPUT_RING_BASE, INPUT_RING_SIZE, MACHINE_BLOCK_BASE, RING_CAPACITY, RING_CONSUMED, RING_DATA, RING_PRODUCED } from "../abi/channels.js";

/** One end or the other of input ring `index`. */
export class ByteRing {
  readonly #words: Int32Array;
  readonly #data: Uint8Array;

  constructor(memory: WebAssembly.Memory, index: number) {
    const base = MACHINE_BLOCK_BASE + INPUT_RING_BASE + index * INPUT_RING_SIZE;
    this.#words = new Int32Array(memory.buffer, base, RING_DATA / 4);
    this.#data = new Uint8Array(memory.buffer, base + RING_DATA, RING_CAPACITY);
  }

  /** Bytes that wait for the consumer. */
  get lengthBytes(): number {
    return (Atomics.load(this.#words, RING_PRODUCED >> 2) - Atomics.load(this.#words, RING_CONSUMED >> 2)) >>> 0;
  }

  /** Producer: puts in as much of `bytes` as there is room for; returns how much that was. */
  push(bytes: Uint8Array): number {
    const produced = Atomics.load(this.#words, RING_PRODUCED >> 2);
    const count = Math.min(bytes.length, RING_CAPACITY - this.lengthBytes);
    const start = produced & (RING_CAPACITY - 1);
    const untilEnd = Math.min(count, RING_CAPACITY - start);
    this.#data.set(bytes.subarray(0, untilEnd), start);
    this.#data.set(bytes.subarray(untilEnd, count), 0);
    Atomics.store(this.#words, RING_PRODUCED >> 2, (produced + count) | 0);
    return count;
  }

  /** Consumer: copies out up to `lengthMax` bytes without taking them. */
  peek(lengthMax: number): Uint8Array {
    const consumed = Atomics.load(this.#words, RING_CONSUMED >> 2);
    const count = Math.min(lengthMax, this.lengthBytes);
    const start = consumed & (RING_CAPACITY - 1);
    const untilEnd = Math.min(count, RING_CAPACITY - start);
    const result = new Uint8Array(count);
    result.set(this.#data.subarray(start, start + untilEnd));
    result.set(this.#data.subarray(0, count - untilEnd), untilEnd);
    return result;
  }

  /** Consumer: takes `count` bytes that it has peeked. */
  take(count: number): void {
    Atomics.add(this.#words, RING_CONSUMED >> 2, count);
  }
}
