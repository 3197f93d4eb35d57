/** Finite state entropy tables of Zstandard (RFC 8878 §4.1). */

import { bitsAt, highBit } from "./zstd-bits.js";

/** A decoding table: by state, its symbol, and how the next state follows. */
export interface FseTable {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  /** Bits to read for the next state. */
  readonly bitCounts: Uint8Array;
  /** What those bits are added to. */
  readonly bases: Uint16Array;
}

/** A table with one state only, that gives `symbol` for ever. */
export function makeRleTable(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bitCounts: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** Reads a table description at `start`; returns the table and the index behind the description. */
export function readFseTable(bytes: Uint8Array, start: number, end: number, accuracyMax: number): { table: FseTable; end: number } {
  const accuracy = (bytes[start]! & 15) + 5;
  if (start >= end || accuracy > accuracyMax) throw new Error("zstd table accuracy out of range");
  let bit = start * 8 + 4;
  let remaining = 1 << accuracy;
  const counts: number[] = [];
  while (remaining > 0) {
    const bitCount = highBit(remaining + 1) + 1;
    const value = bitsAt(bytes, bit) & ((1 << bitCount) - 1);
    const low = value & ((1 << (bitCount - 1)) - 1);
    const spare = (1 << bitCount) - 2 - remaining;
    // Small values take one bit less.
    const isShort = low < spare;
    const count = (isShort ? low : value >= 1 << (bitCount - 1) ? value - spare : value) - 1;
    bit += isShort ? bitCount - 1 : bitCount;
    remaining -= Math.abs(count);
    counts.push(count);
    if (count === 0) {
      let zeros: number;
      do {
        zeros = bitsAt(bytes, bit) & 3;
        bit += 2;
        for (let i = 0; i < zeros; i++) counts.push(0);
      } while (zeros === 3 && counts.length <= 256);
    }
    if (counts.length > 256 || bit > end * 8) throw new Error("zstd table cut short");
  }
  if (remaining < 0) throw new Error("zstd table counts out of range");
  return { table: makeFseTable(counts, accuracy), end: (bit + 7) >> 3 };
}

/** Builds the table for symbols with these counts, that sum up to 2^accuracy (-1 counts as one, with the longest code). */
export function makeFseTable(counts: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  counts.forEach((count, symbol) => {
    next[symbol] = Math.abs(count);
    if (count < 0) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position >= high);
    }
  });
  const bitCounts = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const value = next[symbols[state]!]!++;
    bitCounts[state] = accuracy - highBit(value);
    bases[state] = (value << bitCounts[state]!) - size;
  }
  return { accuracy, symbols, bitCounts, bases };
}
