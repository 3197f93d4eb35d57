/**
 * The table of symbols that a Linux kernel carries for itself (CONFIG_KALLSYMS), read from its unpacked image. Follows scripts/kallsyms.c
 * and kernel/kallsyms.c of Linux 4.20 to 6.16.
 *
 *   up to 6.3   offsets · relative_base · num_syms · names · markers · (seqs_of_names) · token_table · token_index
 *   from 6.4    num_syms · names · markers · token_table · token_index · offsets · relative_base · seqs_of_names
 *
 * Every part begins at a multiple of 8. Nothing points to them in a stripped image, so they are found by what they must look like: the
 * tokens of the digits stand in a row, the index says where each token begins, and the names are num_syms runs of tokens.
 */
import type { KernelSegment } from "../boot/index.js";
import { readAddress, readU16, readU32 } from "../boot/little-endian.js";
import type { SymbolList } from "./symbol-table.js";

const TOKEN_COUNT = 256;
const DIGIT_ZERO = 0x30;
const DIGITS = [..."0123456789"].flatMap((digit) => [digit.charCodeAt(0), 0]);
/** Bytes of all tokens at most: kallsyms_token_index has 16 bits. */
const TOKEN_TABLE_BYTES_MAX = 0x1_0000;
const SYMBOLS_MIN = 1000;
const SYMBOLS_MAX = 1_000_000;
/** The names of the largest kernels take 3 MiB; the rest is room. */
const NAMES_BYTES_MAX = 16 << 20;
/** Longest token, as kallsyms' reader has it, and what a name takes about. */
const TOKEN_BYTES_MAX = 128;
const NAME_BYTES_GUESS = 32;
const NAME_END = "\n";
const KERNEL_HALF = 0xffff_ffff;

interface Tokens {
  /** Offset of the token table, and of what is behind the token index. */
  readonly start: number;
  readonly end: number;
  readonly texts: readonly Uint8Array[];
}

interface Names {
  /** Offset of num_syms. */
  readonly start: number;
  readonly types: string;
  readonly names: readonly string[];
}

/** The symbols in `segments`, in the order of their addresses; undefined = the kernel has no such table, or one of a form not known here. */
export function readKallsyms(segments: readonly Pick<KernelSegment, "bytes">[]): SymbolList | undefined {
  for (const { bytes } of segments) {
    const image = new Image(bytes);
    for (let at = image.find(DIGITS, 0); at >= 0; at = image.find(DIGITS, at + 1)) {
      const tokens = image.tokensAround(at);
      const names = tokens && image.namesBefore(tokens);
      const symbols = tokens && names && image.symbols(tokens, names);
      if (symbols !== undefined) return symbols;
    }
  }
  return undefined;
}

/** Letters, and "?". */
function isTypeLetter(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x3f;
}

function grown(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2);
  larger.set(bytes);
  return larger;
}

const alignUp = (offset: number): number => Math.ceil(offset / 8) * 8;

/** One segment. Offsets are multiples of 8 where the kernel's addresses are, because segments begin at pages. */
class Image {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  find(pattern: readonly number[], from: number): number {
    const bytes = this.#bytes;
    const [first, , third] = pattern;
    for (let at = bytes.indexOf(first!, from); at >= 0; at = bytes.indexOf(first!, at + 1)) {
      if (bytes[at + 2] === third && pattern.every((byte, index) => bytes[at + index] === byte)) return at;
    }
    return -1;
  }

