/** The words and bytes of one serial port in the shared KVM block (abi/kvm-block.ts). Under the port's lock, but for the lock itself. */
import {
  KVM_BLOCK_BASE, UART, UART_BASE, UART_INPUT_BASE, UART_INPUT_SIZE, UART_OUTPUT_BASE, UART_OUTPUT_SIZE, UART_STRIDE,
} from "../../abi/kvm-block.js";

/** A ring of bytes with free-running u32 counts of what went in and out. */
export class ByteQueue {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #put: number;
  readonly #taken: number;

  constructor(words: Int32Array, bytes: Uint8Array, fields: { readonly put: number; readonly taken: number }) {
    this.#words = words;
    this.#bytes = bytes;
    this.#put = fields.put >> 2;
    this.#taken = fields.taken >> 2;
  }

  get lengthBytes(): number {
    return (this.#words[this.#put]! - this.#words[this.#taken]!) >>> 0;
  }

  get spaceBytes(): number {
    return this.#bytes.length - this.lengthBytes;
  }

  /** Puts in one byte. Precondition: there is room. */
  put(byte: number): void {
    this.#bytes[this.#words[this.#put]! & (this.#bytes.length - 1)] = byte;
    this.#words[this.#put]!++;
  }

  /** Takes the oldest byte. Precondition: there is one. */
  take(): number {
    const byte = this.#bytes[this.#words[this.#taken]! & (this.#bytes.length - 1)]!;
    this.#words[this.#taken]!++;
    return byte;
  }

  /** Takes up to `lengthMax` bytes. */
  takeMany(lengthMax: number): Uint8Array {
    const result = new Uint8Array(Math.min(lengthMax, this.lengthBytes));
    const start = this.#words[this.#taken]! & (this.#bytes.length - 1);
    const first = this.#bytes.subarray(start, start + result.length);
    result.set(first);
    result.set(this.#bytes.subarray(0, result.length - first.length), first.length);
    this.#words[this.#taken]! += result.length;
    return result;
  }

  clear(): void {
    this.#words[this.#taken] = this.#words[this.#put]!;
  }
}

/** One port. */
export class UartMemory {
  /** The whole memory, for the lock. */
  readonly words: Int32Array;
  readonly lockIndex: number;
  readonly input: ByteQueue;
  readonly output: ByteQueue;
  readonly #fields: Int32Array;

  constructor(memory: { readonly buffer: ArrayBufferLike }, index: number) {
    const { buffer } = memory;
    const base = KVM_BLOCK_BASE + UART_BASE + index * UART_STRIDE;
    this.words = new Int32Array(buffer);
    this.lockIndex = (base + UART.lock) >>> 2;
    this.#fields = new Int32Array(buffer, base, UART_STRIDE / 4);
    const inputBytes = new Uint8Array(buffer, KVM_BLOCK_BASE + UART_INPUT_BASE + index * UART_INPUT_SIZE, UART_INPUT_SIZE);
    const outputBytes = new Uint8Array(buffer, KVM_BLOCK_BASE + UART_OUTPUT_BASE + index * UART_OUTPUT_SIZE, UART_OUTPUT_SIZE);
    this.input = new ByteQueue(this.#fields, inputBytes, { put: UART.inputPut, taken: UART.inputTaken });
    this.output = new ByteQueue(this.#fields, outputBytes, { put: UART.outputPut, taken: UART.outputTaken });
  }

  /** A field of UART. */
  get(field: number): number {
    return this.#fields[field >> 2]!;
  }

  set(field: number, value: number): void {
    this.#fields[field >> 2] = value;
  }
}
