/**
 * A serial port with FIFOs, a 16550A (National Semiconductor PC16550D data sheet), without a line: what is sent is sent at once, the speed is
 * not looked at, and the other end is always there (CTS, DSR and DCD are on).
 *
 * Any thread may hold the object; all state is in shared memory behind the port's lock. A vCPU's thread reads and writes
 * registers, the device thread takes what was sent and gives what is to be received.
 *
 * The guest's kernel loses what it has no room for: it takes characters out of the receiver in its interrupt handler and lets the terminal's
 * reader wait for them. So no more is given than it asks for. Nothing while RTS is off, by which it says that its buffers are
 * full; and nothing before it has seen the receiver empty, after which its handler ends and the rest of the kernel gets its turn.
 */
import { withLock } from "#sync";
import { UART, UART_INPUT_SIZE, UART_OUTPUT_SIZE } from "../../abi/kvm-block.js";
import { UartMemory } from "./uart-memory.raw.js";

/** What a port does to the machine around it. All of it may be called under the port's lock. */
export interface UartSignals {
  /** The interrupt line goes up or down. */
  setLine(isHigh: boolean): void;
  /** The device thread has something to look at. */
  ringDevice(): void;
  /** There is room for what `vcpu` waits to send. */
  wakeSender(vcpu: number): void;
}

/** Register numbers; 0 and 1 are the divisor's while LCR bit 7 is set. */
const DATA = 0;
const INTERRUPT_ENABLE = 1;
/** IIR when read, FCR when written. */
const FIFO = 2;
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
const LINE_STATUS = 5;
const MODEM_STATUS = 6;
const SCRATCH = 7;

const ENABLE_RECEIVED = 1;
const ENABLE_TRANSMITTER = 2;
const ENABLE_ALL = 0xf;
const FIFO_ENABLE = 1;
const FIFO_CLEAR_RECEIVER = 2;
const FIFO_KEPT = 0xc9;
/** Bytes in the receiver from which it interrupts at once, by FCR bits 7..6. */
const TRIGGER_BYTES = [1, 4, 8, 14] as const;
const IDENTIFY_NONE = 1;
const IDENTIFY_TRANSMITTER = 2;
const IDENTIFY_RECEIVED = 4;
const IDENTIFY_TIMEOUT = 0xc;
const IDENTIFY_FIFOS = 0xc0;
const DIVISOR_ACCESS = 0x80;
const MODEM_DTR = 1;
const MODEM_RTS = 2;
const MODEM_OUT1 = 4;
const MODEM_OUT2 = 8;
const MODEM_LOOP = 0x10;
const STATUS_DATA_READY = 1;
/** Transmitter holding register and shift register are empty. */
const STATUS_EMPTY = 0x60;
const STATUS_CTS = 0x10;
const STATUS_DSR = 0x20;
const STATUS_RI = 0x40;
const STATUS_DCD = 0x80;
/** What a kernel sends when the holding register is empty: as much as the FIFO of this kind of port holds. */
const BURST_BYTES = 16;
/**
 * The device thread is told of each byte, but where the guest lets the transmitter interrupt: then it has more, and the device thread is told when
 * there is so much, or when the guest has no more: it takes the permission back, or finds no interrupt.
 */
const TELL_BYTES = UART_OUTPUT_SIZE / 2;

/** One port. */
export class Uart {
  readonly #memory: UartMemory;
  readonly #signals: UartSignals;

  /** Takes the state in `memory` as it is; zeros are a port after its reset. `index` is 0..UART_COUNT-1. */
  constructor(memory: { readonly buffer: ArrayBufferLike }, index: number, signals: UartSignals) {
    this.#memory = new UartMemory(memory, index);
    this.#signals = signals;
  }

  #locked<T>(body: () => T): T {
    return withLock(this.#memory.words, this.#memory.lockIndex, body);
  }

