/**
 * An I/O APIC (Intel 82093AA data sheet): inputs of devices to vectors of local APICs. Registers are reached through a window: a select
 * register at offset 0, data at offset 0x10.
 *
 * State is in shared memory behind one lock, so that every thread may move an input and every vCPU may end an interrupt.
 *
 *   edge    sent when the input goes up, or is up while the entry is unmasked
 *   level   sent while the input is up, the entry unmasked and its remote IRR clear, and sets that; the EOI of its vector, which each local
 *           APIC passes on that took it as a level, clears it, and with the input still up it is sent again
 *
 * An input is up when its device asks for an interrupt: the polarity of an entry is kept, and not looked at. Version 0x11 has no EOI
 * register; a kernel clears a remote IRR by hand when it makes the entry an edge for a moment.
 */
import { atomicLoad, atomicStore, sharedWordsOf, type SharedWords, withLock } from "#sync";
import { IO_APIC, IO_APIC_BLOCK, IO_APIC_INPUTS, KVM_BLOCK_BASE } from "../../abi/kvm-block.js";

/**
 * Sends an interrupt as an entry says: `low` is its low word, `destination` its 8 bits; whether some local APIC took it. Called under the
 * I/O APIC's lock.
 */
export type SendInterrupt = (low: number, destination: number) => boolean;

const SELECT = 0x00;
const WINDOW = 0x10;
const REGISTER_ID = 0;
const REGISTER_VERSION = 1;
const REGISTER_ARBITRATION = 2;
const REGISTER_REDIRECTION = 0x10;
const VERSION = 0x11;
const ENTRY_MASKED = 1 << 16;
const ENTRY_LEVEL = 1 << 15;
/** A local APIC has the entry's interrupt and has not ended it. */
const ENTRY_REMOTE_IRR = 1 << 14;
const ENTRY_VECTOR = 0xff;
/** Vector, delivery mode, destination mode, trigger mode. */
const ENTRY_MESSAGE = 0xfff | ENTRY_LEVEL;
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
      if (isHigh && before !== after) this.#sendLocked(input);
    });
  }

  /** A local APIC has ended an interrupt of `vector` that it took as a level. Any thread. */
  endInterrupt(vector: number): void {
    this.#locked(() => {
      for (let input = 0; input < IO_APIC_INPUTS; input++) {
        const low = this.#load(entryField(input));
        if ((low & ENTRY_VECTOR) !== vector || (low & ENTRY_REMOTE_IRR) === 0) continue;
        this.#store(entryField(input), low & ~ENTRY_REMOTE_IRR);
        if (this.#isUp(input)) this.#sendLocked(input);
      }
    });
  }

  #isUp(input: number): boolean {
    return (this.#load(IO_APIC.lines) & (1 << input)) !== 0;
  }

  /** Precondition: the input is up. */
  #sendLocked(input: number): void {
    const low = this.#load(entryField(input));
    if ((low & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) !== 0) return;
    const isTaken = this.#send(low & ENTRY_MESSAGE, this.#load(entryField(input) + 4) >>> 24);
    // Nobody looks at the entry in between: the EOI has to wait for the lock.
    if (isTaken && (low & ENTRY_LEVEL) !== 0) this.#store(entryField(input), low | ENTRY_REMOTE_IRR);
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
    const before = this.#load(field);
    const isLevel = (value & ENTRY_LEVEL) !== 0;
    this.#store(field, (value & ENTRY_LOW_WRITABLE) | (isLevel ? before & ENTRY_REMOTE_IRR : 0));
    const input = (register - REGISTER_REDIRECTION) >>> 1;
    if (this.#isUp(input) && (isLevel || (before & ENTRY_MASKED) !== 0)) this.#sendLocked(input);
  }
}

/** Offset of the low word of an input's entry. */
function entryField(input: number): number {
  return IO_APIC.redirection + input * 8;
}

function isRedirection(register: number): boolean {
  return register >= REGISTER_REDIRECTION && register < REGISTER_REDIRECTION + 2 * IO_APIC_INPUTS;
}
