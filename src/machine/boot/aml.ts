/** Writes the few constructs of ACPI machine language that our DSDT consists of (ACPI 5.1 chapter 20; resources: §6.4). */

const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const DWORD_PREFIX = 0x0c;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXTENDED_PREFIX = 0x5b;
const DEVICE_OP = 0x82;
const ROOT = 0x5c;
/** Small resource item: I/O port, 7 bytes, 16-bit decoding. */
const IO_PORT_ITEM = 0x47;
const DECODE_16 = 1;
/** Large resource item: extended interrupt; consumer, edge, active high, exclusive. */
const INTERRUPT_ITEM = 0x89;
const INTERRUPT_FLAGS = 0x03;
const END_TAG = 0x79;

/** A piece of code, byte by byte. */
export type Aml = readonly number[];

/** Scope (\NAME) { ... }; `name` has four characters. */
export function amlRootScope(name: string, body: Aml): Aml {
  return [SCOPE_OP, ...withLength([ROOT, ...nameSegment(name), ...body])];
}

/** Device (NAME) { ... } */
export function amlDevice(name: string, body: Aml): Aml {
  return [EXTENDED_PREFIX, DEVICE_OP, ...withLength([...nameSegment(name), ...body])];
}

/** Name (NAME, value); `isRoot` puts it under the root wherever it stands. */
export function amlName(name: string, value: Aml, isRoot = false): Aml {
  return [NAME_OP, ...(isRoot ? [ROOT] : []), ...nameSegment(name), ...value];
}

/** A number from 0 to 255. */
export function amlByte(value: number): Aml {
  return [BYTE_PREFIX, value];
}

/** Package () { ... } of up to 255 values. */
export function amlPackage(values: readonly Aml[]): Aml {
  return [PACKAGE_OP, ...withLength([values.length, ...values.flat()])];
}

/** EisaId ("AAANNNN"): three letters of five bits, then four hexadecimal digits, high byte first. */
export function amlEisaId(id: string): Aml {
  const letters = [...id.slice(0, 3)].reduce((value, letter) => (value << 5) | (letter.charCodeAt(0) - 0x40), 0);
  const digits = Number.parseInt(id.slice(3), 16);
  return [DWORD_PREFIX, letters >>> 8, letters & 0xff, digits >>> 8, digits & 0xff];
}

/**
 * ResourceTemplate () { IO (Decode16, port ... ) }, and, with `input`, Interrupt (ResourceConsumer, Edge, ActiveHigh,
 * Exclusive) { input }.
 */
export function amlResources({ port, count, input }: { readonly port: number; readonly count: number; readonly input?: number }): Aml {
  const low = port & 0xff;
  const high = port >>> 8;
  const interrupt = input === undefined ? [] : [INTERRUPT_ITEM, 6, 0, INTERRUPT_FLAGS, 1, input, 0, 0, 0];
  const items = [IO_PORT_ITEM, DECODE_16, low, high, low, high, 1, count, ...interrupt, END_TAG, 0];
  return [BUFFER_OP, ...withLength([...amlByte(items.length), ...items])];
}

function nameSegment(name: string): Aml {
  if (!/^[A-Z_][A-Z0-9_]{3}$/.test(name)) throw new Error(`expected an ACPI name of four characters, got ${name}`);
  return [...name].map((letter) => letter.charCodeAt(0));
}

/** PkgLength, which counts itself, and then what it counts (§20.2.4). */
function withLength(body: Aml): Aml {
  if (body.length + 1 < 0x40) return [body.length + 1, ...body];
  const twoBytes = body.length + 2;
  if (twoBytes < 0x1000) return [0x40 | (twoBytes & 0xf), twoBytes >>> 4, ...body];
  throw new Error(`expected a short ACPI package, got ${body.length} bytes`);
}
