/** Writes tables of symbols as scripts/kallsyms.c does, for tests. */

/** How a kernel's build wrote its table. */
export interface KallsymsForm {
  /** Linux 6.4 and later: the offsets come last. */
  readonly offsetsLast: boolean;
  /** Linux 6.2 and later: three bytes a symbol, behind the markers or at the end. */
  readonly hasSequence: boolean;
  /** Up to Linux 6.14: KALLSYMS_ABSOLUTE_PERCPU. */
  readonly areNegated: boolean;
}

/** A symbol, by its letter of nm. */
export interface NamedAddress {
  readonly address: bigint;
  readonly type: string;
  readonly name: string;
}

const TOKEN_COUNT = 256;
/** A token of its own for what many names have in common. */
const COMMON = "sys_";
const COMMON_TOKEN = 0xf7;

/** The table of `symbols`, with `noise` bytes of other data in front and behind; symbols below `base` are per-CPU variables. */
export function kallsymsImage(symbols: readonly NamedAddress[], base: bigint, form: KallsymsForm): Uint8Array {
  const writer = new ImageWriter();
  writer.noise();
  const offsets = (): void => {
    writer.words(symbols.map(({ address }) => offsetOf(address, base, form.areNegated)));
    writer.words([Number(base & 0xffff_ffffn), Number(base >> 32n)]);
  };
  const sequence = (): void => {
    if (form.hasSequence) writer.bytes(symbols.flatMap((_, index) => [index & 255, (index >> 8) & 255, 0x11]));
  };
  if (!form.offsetsLast) offsets();
  writer.words([symbols.length]);
  const names = symbols.map(({ type, name }) => encode(type + name));
  writer.bytes(names.flat());
  writer.words(markers(names));
  if (!form.offsetsLast) sequence();
  const tokens = Array.from({ length: TOKEN_COUNT }, (_, code) => (code === COMMON_TOKEN ? COMMON : String.fromCharCode(code < 0x21 || code > 0x7e ? 0x61 : code)));
  writer.bytes(tokens.flatMap((token) => [...bytesOf(token), 0]));
  writer.bytes(tokens.map((_, code) => tokens.slice(0, code).reduce((sum, token) => sum + token.length + 1, 0)).flatMap((at) => [at & 255, at >> 8]));
  if (form.offsetsLast) {
    offsets();
    sequence();
  }
  writer.noise();
  return Uint8Array.from(writer.out);
}

function offsetOf(address: bigint, base: bigint, areNegated: boolean): number {
  if (!areNegated) return Number(address - base);
  return address < base ? Number(address) : -1 - Number(address - base);
}

function encode(text: string): number[] {
  const codes = text.split(COMMON).flatMap((part, index) => [...(index === 0 ? [] : [COMMON_TOKEN]), ...bytesOf(part)]);
  return codes.length < 0x80 ? [codes.length, ...codes] : [(codes.length & 0x7f) | 0x80, codes.length >> 7, ...codes];
}

/** Where every 256th name begins. */
function markers(names: readonly (readonly number[])[]): number[] {
  const starts: number[] = [];
  names.reduce((at, name, index) => {
    if (index % 256 === 0) starts.push(at);
    return at + name.length;
  }, 0);
  return starts;
}

const bytesOf = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

/** Parts, each at a multiple of 8. */
class ImageWriter {
  readonly out: number[] = [];

  bytes(values: readonly number[]): void {
    for (const value of values) this.out.push(value & 255);
    while (this.out.length % 8 !== 0) this.out.push(0);
  }

  words(values: readonly number[]): void {
    this.bytes(values.flatMap((value) => [value, value >> 8, value >> 16, value >> 24]));
  }

  /** Text with digits, and numbers that could be counts of symbols. */
  noise(): void {
    this.bytes(bytesOf("0\u00001\u00002\u00003\u00004\u00005\u00006\u00007\u00008\u00009\u0000 and so on"));
    this.words([1200, 0, 5000, 0, 77]);
  }
}
