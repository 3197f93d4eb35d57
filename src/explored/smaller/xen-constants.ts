/** Xen's constants with fewer event channels, so that a walk over all of them is a few steps: what explored modules import instead. */
export * from "../../abi/xen/index.js";

/** A multiple of 32. */
export const EVTCHN_2L_NR_CHANNELS = 32;
