/** What a storm's rate may be. */
import { InvalidOptionError } from "../errors.js";
import type { StormRate } from "./storm-pace.js";

/** Highest number of moves a second that can be asked for; more than any host reaches. */
export const STORM_RATE_LIMIT = 10_000_000;

/** Throws InvalidOptionError, which names the option `name`, unless `rate` is "max" or a whole number from 0 to the limit. */
export function checkStormRate(name: string, rate: StormRate): void {
  if (rate === "max" || (Number.isInteger(rate) && rate >= 0 && rate <= STORM_RATE_LIMIT)) return;
  throw new InvalidOptionError(`${name} must be "max" or a whole number from 0 to ${STORM_RATE_LIMIT}, got ${rate}`);
}
