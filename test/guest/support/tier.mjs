/**
 * UNPINNED_TIER, the tier that all guests of the tests run with (as --tier; absent = the default, both): how they come to have it, and how much longer they may
 * take with it. Tests of one tier in particular name theirs themselves.
 */
import { TIERS } from "../../../dist/machine/index.js";

/** @typedef {import("../../../dist/machine/index.js").Tier} Tier */

/**
 * A limit of time is told for the default tier; for another it is so many times as long. It is there to end what hangs, so it is generous. The interpreter alone takes up to three
 * times as long for what runs hot; the translator alone takes five times the processor's time for a boot, most of it for compiling what runs once.
 */
const SLOWNESS = { both: 1, interpreter: 3, translator: 10 };

const wanted = process.env["UNPINNED_TIER"];
const tier = TIERS.find((name) => name === wanted);
if (wanted !== undefined && tier === undefined) throw new Error(`UNPINNED_TIER is "${wanted}", and there are ${TIERS.join(", ")}`);

/** For VirtualMachine.create. @type {{ tier?: Tier }} */
export const tierOptions = tier === undefined ? {} : { tier };

/** For `unpinned run`. */
export const tierWords = tier === undefined ? [] : ["--tier", tier];

/** The limit of time that is `limit` with the default tier, in whatever unit. @param {number} limit */
export function timeLimit(limit) {
  return limit * SLOWNESS[tier ?? "both"];
}

/**
 * The limit of the load of an idle guest that is `limit` with the default tier, in whatever unit. The translator alone compiles whatever such a guest still wakes up for, some
 * five regions a second; a guest that polls is a whole processor's load with any tier.
 * @param {number} limit
 */
export function idleLoadLimit(limit) {
  return tier === "translator" ? 5 * limit : limit;
}

/** How many instructions a guest has run, by whichever tier. @param {import("../../../dist/machine/index.js").MachineStats} stats */
export function instructionsOf({ instructions }) {
  return instructions.interpreter + instructions.translator;
}
