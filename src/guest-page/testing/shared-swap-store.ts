/** A swap file in shared memory: every thread of a test has its own object over the same pages. */
import { PAGE_SIZE } from "../../abi/layout.js";
import type { SwapStore } from "../../host-memory/index.js";

/** Makes the memory of a swap file of `slotCount` pages. */
export function createSwapFile(slotCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(slotCount * PAGE_SIZE);
}

/** One thread's handle on it. */
export class SharedSwapStore implements SwapStore {
  readonly slotCount: number;
  readonly #bytes: Uint8Array;
  /** Called in the middle of a transfer, when half of the page is through. */
  readonly #halfWay: () => void;

  constructor(file: SharedArrayBuffer, halfWay: () => void = () => undefined) {
    this.slotCount = file.byteLength / PAGE_SIZE;
    this.#bytes = new Uint8Array(file);
    this.#halfWay = halfWay;
  }

  write(slot: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes.subarray(0, PAGE_SIZE / 2), slot * PAGE_SIZE);
    this.#halfWay();
    this.#bytes.set(bytes.subarray(PAGE_SIZE / 2), slot * PAGE_SIZE + PAGE_SIZE / 2);
  }

  read(slot: number, target: Uint8Array): void {
    const from = slot * PAGE_SIZE;
    target.set(this.#bytes.subarray(from, from + PAGE_SIZE / 2));
    this.#halfWay();
    target.set(this.#bytes.subarray(from + PAGE_SIZE / 2, from + PAGE_SIZE), PAGE_SIZE / 2);
  }
}
