/** What the engine itself checks and takes care of, each of which its own tests can switch off to see that a known fault is then missed. */

/** All true but in tests of the engine. Immutable. */
export interface EngineChecks {
  readonly findsDeadlocks: boolean;
  readonly findsSleeps: boolean;
  readonly findsFreedFrames: boolean;
  readonly findsDoubleFrees: boolean;
  readonly findsLeaks: boolean;
  readonly findsRaces: boolean;
  readonly findsLivelocks: boolean;
  /** False: writes of a word are taken to be independent of reads of it. */
  readonly ordersReadsAndWrites: boolean;
  /** False: threads that sleep in the reduction's sleep sets are never woken by a step that depends on theirs. */
  readonly wakesSleepers: boolean;
  /** False: steps that an invariant can tell apart are not ordered. */
  readonly ordersVisibleSteps: boolean;
  /** False: a blocked thread's operation is not looked at before it is carried out. */
  readonly looksAtBlocked: boolean;
  /** False: states are told apart by the words alone, not by what threads have seen. */
  readonly hashesHistories: boolean;
}

/** The engine as it is. */
export const ALL_CHECKS: EngineChecks = {
  findsDeadlocks: true, findsSleeps: true, findsFreedFrames: true, findsDoubleFrees: true, findsLeaks: true, findsRaces: true, findsLivelocks: true,
  ordersReadsAndWrites: true, wakesSleepers: true, ordersVisibleSteps: true, looksAtBlocked: true, hashesHistories: true,
};
