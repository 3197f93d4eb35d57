/** The literals of a Zstandard block (RFC 8878 §3.1.1.3.1), most of them in Huffman code (§4.2). */

import { bitsAt, highBit, lastBit } from "./zstd-bits.js";
import { readFseTable } from "./zstd-fse.js";

const LITERALS_RAW = 0;
const LITERALS_RLE = 1;
const LITERALS_COMPRESSED = 2;
const CODE_BITS_MAX = 11;
const WEIGHTS_ACCURACY_MAX = 6;
/** No block gives more. */
const LITERALS_BYTES_MAX = 128 << 10;

/** Huffman decoding table: by the next `bits` bits, symbol (low byte) and the bits its code has. */
interface HuffmanTable {
  readonly bits: number;
  readonly entries: Uint16Array;
}

/** The literals of the current block; the code of the last one, which a block may use again. */
export interface LiteralsState {
  readonly bytes: Uint8Array;
  length: number;
  huffman: HuffmanTable | undefined;
}

/** Makes the state with which a frame begins. */
export function makeLiteralsState(): LiteralsState {
  return { bytes: new Uint8Array(LITERALS_BYTES_MAX), length: 0, huffman: undefined };
}

/** Reads the literals section at `start` into `state`; returns the index behind it. */
export function readLiterals(bytes: Uint8Array, start: number, end: number, state: LiteralsState): number {
  const type = bytes[start]! & 3;
  const format = (bytes[start]! >> 2) & 3;
  if (type === LITERALS_RAW || type === LITERALS_RLE) return readPlainLiterals(bytes, start, end, state);

  // Two lengths of 10, 10, 14 or 18 bits behind the first four.
  const lengthBits = [10, 10, 14, 18][format]!;
  const headerBytes = [3, 3, 4, 5][format]!;
  const length = bitsAt(bytes, start * 8 + 4) & ((1 << lengthBits) - 1);
  const packedLength = bitsAt(bytes, start * 8 + 4 + lengthBits) & ((1 << lengthBits) - 1);
  let at = start + headerBytes;
  const packedEnd = at + packedLength;
  if (packedEnd > end || length > LITERALS_BYTES_MAX) throw new Error("zstd literals out of range");
  if (type === LITERALS_COMPRESSED) {
    const read = readHuffmanTable(bytes, at, packedEnd);
    state.huffman = read.table;
    at = read.end;
  }
  if (!state.huffman) throw new Error("zstd literals without a code");
  state.length = length;
  if (format === 0) readHuffmanStream(bytes, { start: at, end: packedEnd }, state.huffman, state.bytes.subarray(0, length));
  else readFourStreams(bytes, { start: at, end: packedEnd }, state.huffman, state.bytes.subarray(0, length));
  return packedEnd;
}

