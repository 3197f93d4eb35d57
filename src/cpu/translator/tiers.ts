/** How much is translated, as users choose it. */
import { HEAT_OF_SAMPLE } from "../../abi/layout.js";
import type { TranslationService } from "./translate.js";
import type { TranslatorOptions } from "./translator.js";

/**
 * "interpreter": nothing is translated. "both": what runs often enough to repay it. "translator": everything that has been seen once, which
 * is slower, and is there to test translated code with.
 */
export const TIERS = ["both", "interpreter", "translator"] as const;
export type Tier = (typeof TIERS)[number];
export const TIER_DEFAULT: Tier = "both";

/**
 * Instructions between two samples, and samples: a trace is translated after about two million instructions that ran in it, together with those of its neighbours that were
 * sampled once, or for which regions have been left eight times.
 */
const WHEN_HOT = { samplePart: 8192, hotSamples: 224, warmHeat: 8 } as const;
/** With regions of whatever the trace leads to, sampled or not, each trace was in thirty regions, and most of a boot's time went into their compilation. */
const AT_ONCE = { samplePart: 2048, hotSamples: 1, warmHeat: HEAT_OF_SAMPLE } as const;

/** The options of a vCPU's translator for `tier`, as TranslatorOptions has them; undefined = there is none. */
export function translatorOptions(tier: Tier, service: TranslationService, collectGarbage: () => void): TranslatorOptions | undefined {
  return tier === "interpreter" ? undefined : { ...(tier === "both" ? WHEN_HOT : AT_ONCE), service, collectGarbage };
}
