/**
 * Where the guest's general registers are while a region runs. Their home is the vCPU's state in memory; locals hold them for a while.
 *
 * - Cached, in most code: a block loads a register when it first needs it, and stores what it has changed before the next access to memory, which may be where the region is
 *   left. So there is nothing to do at a way out, and one block goes on in another, of this region or of another, with nothing in hand.
 * - Resident, in a loop that is not left for a call: all that the loop names are loaded in front of it, and what it may change is stored behind it.
 *
 * Locals that live long cost twice: the host has fewer registers than the guest and its translation need together, and V8 takes two thirds of its time for a region to
 * share them out.
 */
import { VCPU } from "../../abi/layout.js";
import { LOCAL, REGISTER_COUNT } from "./region-layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";

/** Registers as sets, a bit each: those whose local holds the value, and those of them that memory lacks. */
export interface Cached { readonly valid: number; readonly dirty: number }

/** The general registers of a region that is being written. */
export class RegisterFile {
  readonly #code: CodeWriter;
  #valid = 0;
  #dirty = 0;
  #isStored = false;
  /** In a loop with resident registers: which they are, and which of them it may change. */
  #resident: { readonly used: number; readonly written: number } | undefined;

  /** `onChange` is told of each register that is about to be given another value. */
  constructor(code: CodeWriter, readonly onChange: (register: number) => void) { this.#code = code; }

  get isResident(): boolean { return this.#resident !== undefined; }

  /** Begins a block: what others had in locals is not known. */
  beginBlock(): void {
    this.#valid = 0;
    this.#dirty = 0;
  }

  /** Makes the registers `used` resident, of which those in `written` may be changed. */
  beginLoop(used: number, written: number): void {
    this.#resident = { used, written };
    this.#load(used);
  }

  /** Ends that. What is behind gets there by ways that have stored. */
  endLoop(): void { this.#resident = undefined; }

  /** Local that holds register `number`. */
  read(number: number): number {
    const bit = 1 << number;
    if (this.#resident !== undefined) this.#assertResident(this.#resident.used, bit);
    else if ((this.#valid & bit) === 0) {
      this.#load(bit);
      this.#valid |= bit;
    }
    return LOCAL.registers + number;
  }

  /** As read, for one that is going to be changed. */
  change(number: number): number {
    const local = this.read(number);
    this.#note(number);
    return local;
  }

  /** Local of register `number`, which the very next instruction sets. */
  assign(number: number): number {
    this.#note(number);
    return LOCAL.registers + number;
  }

  #note(number: number): void {
    const bit = 1 << number;
    this.onChange(number);
    if (this.#resident !== undefined) this.#assertResident(this.#resident.written, bit);
    else {
      this.#valid |= bit;
      this.#dirty |= bit;
    }
  }

  #assertResident(allowed: number, bit: number): void {
    if ((allowed & bit) === 0) throw new Error("expected a loop to use the registers that its ops name");
  }

  /** Brings memory up to date before ways part, so that none of them has to; not in a loop with resident registers, whose ways out do that. */
  flush(): void {
    if (this.#resident !== undefined || this.#isStored) return;
    this.store();
    this.#dirty = 0;
  }

  /** Brings memory up to date on a way that leaves; on others all is as it was. */
  store(): void {
    if (this.#isStored) return;
    const changed = this.#resident?.written ?? this.#dirty;
    eachRegister(changed, (local, offset) => this.#code.get(LOCAL.base).get(local).access(W.i64Store, offset));
  }

  /** Stores, and writes `more`, which leaves and so has nothing to store any more. */
  storeAndLeave(more: () => void): void {
    this.store();
    this.#isStored = true;
    more();
    this.#isStored = false;
  }

  /** A function of the interpreter may have changed registers, in memory, which was up to date before. */
  reload(): void {
    if (this.#resident !== undefined) this.#load(this.#resident.used);
    this.beginBlock();
  }

  /** What is cached, where ways part. */
  get cached(): Cached { return { valid: this.#valid, dirty: this.#dirty }; }

  /** Goes on from where ways parted. */
  goBackTo({ valid, dirty }: Cached): void {
    this.#valid = valid;
    this.#dirty = dirty;
  }

  /** Meets a way that has left its registers like `other`, with nothing in locals that memory lacks. */
  meet(other: Cached): void {
    if (this.#resident === undefined) this.#load(other.valid & ~this.#valid);
    this.goBackTo(other);
  }

  #load(registers: number): void {
    eachRegister(registers, (local, offset) => this.#code.get(LOCAL.base).access(W.i64Load, offset).set(local));
  }
}

/** Visits the locals of `registers`, with their places in the vCPU's state. */
function eachRegister(registers: number, visit: (local: number, offset: number) => void): void {
  for (let number = 0; number < REGISTER_COUNT; number++) {
    if ((registers & (1 << number)) !== 0) visit(LOCAL.registers + number, VCPU.gpr + number * 8);
  }
}