function readPlainLiterals(bytes: Uint8Array, start: number, end: number, state: LiteralsState): number {
  const isRle = (bytes[start]! & 3) === LITERALS_RLE;
  const format = (bytes[start]! >> 2) & 3;
  const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
  const header = bitsAt(bytes, start * 8);
  const length = headerBytes === 1 ? (header & 0xff) >> 3 : headerBytes === 2 ? (header & 0xffff) >> 4 : (header & 0xff_ffff) >> 4;
  const at = start + headerBytes;
  const next = at + (isRle ? 1 : length);
  if (next > end || length > LITERALS_BYTES_MAX) throw new Error("zstd literals out of range");
  if (isRle) state.bytes.fill(bytes[at]!, 0, length);
  else state.bytes.set(bytes.subarray(at, next));
  state.length = length;
  return next;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Reads four streams, whose lengths stand before them (three u16; the last one fills the rest). */
function readFourStreams(bytes: Uint8Array, { start, end }: Range, table: HuffmanTable, output: Uint8Array): void {
  const part = (output.length + 3) >> 2;
  if (start + 6 > end || part * 3 > output.length) throw new Error("zstd literals out of range");
  let at = start + 6;
  for (let n = 0; n < 4; n++) {
    const next = n < 3 ? at + (bytes[start + 2 * n]! | (bytes[start + 2 * n + 1]! << 8)) : end;
    if (next > end) throw new Error("zstd literals out of range");
    readHuffmanStream(bytes, { start: at, end: next }, table, output.subarray(part * n, n < 3 ? part * (n + 1) : output.length));
    at = next;
  }
}

function readHuffmanStream(bytes: Uint8Array, { start, end }: Range, { bits, entries }: HuffmanTable, output: Uint8Array): void {
  const firstBit = start * 8;
  const mask = (1 << bits) - 1;
  const length = output.length;
  let bit = lastBit(bytes, start, end);
  let to = 0;
  // Two symbols of at most 11 bits each from one look at 25 bits.
  for (; to + 2 <= length && bit >= firstBit; to += 2) {
    const window = bitsAt(bytes, bit - 2 * bits);
    const first = entries[(window >>> bits) & mask]!;
    const firstBits = first >>> 8;
    const second = entries[(window >>> (bits - firstBits)) & mask]!;
    output[to] = first;
    output[to + 1] = second;
    bit -= firstBits + (second >>> 8);
  }
  if (to < length && bit >= firstBit) {
    const entry = entries[bitsAt(bytes, bit - bits) & mask]!;
    output[to++] = entry;
    bit -= entry >>> 8;
  }
  if (to !== length || bit !== firstBit) throw new Error("zstd literals do not end where they should");
}

function readHuffmanTable(bytes: Uint8Array, start: number, end: number): { table: HuffmanTable; end: number } {
  if (start >= end) throw new Error("zstd code cut short");
  const header = bytes[start]!;
  const weights: number[] = [];
  let next: number;
  if (header >= 128) {
    const count = header - 127;
    next = start + 1 + ((count + 1) >> 1);
    for (let i = 0; i < count; i++) {
      const pair = bytes[start + 1 + (i >> 1)]!;
      weights.push(i & 1 ? pair & 15 : pair >> 4);
    }
  } else {
    next = start + 1 + header;
    if (next <= end) readWeights(bytes, { start: start + 1, end: next }, weights);
  }
  if (next > end) throw new Error("zstd code cut short");
  return { table: makeHuffmanTable(weights), end: next };
}

/** Reads weights that are packed with a table of their own: two states take turns until the bits are used up. */
function readWeights(bytes: Uint8Array, { start, end }: Range, weights: number[]): void {
  const { table, end: streamStart } = readFseTable(bytes, start, end, WEIGHTS_ACCURACY_MAX);
  const firstBit = streamStart * 8;
  let bit = lastBit(bytes, streamStart, end);
  const states = [0, 0];
  for (let n = 0; n < 2; n++) {
    bit -= table.accuracy;
    states[n] = bitsAt(bytes, bit) & ((1 << table.accuracy) - 1);
  }
  if (bit < firstBit) throw new Error("zstd code cut short");
  for (let n = 0; weights.length < 255; n ^= 1) {
    const state = states[n]!;
    weights.push(table.symbols[state]!);
    const bitCount = table.bitCounts[state]!;
    bit -= bitCount;
    if (bit < firstBit) {
      weights.push(table.symbols[states[n ^ 1]!]!);
      return;
    }
    states[n] = table.bases[state]! + (bitsAt(bytes, bit) & ((1 << bitCount) - 1));
  }
  throw new Error("zstd code has too many weights");
}

function makeHuffmanTable(weights: number[]): HuffmanTable {
  const total = weights.reduce((sum, weight) => sum + (weight > 0 ? 2 ** (weight - 1) : 0), 0);
  if (total === 0 || total >= 1 << CODE_BITS_MAX || weights.length > 255) throw new Error("zstd code out of range");
  // The weight of the last symbol is what is missing to a power of two.
  const bits = highBit(total) + 1;
  const missing = (1 << bits) - total;
  if (missing & (missing - 1)) throw new Error("zstd code is incomplete");
  const all = [...weights, highBit(missing) + 1];
  const entries = new Uint16Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++) {
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue;
      const span = 1 << (weight - 1);
      entries.fill(symbol | ((bits + 1 - weight) << 8), at, at + span);
      at += span;
    }
  }
  return { bits, entries };
}
