/**
 * Packets of gdb's remote serial protocol ("Debugging with GDB", appendix E "Overview"): `$data#checksum`, with `}` in front of bytes that stand for
 * something else. Data is kept as a string of characters 0 to 255, one a byte.
 */

/** Most bytes of data in a packet, either way; told to gdb, which cuts what it reads and writes to it. */
export const PACKET_BYTES_MAX = 0x4000;

const START = 0x24;
const END = 0x23;
const ESCAPE = 0x7d;
const ESCAPE_BIT = 0x20;
const REPEAT = 0x2a;
const INTERRUPT = 3;
const ACKNOWLEDGE = 0x2b;
const REJECT = 0x2d;

/** What comes from gdb. `data` undefined = the packet was longer than PACKET_BYTES_MAX. */
export type PacketEvent =
  | { readonly kind: "packet"; readonly data: string | undefined; readonly isIntact: boolean }
  | { readonly kind: "interrupt" | "acknowledged" | "rejected" };

/** Takes a stream of bytes apart. Bytes outside packets that mean nothing are passed over. */
export class PacketReader {
  #state: "outside" | "data" | "escaped" | "checksum" | "last" = "outside";
  #data: number[] = [];
  #isTooLong = false;
  #sum = 0;
  #digits = "";

  /** What is complete with the next `bytes`, in order. */
  read(bytes: Uint8Array): PacketEvent[] {
    const events: PacketEvent[] = [];
    for (const byte of bytes) {
      const event = this.#take(byte);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #take(byte: number): PacketEvent | undefined {
    if (this.#state === "outside") return this.#takeOutside(byte);
    if (this.#state === "checksum" || this.#state === "last") return this.#takeChecksum(byte);
    if (byte === START) {
      // The packet before was cut off.
      this.#begin();
      return undefined;
    }
    if (byte === END && this.#state === "data") {
      this.#state = "checksum";
      return undefined;
    }
    this.#sum = (this.#sum + byte) & 0xff;
    if (byte === ESCAPE && this.#state === "data") this.#state = "escaped";
    else {
      this.#keep(this.#state === "escaped" ? byte ^ ESCAPE_BIT : byte);
      this.#state = "data";
    }
    return undefined;
  }

  #takeOutside(byte: number): PacketEvent | undefined {
    switch (byte) {
      case START: this.#begin(); return undefined;
      case INTERRUPT: return { kind: "interrupt" };
      case ACKNOWLEDGE: return { kind: "acknowledged" };
      case REJECT: return { kind: "rejected" };
      default: return undefined;
    }
  }

  #takeChecksum(byte: number): PacketEvent | undefined {
    this.#digits += String.fromCharCode(byte);
    if (this.#state === "checksum") {
      this.#state = "last";
      return undefined;
    }
    this.#state = "outside";
    const isIntact = /^[\da-f]{2}$/i.test(this.#digits) && Number.parseInt(this.#digits, 16) === this.#sum;
    return { kind: "packet", data: this.#isTooLong ? undefined : textOf(this.#data), isIntact };
  }

  #begin(): void {
    this.#state = "data";
    this.#data = [];
    this.#isTooLong = false;
    this.#sum = 0;
    this.#digits = "";
  }

  #keep(byte: number): void {
    if (this.#data.length < PACKET_BYTES_MAX) this.#data.push(byte);
    else this.#isTooLong = true;
  }
}

/** The bytes of a packet with `data` (characters 0 to 255). */
export function encodePacket(data: string): Uint8Array {
  const bytes: number[] = [START];
  let sum = 0;
  const put = (byte: number): void => {
    bytes.push(byte);
    sum = (sum + byte) & 0xff;
  };
  for (const byte of bytesOf(data)) {
    const isSpecial = byte === START || byte === END || byte === ESCAPE || byte === REPEAT;
    if (isSpecial) put(ESCAPE);
    put(isSpecial ? byte ^ ESCAPE_BIT : byte);
  }
  bytes.push(END, ...bytesOf(sum.toString(16).padStart(2, "0")));
  return Uint8Array.from(bytes);
}

/** The bytes that the characters of `text` stand for. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** One character a byte. */
export function textOf(bytes: ArrayLike<number>): string {
  let text = "";
  for (let index = 0; index < bytes.length; index++) text += String.fromCharCode(bytes[index]!);
  return text;
}

/** Two hexadecimal digits a byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of hexadecimal digits; undefined = they are none, or an odd number of them. */
export function fromHex(digits: string): Uint8Array | undefined {
  if (digits.length % 2 !== 0 || !/^[\da-f]*$/i.test(digits)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) => Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16));
}
