/**
 * What a block knows of the guest memory that it has looked up.
 *
 * Accesses of a block by one register mostly lie close together: pushes, pops, locals of a function, fields of a structure. The first of them looks up the piece of memory in which all of them
 * lie, a window, which is known when the block has been written; the others find it in a local, without a look. Where a window is not in one page, or may not be written though one of
 * its accesses may never come to that, the region is left at the first; a block in which that happens often is translated anew (Trace.missesWindows): its accesses ask whether there is
 * a window, and look their own bytes up in a function beside the region if not. Nothing is kept behind the block, or behind a function of the interpreter: what that does to mappings is not known here.
 */
import { TLB_ADDEND, TLB_TAG_READ, TLB_TAG_WRITE } from "../../abi/layout.js";
import { LOCAL, REGISTER_COUNT, WINDOW_MISSED, WINDOWS } from "./region-layout.js";
import { ENTRY_ADDRESS_MASK, PAGE_MASK, pushEntry, pushHostAddress, pushIsElsewhere } from "./tlb-look-up.js";
import { CodeWriter, W } from "./wasm-writer.js";

/** Bytes of a window at most: the more, the more often it is in two pages. */
const WINDOW_SIZE_MAX = 256;
const DISTANCE_MAX = 1 << 28;

/** A value that registers of the block had at some time, by a number, and how far away from it the register is now. */
export interface Origin { readonly id: number; readonly distance: number }

/** A place in memory by a register and a constant. */
export interface Place { readonly register: number; readonly displacement: number }

/** One window. Its bytes are `low` to `high` from the origin on. */
export class Window {
  readonly #code: CodeWriter;
  #low: number;
  #high: number;
  #writes: boolean;
  #accesses = 1;
  /** Whether a store may still make it one for writing: not behind a jump that may go elsewhere, for the store may never be done. */
  #mayWrite = true;
  /** What is to be written into the code when the window is complete: distances from its begin; and where the look-up has the way to there, the size, the tag and the op to leave at. */
  readonly #fromLow: { readonly place: number; readonly distance: number }[] = [];
  #lookUp!: { readonly distance: number; readonly toLow: number; readonly size: number; readonly tag: number };
  #missed: { readonly op: number; readonly place: number } | undefined;
  #isComplete = false;

  constructor(code: CodeWriter, readonly local: number, readonly origin: number, low: number, high: number, writes: boolean) {
    this.#code = code;
    this.#low = low;
    this.#high = high;
    this.#writes = writes;
  }

