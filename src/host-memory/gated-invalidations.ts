/**
 * Read sections of a VM whose translated code is checked in lock step: a vCPU that runs a stretch of code twice lets nobody else touch guest memory
 * meanwhile. The two columns are at the head of src/cpu/interpreter/lock-step-gate.ts.
 */
import { atomicLoad, spinUntilChanged } from "#sync";
import type { SectionSteps, SharedWords } from "#sync";
import { Invalidations } from "./invalidation.js";
import { WORD_LOCK_STEP_HOLDER } from "./layout.js";

/** Looks at the gate between two looks at everything. A stretch takes some microseconds. */
const SPIN_COUNT = 1000;

/** As Invalidations; a section begins when no vCPU checks. */
export class GatedInvalidations extends Invalidations {
  readonly #gateWords: SharedWords;

  constructor(words: SharedWords, steps?: SectionSteps) {
    super(words, steps);
    this.#gateWords = words;
  }

  override enter(): void {
    this.enterAndLook(WORD_LOCK_STEP_HOLDER);
  }

  override enterAndLook(index: number): number {
    // Who is inside is waited for by the vCPU.
    if (this.isInside) return super.enterAndLook(index);
    for (let holder = super.enterAndLook(WORD_LOCK_STEP_HOLDER); holder !== 0; holder = super.enterAndLook(WORD_LOCK_STEP_HOLDER)) {
      super.leave();
      spinUntilChanged(this.#gateWords, WORD_LOCK_STEP_HOLDER, holder, SPIN_COUNT);
    }
    return atomicLoad(this.#gateWords, index);
  }
}
