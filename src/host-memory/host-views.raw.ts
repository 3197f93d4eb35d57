/** The shared WebAssembly memory of a host and the views of it. The only place of this room that sees raw memory. */
import { createSectionSteps, sharedLongsOf, sharedWordsOf } from "#sync";
import type { SectionSteps, SharedLongs, SharedWords } from "#sync";
import { frameAddress } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { HostMemoryError } from "./errors.js";

/** What `HostMemory.attach` takes; can be posted to another thread. */
export type SharedMemory = WebAssembly.Memory;

const WASM_PAGE_SIZE = 0x1_0000;

/**
 * `memory.copy` on the memory: for a frame it takes two thirds of the time of Uint8Array.copyWithin, which has checks to make first.
 *
 *     (module (import "" "m" (memory 0 65536 shared))
 *       (func (export "c") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.copy))
 */
const COPY_MODULE = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00, // type: three i32, no result
  0x02, 0x0a, 0x01, 0x00, 0x01, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04, // import: memory, shared, at most 65536 pages
  0x03, 0x02, 0x01, 0x00, 0x07, 0x05, 0x01, 0x01, 0x63, 0x00, 0x00, // function 0, exported
  0x0a, 0x0e, 0x01, 0x0c, 0x00, 0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x00, 0x0b, // its code
);

/** Copies `lengthBytes` bytes from byte address `source` to `target`. */
type Copy = (target: number, source: number, lengthBytes: number) => void;

function makeCopy(memory: SharedMemory): Copy {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(COPY_MODULE), { "": { m: memory } });
  return exports["c"] as Copy;
}

/** Views of one whole host memory; its buffer never grows, so they stay valid. Immutable. */
export class HostViews {
  readonly memory: SharedMemory;
  readonly bytes: Uint8Array;
  readonly words: SharedWords;
  readonly longs: SharedLongs;
  readonly data: DataView;
  /** For read sections on this memory. */
  readonly sectionSteps: SectionSteps | undefined;
  readonly #copy: Copy;

  constructor(memory: SharedMemory) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = sharedWordsOf(memory.buffer);
    this.longs = sharedLongsOf(memory.buffer);
    this.data = new DataView(memory.buffer);
    this.sectionSteps = createSectionSteps(memory);
    this.#copy = makeCopy(memory);
  }

  /** Fills a frame with zeroes. Precondition: nobody else uses it. */
  clearFrame(pfn: Pfn): void {
    const address = frameAddress(pfn);
    this.bytes.fill(0, address, address + PAGE_SIZE);
  }

  /** Copies one frame over another. Precondition: nobody writes either. */
  copyFrame(target: Pfn, source: Pfn): void {
    this.#copy(frameAddress(target), frameAddress(source), PAGE_SIZE);
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
