/** Words by which requests.test.ts and its threads talk, in a part of the VM block that nobody else uses. */
import { VM_BLOCK_BASE } from "../../abi/layout.js";

const word = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + index * 16;

/** What the page tables of the pretended host say now; a vCPU reads it when it flushes, and again at each entry. */
export const WORD_GENERATION = word(0);
/** Translations below this generation must not be used any more: their frames belong to somebody else. */
export const WORD_RETIRED = word(1);
/** Runs of guest code that began below this generation must be over. */
export const WORD_RETIRED_RUNS = word(2);
/** Uses of retired translations, and steps of runs that should be over. */
export const WORD_STALE_USES = word(3);
export const WORD_STALE_RUNS = word(4);
/** Steps of guest code at which some thread slept, or was about to, until a vCPU leaves. */
export const WORD_SLEEPING_WAITERS = word(5);
/** Times that a HLT ended without an event. */
export const WORD_SPURIOUS_WAKES = word(7);
/** Not 0: requesters end. */
export const WORD_STOP = word(6);
/** Of vCPU n: events raised and taken, steps of guest code, looks around while halted, flushes. */
export const wordRaised = (vcpu: number): number => word(8 + 8 * vcpu);
export const wordTaken = (vcpu: number): number => word(9 + 8 * vcpu);
export const wordSteps = (vcpu: number): number => word(10 + 8 * vcpu);
export const wordLooks = (vcpu: number): number => word(11 + 8 * vcpu);
export const wordFlushes = (vcpu: number): number => word(12 + 8 * vcpu);
