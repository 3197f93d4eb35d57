/**
 * Frames and the views of them, explored side: two words stand for a frame's contents. Stand-ins for host-views.raw.ts and
 * page-view.raw.ts, with the same methods; contents are plain accesses, so that the race detector watches them.
 */
import { frameAddress } from "../abi/address.js";
import type { Pfn } from "../abi/address.js";
import type { Access } from "./instrument/runtime.js";
import { ModelWords } from "./seam.js";
import type { ModelBuffer } from "./seam.js";
import type { World } from "./world.js";

/** Offsets of the words that stand for a frame's contents. */
const CONTENT_OFFSETS = [0, 4] as const;

let world: World | undefined;

/** Says in which world the next `reserveMemory` is. */
export function setWorld(next: World): void {
  world = next;
}

/** What stands for a WebAssembly memory. */
export interface ModelMemory {
  readonly buffer: ModelBuffer;
}

/** As in host-views.raw.ts. */
export function reserveMemory(): ModelMemory {
  if (world === undefined) throw new Error("expected a world to reserve memory in");
  return { buffer: { world } };
}

/** As in host-views.raw.ts. */
export class HostViews {
  readonly memory: ModelMemory;
  readonly words: ModelWords;
  readonly longs: ModelWords;

  constructor(memory: ModelMemory) {
    this.memory = memory;
    this.words = new ModelWords(memory.buffer.world);
    this.longs = this.words;
  }

  /** Fills a frame with zeroes. */
  *clearFrame(pfn: Pfn): Access<void> {
    for (const offset of CONTENT_OFFSETS) yield { kind: "plain-store", cell: this.#cell(frameAddress(pfn) + offset), value: 0 };
  }

  /** Copies one frame over another, word by word, as a copy does. */
  *copyFrame(target: Pfn, source: Pfn): Access<void> {
    for (const offset of CONTENT_OFFSETS) {
      const value = yield { kind: "plain-load", cell: this.#cell(frameAddress(source) + offset) };
      yield { kind: "plain-store", cell: this.#cell(frameAddress(target) + offset), value };
    }
  }

  #cell(byteAddress: number): number {
    return this.words.cell(byteAddress / 4);
  }
}

/** As in page-view.raw.ts, as far as scenarios use it. */
export class PageView {
  readonly #words: ModelWords;
  #base = 0;
  #limit = 0;
  #wrote = false;
  readonly #openCell: number;

  constructor(views: HostViews) {
    this.#words = views.words;
    this.#openCell = views.words.world.addOpenCell();
  }

  /** Points the view at bytes of a frame. A word tells invariants which frame that is, so this is a step that they see. */
  *open(byteAddress: number, lengthBytes: number): Access<void> {
    this.#base = byteAddress;
    this.#limit = lengthBytes;
    yield { kind: "store", cell: this.#openCell, value: Math.floor(byteAddress / 4096) };
  }

  /** Ends the access. */
  *close(): Access<void> {
    this.#limit = 0;
    yield { kind: "store", cell: this.#openCell, value: 0 };
  }

  /** Whether something was written since the last call. */
  takeWrote(): boolean {
    const wrote = this.#wrote;
    this.#wrote = false;
    return wrote;
  }

  /** Reads 32 bits. */
  *readU32(offset: number): Access<number> {
    return yield { kind: "plain-load", cell: this.#cell(offset) };
  }

  /** Writes 32 bits. */
  *writeU32(offset: number, value: number): Access<void> {
    this.#wrote = true;
    yield { kind: "plain-store", cell: this.#cell(offset), value };
  }

  /** Atomically adds. */
  *addU32(offset: number, value: number): Access<number> {
    this.#wrote = true;
    return yield { kind: "update", cell: this.#cell(offset), by: (old) => old + value };
  }

  #cell(offset: number): number {
    if (offset + 4 > this.#limit) throw new Error("expected an access inside the opened range and inside the callback");
    return this.#words.cell((this.#base + offset) / 4);
  }
}