  /** The token table whose tokens of the digits stand at `digits`, if the index behind it says the same. */
  tokensAround(digits: number): Tokens | undefined {
    let second = digits;
    for (let token = DIGIT_ZERO; token > 1; token--) {
      do second--; while (second > 0 && this.#bytes[second - 1] !== 0);
      if (second <= 0 || digits - second > TOKEN_TABLE_BYTES_MAX) return undefined;
    }
    // What stands before token 0 need not end with a zero, but the table begins at a multiple of 8.
    const before = this.#bytes.lastIndexOf(0, second - 2);
    for (let start = alignUp(before + 1); start < second - 1; start += 8) {
      const tokens = this.#tokensAt(start);
      if (tokens !== undefined) return tokens;
    }
    return undefined;
  }

  #tokensAt(start: number): Tokens | undefined {
    const starts: number[] = [];
    const texts: Uint8Array[] = [];
    let at = start;
    for (let token = 0; token < TOKEN_COUNT; token++) {
      const end = this.#bytes.indexOf(0, at);
      if (end < 0 || end - start > TOKEN_TABLE_BYTES_MAX) return undefined;
      starts.push(at - start);
      texts.push(this.#bytes.subarray(at, end));
      at = end + 1;
    }
    const index = alignUp(at);
    if (index + TOKEN_COUNT * 2 > this.#bytes.length) return undefined;
    if (!starts.every((offset, token) => readU16(this.#bytes, index + token * 2) === offset)) return undefined;
    return { start, end: index + TOKEN_COUNT * 2, texts };
  }

  /** The names: the last num_syms before the tokens behind which that many runs of tokens stand. */
  namesBefore({ start, texts }: Tokens): Names | undefined {
    for (let at = Math.floor(start / 8) * 8 - 16; at >= 0 && at > start - NAMES_BYTES_MAX; at -= 8) {
      const count = readU32(this.#bytes, at);
      if (count < SYMBOLS_MIN || count > SYMBOLS_MAX || readU32(this.#bytes, at + 4) !== 0) continue;
      const expanded = this.#expand(at + 8, count, start, texts);
      if (expanded === undefined) continue;
      const names = expanded.split(NAME_END, count);
      return { start: at, types: names.map((name) => name[0]!).join(""), names: names.map((name) => name.slice(1)) };
    }
    return undefined;
  }

  /** The names of `count` symbols from `start` on, each with its type letter in front and a line's end behind; undefined = these are no names. */
  #expand(start: number, count: number, end: number, texts: readonly Uint8Array[]): string | undefined {
    const bytes = this.#bytes;
    let out = new Uint8Array(count * NAME_BYTES_GUESS);
    let length = 0;
    for (let symbol = 0, at = start; symbol < count; symbol++) {
      let tokens = bytes[at++]!;
      // Since 6.1 a length above 127 has a second byte.
      if ((tokens & 0x80) !== 0) tokens = (tokens & 0x7f) | (bytes[at++]! << 7);
      if (tokens === 0 || at + tokens > end || !isTypeLetter(texts[bytes[at]!]![0]!)) return undefined;
      if (length + tokens * TOKEN_BYTES_MAX + 1 > out.length) out = grown(out);
      for (const last = at + tokens; at < last; at++) {
        const text = texts[bytes[at]!]!;
        // Tokens are short: a copy byte by byte is faster than a call.
        for (let index = 0; index < text.length; index++) out[length++] = text[index]!;
      }
      out[length++] = NAME_END.charCodeAt(0);
    }
    return new TextDecoder("latin1").decode(out.subarray(0, length));
  }

  symbols(tokens: Tokens, { start, types, names }: Names): SymbolList | undefined {
    const bytesOfOffsets = alignUp(names.length * 4);
    const places = [
      { offsets: start - 8 - bytesOfOffsets, base: start - 8 },
      { offsets: alignUp(tokens.end), base: alignUp(tokens.end) + bytesOfOffsets },
    ];
    const place = places.find(({ offsets, base }) => this.#isBase(offsets, base));
    if (place === undefined) return undefined;
    const base = readAddress(this.#bytes, place.base);
    const offsets = Int32Array.from(names, (_, index) => readU32(this.#bytes, place.offsets + index * 4));
    // With KALLSYMS_ABSOLUTE_PERCPU an offset from the base is stored as -1 - offset, and what is positive is an absolute value.
    const areNegated = offsets.filter((offset) => offset < 0).length > offsets.length / 2;
    const addresses = new BigUint64Array(names.length);
    offsets.forEach((offset, index) => {
      addresses[index] = !areNegated ? base + BigInt(offset >>> 0) : offset >= 0 ? BigInt(offset) : base - BigInt(1 + offset);
    });
    return { addresses, types, names };
  }

  /** Whether a kernel's address stands at `base`; the first offset counts from it. */
  #isBase(offsets: number, base: number): boolean {
    return offsets >= 0 && base + 8 <= this.#bytes.length && readU32(this.#bytes, base + 4) === KERNEL_HALF;
  }
}
