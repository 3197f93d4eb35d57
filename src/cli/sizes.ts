/** Sizes and counts on the command line. */
import { UsageError } from "./errors.js";

const SUFFIXES: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Bytes of a size such as 256M, given to `option`. Throws UsageError unless it is a whole number of bytes. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match === null ? NaN : Number(match[1]) * SUFFIXES[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${option}: "${text}" is no size: give one such as 256M`);
  return bytes;
}

/** A whole number from `least` to `most`, given to `option`. Throws UsageError. */
export function parseWhole(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) throw new UsageError(`${option}: "${text}" is no whole number from ${least} to ${most}`);
  return value;
}