  /** Widens the window by the bytes `low` to `high`, for writing if `writes`. Returns false when it cannot. */
  take(low: number, high: number, writes: boolean): boolean {
    if (writes && !this.#writes && !this.#mayWrite) return false;
    const newLow = Math.min(low, this.#low), newHigh = Math.max(high, this.#high);
    if (newHigh - newLow > WINDOW_SIZE_MAX) return false;
    this.#low = newLow;
    this.#high = newHigh;
    this.#writes ||= writes;
    this.#accesses++;
    return true;
  }

  /** The block may be left here. */
  part(): void { this.#mayWrite = false; }

  /** Appends how far `distance` (from the origin) is behind the window's begin. */
  writeFromLow(distance: number): void {
    if (this.#isComplete) throw new Error("expected a window not to be used behind its end");
    this.#fromLow.push({ place: this.#code.later(), distance });
  }

  /** Looks the window up, of which the byte at `distance` has its linear address in LOCAL.address: pushes whether the TLB does not have it. */
  writeLookUp(distance: number): void {
    const code = this.#code.get(LOCAL.address).op(W.i64Const);
    const toLow = code.later();
    code.op(W.i64Add).tee(LOCAL.windowAddress);
    pushEntry(code, LOCAL.windowAddress);
    code.set(LOCAL.tlbEntry).get(LOCAL.windowAddress).op(W.i64Const);
    const size = code.later();
    code.op(W.i64Add);
    const tag = pushIsElsewhere(code, TLB_TAG_READ);
    this.#lookUp = { distance, toLow, size, tag };
  }

  /** Pushes the number of the op to leave at where the window was not found, with WINDOW_MISSED if others need it too. */
  writeMissed(op: number): void {
    this.#missed = { op, place: this.#code.op(W.i32Const).later() };
  }

  /** Pushes whether the window has not been found, behind its look-up, where that may be. */
  pushIsMissing(): void { this.#code.get(this.local).tee(LOCAL.pointer).op(W.i32Eqz); }

  /** Sets the window's local, and LOCAL.pointer, behind a look-up that has found it. */
  writeFound(): void {
    pushHostAddress(this.#code, LOCAL.windowAddress);
    this.#code.tee(this.local).set(LOCAL.pointer);
  }

  /** Writes what is known now. */
  complete(): void {
    const code = this.#code;
    this.#isComplete = true;
    for (const { place, distance } of this.#fromLow) code.patch(place, distance - this.#low);
    const { distance, toLow, size, tag } = this.#lookUp;
    code.patch(toLow, this.#low - distance);
    code.patch(size, this.#high - this.#low - 1);
    if (this.#writes) code.patchByte(tag, TLB_TAG_WRITE);
    if (this.#missed !== undefined) code.patch(this.#missed.place, this.#missed.op | (this.#accesses > 1 ? WINDOW_MISSED : 0));
  }
}

/** Follows registers and windows through a block. */
export class PageWindows {
  readonly #code: CodeWriter;
  readonly #origins: Origin[] = [];
  #origin = 0;
  #windows: (Window | undefined)[] = new Array<undefined>(WINDOWS).fill(undefined);
  #next = 0;

  constructor(code: CodeWriter) { this.#code = code; }

  /** Begins a block; or goes on behind something that may have changed registers and mappings. */
  forget(): void {
    this.complete();
    for (let register = 0; register < REGISTER_COUNT; register++) this.forgetRegister(register);
  }

  /** Ends all windows: code that is written from here on knows none. */
  complete(): void {
    this.#windows.forEach((window, index) => {
      window?.complete();
      this.#windows[index] = undefined;
    });
  }

  /** `register` is given another value, of which nothing is known. */
  forgetRegister(register: number): void { this.#origins[register] = { id: this.#origin++, distance: 0 }; }

  /** What is known of `register`. */
  originOf(register: number): Origin { return this.#origins[register]!; }

  /** `register` has been given a value that is `by` above `origin`. */
  derive(register: number, { id, distance }: Origin, by: number): void {
    if (Math.abs(distance + by) < DISTANCE_MAX) this.#origins[register] = { id, distance: distance + by };
  }

  /** The block may be left here. */
  part(): void { for (const window of this.#windows) window?.part(); }

  /** The window for `bytes` bytes at `place`, and how far from its origin they are; whether it is new, and so has to be looked up. */
  find({ register, displacement }: Place, bytes: number, writes: boolean): { window: Window; distance: number; isNew: boolean } {
    const { id, distance: from } = this.originOf(register);
    const distance = from + displacement;
    const index = this.#windows.findIndex((window) => window?.origin === id);
    const found = this.#windows[index];
    if (found?.take(distance, distance + bytes, writes) === true) return { window: found, distance, isNew: false };
    const chosen = found !== undefined ? index : this.#next;
    if (found === undefined) this.#next = (this.#next + 1) % WINDOWS;
    this.#windows[chosen]?.complete();
    const window = new Window(this.#code, LOCAL.windows + chosen, id, distance, distance + bytes, writes);
    this.#windows[chosen] = window;
    return { window, distance, isNew: true };
  }
}

/**
 * The region's helper: of the address of a TLB (or, TLB_TAG_WRITE bytes behind it, of its write tags), a linear address, and that of the last byte, to where the bytes are in host
 * memory; 0 = the TLB does not say.
 */
export function writeLocate(): Uint8Array {
  const tags = 0, address = 1, last = 2;
  const code = new CodeWriter();
  pushEntry(code, address, tags);
  code.tee(tags).access(W.i64Load, TLB_TAG_READ).get(last).i64(PAGE_MASK).op(W.i64And, W.i64Ne);
  code.open(W.if);
  code.i32(0).op(W.return).close();
  code.get(tags).i32(ENTRY_ADDRESS_MASK).op(W.i32And).access(W.i32Load, TLB_ADDEND).get(address).op(W.i32Wrap, W.i32Add);
  return code.bytes;
}
