/**
 * Frames and the views of them, explored side: stand-ins for host-views.raw.ts and page-view.raw.ts, with the same methods. A frame's
 * contents are the words that the scenario names (World.contents), each a cell: what is written elsewhere is dropped, and reads as 0.
 *
 * Plain reads and writes are plain accesses, so that the race detector watches them. Copies of bytes go upwards word by word; they are meant
 * to race with the guest, whose own rules say what it may make of what it reads (versions, update flags), and so are marked volatile.
 */
import { frameAddress } from "../abi/address.js";
import type { Gpa, Pfn } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import type { Access } from "./instrument/runtime.js";
import { ModelWords } from "./seam.js";
import type { ModelBuffer } from "./seam.js";
import type { World } from "./world.js";
import { openValueOf } from "./world.js";

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

/** What stands for all bytes of the memory: whole frames are read and written by way of it, to swap them. */
class FrameBytes {
  readonly #words: ModelWords;

  constructor(words: ModelWords) {
    this.#words = words;
  }

  /** Writes a page over a frame. */
  *set(page: Uint8Array, address: number): Access<void> {
    for (const offset of this.#words.world.contents) {
      yield { kind: "plain-store", cell: this.#words.cell((address + offset) / 4), value: wordAt(page, offset) };
    }
  }

  /** A copy of a frame, where the host has a view of it that is copied at once. */
  *subarray(from: number): Access<Uint8Array> {
    const page = new Uint8Array(PAGE_SIZE);
    for (const offset of this.#words.world.contents) {
      putWord(page, offset, yield { kind: "plain-load", cell: this.#words.cell((from + offset) / 4) });
    }
    return page;
  }
}

/** As in host-views.raw.ts: one thread's handle. */
export class HostViews {
  readonly memory: ModelMemory;
  readonly bytes: FrameBytes;
  readonly words: ModelWords;
  readonly longs: ModelWords;
  /** For the view that is made next: where the page begins that it is for; undefined = nobody says. */
  nextPage: Gpa | undefined;
  /** Which of the world's handles this is, and how many views it has made. */
  readonly #number: number;
  #viewCount = 0;

  constructor(memory: ModelMemory) {
    this.memory = memory;
    this.words = new ModelWords(memory.buffer.world);
    this.longs = this.words;
    this.bytes = new FrameBytes(this.words);
    this.#number = memory.buffer.world.takeViewsNumber();
  }

  /** A cell for a new view, in which it tells where it is open. */
  takeOpenCell(): number {
    return this.words.world.openCell(this.#number, this.#viewCount++);
  }

  /** Fills a frame with zeroes. */
  *clearFrame(pfn: Pfn): Access<void> {
    for (const offset of this.words.world.contents) yield { kind: "plain-store", cell: this.#cell(frameAddress(pfn) + offset), value: 0 };
  }

  /** Copies one frame over another, word by word, as a copy does. */
  *copyFrame(target: Pfn, source: Pfn): Access<void> {
    for (const offset of this.words.world.contents) {
      const value = yield { kind: "plain-load", cell: this.#cell(frameAddress(source) + offset) };
      yield { kind: "plain-store", cell: this.#cell(frameAddress(target) + offset), value };
    }
  }

  #cell(byteAddress: number): number {
    return this.words.cell(byteAddress / 4);
  }
}

/** As in page-view.raw.ts, as far as the explored modules use it. */
export class PageView {
  readonly #words: ModelWords;
  readonly #openCell: number;
  /** Where the range begins that this view is for, if it was said. */
  readonly #gpa: Gpa | undefined;
  #base = 0;
  #limit = 0;
  #wrote = false;

  constructor(views: HostViews) {
    this.#words = views.words;
    this.#openCell = views.takeOpenCell();
    this.#gpa = views.nextPage;
    views.nextPage = undefined;
  }

  /** Points the view at bytes of a frame. A word tells invariants which frame that is, so this is a step that they see. */
  *open(byteAddress: number, lengthBytes: number): Access<void> {
    this.#base = byteAddress;
    this.#limit = lengthBytes;
    yield { kind: "store", cell: this.#openCell, value: openValueOf(Math.floor(byteAddress / PAGE_SIZE), this.#gpa) };
    const isInPlace = this.#gpa === undefined || byteAddress % PAGE_SIZE === this.#gpa % PAGE_SIZE;
    yield { kind: "claim", holds: isInPlace, says: `I8: an access of 0x${String(this.#gpa?.toString(16))} begins at offset 0x${(byteAddress % PAGE_SIZE).toString(16)}` };
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
  readU32(offset: number): Access<number> {
    return this.#plainRead(offset, 4);
  }

  /** Writes 32 bits. */
  writeU32(offset: number, value: number): Access<void> {
    return this.#plainWrite(offset, 4, value);
  }

  /** Reads one byte. */
  readU8(offset: number): Access<number> {
    return this.#plainRead(offset, 1);
  }

  /** Writes one byte. */
  writeU8(offset: number, value: number): Access<void> {
    return this.#plainWrite(offset, 1, value);
  }

  /** Copies bytes out of the page into an array of its own. */
  *copyOut(offset: number, lengthBytes: number): Access<Uint8Array> {
    const bytes = new Uint8Array(lengthBytes);
    yield* this.copyTo(offset, lengthBytes, bytes);
    return bytes;
  }

  /** Copies bytes of the page over `target`, from `targetOffset` on. */
  *copyTo(offset: number, lengthBytes: number, target: Uint8Array, targetOffset = 0): Access<void> {
    this.#check(offset, lengthBytes);
    target.fill(0, targetOffset, targetOffset + lengthBytes);
    for (const { word, cell } of this.#wordsIn(offset, lengthBytes)) {
      const value = yield { kind: "plain-load", cell, volatile: true };
      for (let byte = 0; byte < 4; byte++) {
        const at = word + byte - offset;
        if (at >= 0 && at < lengthBytes) target[targetOffset + at] = value >>> (8 * byte);
      }
    }
  }

  /** Copies `bytes` into the page. */
  *copyIn(offset: number, bytes: Uint8Array): Access<void> {
    this.#wrote = true;
    this.#check(offset, bytes.length);
    for (const { word, cell } of this.#wordsIn(offset, bytes.length)) {
      const isWhole = word >= offset && word + 4 <= offset + bytes.length;
      let value = isWhole ? 0 : yield { kind: "plain-load", cell, volatile: true };
      for (let byte = 0; byte < 4; byte++) {
        const at = word + byte - offset;
        if (at >= 0 && at < bytes.length) value = withBits(value, 0xff << (8 * byte), bytes[at]! << (8 * byte));
      }
      yield { kind: "plain-store", cell, value, volatile: true };
    }
  }

  /** Atomic read of a byte. */
  *loadU8(offset: number): Access<number> {
    const place = this.#place(offset, 1);
    return place === undefined ? 0 : ((yield { kind: "load", cell: place.cell }) >>> place.shift) & 0xff;
  }

  /** Atomic write of a byte. */
  *storeU8(offset: number, value: number): Access<void> {
    yield* this.exchangeU8(offset, value);
  }

  /** Atomically writes a byte and returns the old one. */
  exchangeU8(offset: number, value: number): Access<number> {
    return this.#updateU8(offset, () => value);
  }

  /** Atomically adds. */
  *addU32(offset: number, value: number): Access<number> {
    return yield* this.#update(offset, 4, (old) => old + value);
  }

  /** Whether bit `bit` of the bit array at `offset` is set. Atomic. */
  *testBit(bit: number, offset = 0): Access<boolean> {
    return ((yield* this.loadU8(offset + (bit >>> 3))) & (1 << (bit & 7))) !== 0;
  }

  /** Atomically sets a bit; whether it was set before. */
  *testAndSetBit(bit: number, offset = 0): Access<boolean> {
    const mask = 1 << (bit & 7);
    return ((yield* this.#updateU8(offset + (bit >>> 3), (old) => old | mask)) & mask) !== 0;
  }

  /** Atomically clears a bit; whether it was set before. */
  *testAndClearBit(bit: number, offset = 0): Access<boolean> {
    const mask = 1 << (bit & 7);
    return ((yield* this.#updateU8(offset + (bit >>> 3), (old) => old & ~mask)) & mask) !== 0;
  }

  *#plainRead(offset: number, size: 1 | 4): Access<number> {
    const place = this.#place(offset, size);
    return place === undefined ? 0 : ((yield { kind: "plain-load", cell: place.cell }) & place.mask) >>> place.shift;
  }

  *#plainWrite(offset: number, size: 1 | 4, value: number): Access<void> {
    this.#wrote = true;
    const place = this.#place(offset, size);
    if (place === undefined) return;
    // A byte of a word that has others: what is written back of them is what was there, as far as this cell goes.
    const old = size === 4 ? 0 : yield { kind: "plain-load", cell: place.cell };
    yield { kind: "plain-store", cell: place.cell, value: withBits(old, place.mask, value << place.shift) };
  }

  *#updateU8(offset: number, by: (old: number) => number): Access<number> {
    return yield* this.#update(offset, 1, by);
  }

  *#update(offset: number, size: 1 | 4, by: (old: number) => number): Access<number> {
    this.#wrote = true;
    const place = this.#place(offset, size);
    if (place === undefined) return 0;
    const { cell, mask, shift } = place;
    const old = yield { kind: "update", cell, by: (value) => withBits(value, mask, by((value & mask) >>> shift) << shift) };
    return (old & mask) >>> shift;
  }

  #check(offset: number, size: number): void {
    if (!(offset >= 0 && offset + size <= this.#limit)) throw new Error("expected an access inside the opened range and inside the callback");
  }

  /** Where a value is within its word; undefined = in a word that frames do not have here. */
  #place(offset: number, size: 1 | 4): { readonly cell: number; readonly mask: number; readonly shift: number } | undefined {
    this.#check(offset, size);
    const address = this.#base + offset;
    const inWord = address % 4;
    if (inWord + size > 4) throw new Error(`expected an access within a word, got ${size} bytes at ${address % PAGE_SIZE}`);
    if (!this.#words.world.contents.includes((address - inWord) % PAGE_SIZE)) return undefined;
    return { cell: this.#words.cell((address - inWord) / 4), mask: size === 4 ? -1 : 0xff << (8 * inWord), shift: 8 * inWord };
  }

  /** The words that a range touches, upwards: their offsets in the opened range, and their cells. */
  #wordsIn(offset: number, lengthBytes: number): { readonly word: number; readonly cell: number }[] {
    const frame = this.#base - (this.#base % PAGE_SIZE);
    const from = this.#base + offset - frame;
    const touched = this.#words.world.contents.filter((at) => at + 4 > from && at < from + lengthBytes);
    return touched.map((at) => ({ word: frame + at - this.#base, cell: this.#words.cell((frame + at) / 4) }));
  }
}

/** `value` with the bits of `mask` taken from `bits`; unsigned. */
function withBits(value: number, mask: number, bits: number): number {
  return ((value & ~mask) | (bits & mask)) >>> 0;
}

/** The word at `offset` of bytes, unsigned. */
export function wordAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0;
}

/** Writes the word at `offset` of bytes. */
export function putWord(bytes: Uint8Array, offset: number, value: number): void {
  for (let byte = 0; byte < 4; byte++) bytes[offset + byte] = value >>> (8 * byte);
}
