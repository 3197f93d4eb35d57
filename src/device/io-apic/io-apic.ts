/**
 * An I/O APIC (Intel 82093AA data sheet): inputs of devices to vectors of local APICs. Registers are reached through a window: a select
 * register at offset 0, data at offset 0x10.
 *
 * State is in shared memory behind one lock, so that every thread may move an input. Every entry works as an edge: an interrupt is
 * sent when its input goes up, or is up while the entry is unmasked. An entry that asks for levels gets the same, and its interrupt
 * is not repeated at the EOI; our tables describe every input as an edge.
 */
import { atomicLoad, atomicStore, sharedWordsOf, type SharedWords, withLock } from "#sync";
import { IO_APIC, IO_APIC_BLOCK, IO_APIC_INPUTS, KVM_BLOCK_BASE } from "../../abi/kvm-block.js";

/** Sends an interrupt as an entry says: `low` is its low word, `destination` its 8 bits. Called under the I/O APIC's lock. */
export type SendInterrupt = (low: number, destination: number) => void;

const SELECT = 0x00;
const WINDOW = 0x10;
const REGISTER_ID = 0;
const REGISTER_VERSION = 1;
const REGISTER_ARBITRATION = 2;
const REGISTER_REDIRECTION = 0x10;
const VERSION = 0x11;
const ENTRY_MASKED = 1 << 16;
/** Delivery status and remote IRR are not the guest's to write. */
const ENTRY_LOW_WRITABLE = 0x1_afff;
const ENTRY_HIGH_WRITABLE = 0xff00_0000;

/** Where the registers are. */
export const IO_APIC_GPA = 0xfec0_0000;
export const IO_APIC_SIZE = 0x1000;

/** The machine's I/O APIC. */
export class IoApic {
  readonly #words: SharedWords;
  readonly #send: SendInterrupt;

  constructor(memory: { readonly buffer: ArrayBufferLike }, send: SendInterrupt) {
    this.#words = sharedWordsOf(memory.buffer);
    this.#send = send;
  }

  /** Masks every entry, as a reset does. Once, before any vCPU runs. */
  reset(): void {
    for (let input = 0; input < IO_APIC_INPUTS; input++) this.#store(entryField(input), ENTRY_MASKED);
  }

  #load(field: number): number {
    return atomicLoad(this.#words, (KVM_BLOCK_BASE + IO_APIC_BLOCK + field) >>> 2) >>> 0;
  }

  #store(field: number, value: number): void {
    atomicStore(this.#words, (KVM_BLOCK_BASE + IO_APIC_BLOCK + field) >>> 2, value | 0);
  }

  #locked<T>(body: () => T): T {
    return withLock(this.#words, (KVM_BLOCK_BASE + IO_APIC_BLOCK + IO_APIC.lock) >>> 2, body);
  }

  /** Input `input` (0..IO_APIC_INPUTS-1) goes up or down. Any thread. */
  setLine(input: number, isHigh: boolean): void {
    this.#locked(() => {
      const before = this.#load(IO_APIC.lines);
      const after = isHigh ? before | (1 << input) : before & ~(1 << input);
      this.#store(IO_APIC.lines, after);
      if (isHigh && (before & (1 << input)) === 0) this.#sendLocked(input);
    });
  }

  #sendLocked(input: number): void {
    const low = this.#load(entryField(input));
    if ((low & ENTRY_MASKED) === 0) this.#send(low & 0xfff, this.#load(entryField(input) + 4) >>> 24);
  }

  /** A 32-bit read at `offset` of the register page. */
  readMmio(offset: number): number {
    return this.#locked(() => {
      if (offset === SELECT) return this.#load(IO_APIC.select);
      return offset === WINDOW ? this.#readRegister(this.#load(IO_APIC.select)) : 0;
    });
  }

  /** A 32-bit write at `offset` of the register page. */
  writeMmio(offset: number, value: number): void {
    this.#locked(() => {
      if (offset === SELECT) this.#store(IO_APIC.select, value & 0xff);
      else if (offset === WINDOW) this.#writeRegisterLocked(this.#load(IO_APIC.select), value >>> 0);
    });
  }

  #readRegister(register: number): number {
    switch (register) {
      case REGISTER_ID:
      case REGISTER_ARBITRATION: return this.#load(IO_APIC.id);
      case REGISTER_VERSION: return VERSION | ((IO_APIC_INPUTS - 1) << 16);
      default: return isRedirection(register) ? this.#load(IO_APIC.redirection + (register - REGISTER_REDIRECTION) * 4) : 0;
    }
  }

  #writeRegisterLocked(register: number, value: number): void {
    if (register === REGISTER_ID) this.#store(IO_APIC.id, value & 0x0f00_0000);
    if (!isRedirection(register)) return;
    const field = IO_APIC.redirection + (register - REGISTER_REDIRECTION) * 4;
    if ((register & 1) !== 0) {
      this.#store(field, value & ENTRY_HIGH_WRITABLE);
      return;
    }
    const wasMasked = (this.#load(field) & ENTRY_MASKED) !== 0;
    this.#store(field, value & ENTRY_LOW_WRITABLE);
    const input = (register - REGISTER_REDIRECTION) >>> 1;
    if (wasMasked && (this.#load(IO_APIC.lines) & (1 << input)) !== 0) this.#sendLocked(input);
  }
}

/** Offset of the low word of an input's entry. */
function entryField(input: number): number {
  return IO_APIC.redirection + input * 8;
}

function isRedirection(register: number): boolean {
  return register >= REGISTER_REDIRECTION && register < REGISTER_REDIRECTION + 2 * IO_APIC_INPUTS;
}
