/** The shared WebAssembly memory of a host and the views of it. The only place of this room that sees raw memory. */
import { sharedLongsOf, sharedWordsOf } from "#sync";
import type { SharedLongs, SharedWords } from "#sync";
import { frameAddress } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { HostMemoryError } from "./errors.js";

/** What `HostMemory.attach` takes; can be posted to another thread. */
export type SharedMemory = WebAssembly.Memory;

const WASM_PAGE_SIZE = 0x1_0000;

/** Views of one whole host memory; its buffer never grows, so they stay valid. Immutable. */
export class HostViews {
  readonly memory: SharedMemory;
  readonly bytes: Uint8Array;
  readonly words: SharedWords;
  readonly longs: SharedLongs;
  readonly data: DataView;

  constructor(memory: SharedMemory) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = sharedWordsOf(memory.buffer);
    this.longs = sharedLongsOf(memory.buffer);
    this.data = new DataView(memory.buffer);
  }

  /** Fills a frame with zeroes. Precondition: nobody else uses it. */
  clearFrame(pfn: Pfn): void {
    const address = frameAddress(pfn);
    this.bytes.fill(0, address, address + PAGE_SIZE);
  }

  /** Copies one frame over another. Precondition: nobody writes either. */
  copyFrame(target: Pfn, source: Pfn): void {
    const address = frameAddress(source);
    this.bytes.copyWithin(frameAddress(target), address, address + PAGE_SIZE);
  }
}

/** Reserves a shared memory of `sizeBytes` (a multiple of 64 KiB, at most 4 GiB), at its maximum from the start. */
export function reserveMemory(sizeBytes: number): SharedMemory {
  const pages = sizeBytes / WASM_PAGE_SIZE;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new HostMemoryError("reservation-refused", `cannot reserve ${sizeBytes / 0x10_0000} MiB of address space`, { cause });
  }
}
