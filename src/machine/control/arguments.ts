/** The arguments of the commands: their names for people, and how they are read. */
import { BLOCK_LIMIT, GFN_LIMIT, STORM_RATE_LIMIT, type StormRate } from "../memory/index.js";
import { ControlUsageError } from "./errors.js";

/** A kind of argument. */
export interface ArgumentKind<Value> {
  /** As the help names it. */
  readonly name: string;
  /** Reads it. Throws ControlUsageError. */
  parse(text: string): Value;
}

/** A guest frame number, or all of them. */
export const GFN_OR_ALL: ArgumentKind<number | "all"> = {
  name: "GFN|all",
  parse: (text) => (text === "all" ? text : parseNumber(text, GFN_LIMIT, "a guest frame number (address / 4096), decimal or 0x…, or all")),
};

/** A memory block. */
export const BLOCK: ArgumentKind<number> = {
  name: "BLOCK",
  parse: (text) => parseNumber(text, BLOCK_LIMIT, "the number of a memory block (memory show lists them)"),
};

/** A share of the memory. */
export const PERCENT: ArgumentKind<number> = {
  name: "PERCENT",
  parse(text) {
    const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : NaN;
    if (!(percent <= 100)) throw new ControlUsageError(`"${text}" is no number from 0 to 100`);
    return percent;
  },
};

/** How fast a storm moves pages. */
export const RATE: ArgumentKind<StormRate> = {
  name: "N|max|off",
  parse(text) {
    if (text === "max") return text;
    return text === "off" ? 0 : parseNumber(text, STORM_RATE_LIMIT + 1, `a number of moves a second up to ${STORM_RATE_LIMIT}, max or off`);
  },
};

/** A whole number from 0 to `limit` - 1, decimal or hexadecimal; `what` says in the error what is asked for. */
function parseNumber(text: string, limit: number, what: string): number {
  const value = /^(\d+|0x[\da-f]+)$/.test(text) ? Number(text) : NaN;
  if (!(value < limit)) throw new ControlUsageError(`"${text}" is not ${what}`);
  return value;
}