  /** A read of register `register` (0..7). */
  read(register: number): number {
    return this.#locked(() => {
      const value = this.#readLocked(register);
      this.#updateLineLocked();
      return value;
    });
  }

  /**
   * A write of register `register` (0..7); false = it is a byte to be sent that there is no room for, and nothing has happened. A kernel that
   * prints looks for room first, but only for so long.
   */
  write(register: number, value: number): boolean {
    return this.#locked(() => {
      if (register === DATA && !this.#canSendLocked()) return false;
      this.#writeLocked(register, value & 0xff);
      this.#updateLineLocked();
      return true;
    });
  }

  /** Whether a byte to be sent would be taken now; where not, `vcpu` is woken when one would be. */
  awaitRoom(vcpu: number): boolean {
    return this.#locked(() => {
      const canSend = this.#canSendLocked();
      if (!canSend) this.#memory.set(UART.sendersWaiting, this.#memory.get(UART.sendersWaiting) | (1 << vcpu));
      return canSend;
    });
  }

  /** With the loop closed, or the divisor in its place, nothing is sent. */
  #canSendLocked(): boolean {
    return this.#memory.output.spaceBytes > 0 || this.#isDivisorAccess || this.#hasModemBits(MODEM_LOOP);
  }

  /** Takes up to `lengthMax` bytes that were sent. */
  takeOutput(lengthMax: number): Uint8Array {
    return this.#locked(() => {
      const wasFull = !this.#isTransmitterEmpty;
      const bytes = this.#memory.output.takeMany(lengthMax);
      if (this.#memory.output.lengthBytes === 0) this.#memory.set(UART.outputTold, 0);
      this.#wakeSendersLocked();
      if (wasFull && this.#isTransmitterEmpty) this.#memory.set(UART.transmitterPending, 1);
      this.#updateLineLocked();
      return bytes;
    });
  }

  #wakeSendersLocked(): void {
    const waiting = this.#memory.get(UART.sendersWaiting);
    if (waiting === 0 || !this.#canSendLocked()) return;
    this.#memory.set(UART.sendersWaiting, 0);
    for (let vcpu = 0; waiting >>> vcpu !== 0; vcpu++) if ((waiting & (1 << vcpu)) !== 0) this.#signals.wakeSender(vcpu);
  }

  /**
   * Gives bytes to the receiver; returns how many it took. Where that is not all, the doorbell rings when more may be
   * offered.
   */
  putInput(bytes: Uint8Array): number {
    return this.#locked(() => {
      const memory = this.#memory;
      const isAsked = this.#hasModemBits(MODEM_RTS) && !this.#hasModemBits(MODEM_LOOP) && memory.get(UART.receiverBusy) === 0;
      const count = isAsked ? Math.min(bytes.length, UART_INPUT_SIZE) : 0;
      for (let i = 0; i < count; i++) memory.input.put(bytes[i]!);
      if (count > 0) memory.set(UART.receiverBusy, 1);
      memory.set(UART.inputWaiting, count < bytes.length ? 1 : 0);
      this.#updateLineLocked();
      return count;
    });
  }

  #hasModemBits(bits: number): boolean {
    return (this.#memory.get(UART.modemControl) & bits) !== 0;
  }

  get #isTransmitterEmpty(): boolean {
    return this.#memory.output.spaceBytes >= BURST_BYTES;
  }

  get #isDivisorAccess(): boolean {
    return (this.#memory.get(UART.lineControl) & DIVISOR_ACCESS) !== 0;
  }

  #readLocked(register: number): number {
    const memory = this.#memory;
    switch (register) {
      case DATA:
        if (this.#isDivisorAccess) return memory.get(UART.divisor) & 0xff;
        return memory.input.lengthBytes > 0 ? memory.input.take() : 0;
      case INTERRUPT_ENABLE:
        return this.#isDivisorAccess ? memory.get(UART.divisor) >>> 8 : memory.get(UART.interruptEnable);
      case FIFO: return this.#identifyLocked();
      case LINE_CONTROL: return memory.get(UART.lineControl);
      case MODEM_CONTROL: return memory.get(UART.modemControl);
      case LINE_STATUS: return this.#lineStatusLocked();
      case MODEM_STATUS: return this.#modemStatus();
      default: return memory.get(UART.scratch);
    }
  }

  /** Reading IIR takes the transmitter's interrupt back, if that is the one it tells of. */
  #identifyLocked(): number {
    const memory = this.#memory;
    const source = this.#interruptSource();
    if (source === IDENTIFY_TRANSMITTER) memory.set(UART.transmitterPending, 0);
    if (source === IDENTIFY_NONE) {
      this.#noteEmptyLocked();
      this.#tellOfOutputLocked();
    }
    return source | ((memory.get(UART.fifoControl) & FIFO_ENABLE) === 0 ? 0 : IDENTIFY_FIFOS);
  }

  #lineStatusLocked(): number {
    const hasData = this.#memory.input.lengthBytes > 0;
    if (!hasData) this.#noteEmptyLocked();
    return (hasData ? STATUS_DATA_READY : 0) | (this.#isTransmitterEmpty ? STATUS_EMPTY : 0);
  }

  /** The guest has seen that there is nothing to receive. */
  #noteEmptyLocked(): void {
    if (this.#memory.input.lengthBytes > 0) return;
    this.#memory.set(UART.receiverBusy, 0);
    this.#askForInputLocked();
  }

  #askForInputLocked(): void {
    if (this.#memory.get(UART.inputWaiting) === 0) return;
    this.#memory.set(UART.inputWaiting, 0);
    this.#signals.ringDevice();
  }

  /** With the loop closed, the port's own outputs are its inputs. */
  #modemStatus(): number {
    if (!this.#hasModemBits(MODEM_LOOP)) return STATUS_CTS | STATUS_DSR | STATUS_DCD;
    return (this.#hasModemBits(MODEM_RTS) ? STATUS_CTS : 0) | (this.#hasModemBits(MODEM_DTR) ? STATUS_DSR : 0)
      | (this.#hasModemBits(MODEM_OUT1) ? STATUS_RI : 0) | (this.#hasModemBits(MODEM_OUT2) ? STATUS_DCD : 0);
  }

  #writeLocked(register: number, value: number): void {
    const memory = this.#memory;
    switch (register) {
      case DATA:
        if (this.#isDivisorAccess) memory.set(UART.divisor, (memory.get(UART.divisor) & 0xff00) | value);
        else this.#transmitLocked(value);
        break;
      case INTERRUPT_ENABLE:
        if (this.#isDivisorAccess) memory.set(UART.divisor, (memory.get(UART.divisor) & 0xff) | (value << 8));
        else this.#enableInterruptsLocked(value & ENABLE_ALL);
        break;
      case FIFO:
        if ((value & FIFO_CLEAR_RECEIVER) !== 0) memory.input.clear();
        memory.set(UART.fifoControl, value & FIFO_KEPT);
        break;
      case LINE_CONTROL: memory.set(UART.lineControl, value); break;
      case MODEM_CONTROL: this.#writeModemControlLocked(value & 0x1f); break;
      case SCRATCH: memory.set(UART.scratch, value); break;
    }
  }

  /** Precondition: it can be sent. A closed loop has a receiver that overruns, as every receiver does. */
  #transmitLocked(byte: number): void {
    const memory = this.#memory;
    if (this.#hasModemBits(MODEM_LOOP)) {
      if (memory.input.spaceBytes > 0) memory.input.put(byte);
    } else {
      memory.output.put(byte);
      const goesOn = (memory.get(UART.interruptEnable) & ENABLE_TRANSMITTER) !== 0 && memory.output.lengthBytes < TELL_BYTES;
      if (!goesOn) this.#tellOfOutputLocked();
    }
    memory.set(UART.transmitterPending, this.#isTransmitterEmpty ? 1 : 0);
  }

  /** Tells the device thread of the output, if it does not know yet. */
  #tellOfOutputLocked(): void {
    if (this.#memory.output.lengthBytes === 0 || this.#memory.get(UART.outputTold) !== 0) return;
    this.#memory.set(UART.outputTold, 1);
    this.#signals.ringDevice();
  }

  /** The transmitter interrupts when it is allowed to while it is empty, not only when it becomes so. */
  #enableInterruptsLocked(value: number): void {
    const memory = this.#memory;
    const changed = memory.get(UART.interruptEnable) ^ value;
    memory.set(UART.interruptEnable, value);
    this.#tellOfOutputLocked();
    if ((changed & ENABLE_TRANSMITTER) === 0) return;
    memory.set(UART.transmitterPending, (value & ENABLE_TRANSMITTER) !== 0 && this.#isTransmitterEmpty ? 1 : 0);
  }

  #writeModemControlLocked(value: number): void {
    this.#memory.set(UART.modemControl, value);
    if ((value & MODEM_RTS) !== 0) this.#askForInputLocked();
  }

  /** The most urgent reason to interrupt, as IIR names it. */
  #interruptSource(): number {
    const memory = this.#memory;
    const enabled = memory.get(UART.interruptEnable);
    const waiting = memory.input.lengthBytes;
    if ((enabled & ENABLE_RECEIVED) !== 0 && waiting > 0) {
      const control = memory.get(UART.fifoControl);
      const isAtOnce = (control & FIFO_ENABLE) === 0 || waiting >= TRIGGER_BYTES[(control >>> 6) & 3]!;
      // The FIFO's time-out is over at once: whoever types has stopped typing for that long anyway.
      return isAtOnce ? IDENTIFY_RECEIVED : IDENTIFY_TIMEOUT;
    }
    const isTransmitter = (enabled & ENABLE_TRANSMITTER) !== 0 && memory.get(UART.transmitterPending) !== 0;
    return isTransmitter ? IDENTIFY_TRANSMITTER : IDENTIFY_NONE;
  }

  /** On a PC the interrupt goes through OUT2, and a closed loop keeps it in. */
  #updateLineLocked(): void {
    const isThrough = this.#hasModemBits(MODEM_OUT2) && !this.#hasModemBits(MODEM_LOOP);
    const isHigh = isThrough && this.#interruptSource() !== IDENTIFY_NONE;
    if (isHigh === (this.#memory.get(UART.line) !== 0)) return;
    this.#memory.set(UART.line, isHigh ? 1 : 0);
    this.#signals.setLine(isHigh);
  }
}
