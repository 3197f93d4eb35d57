/** What a machine is made with, and what is learned about its scenario while it runs. */
import type { EngineChecks } from "./checks.js";
import type { Scenario } from "./model.js";

/** What a machine is made with. */
export interface MachineOptions {
  readonly create: () => Scenario;
  readonly isTso: boolean;
  /** Retries and steps a thread makes at most. */
  readonly retriesMax: number;
  readonly stepsMax: number;
  readonly checks: EngineChecks;
  /** Data races by vector clocks along the path; otherwise by two threads about to access the same word. */
  readonly hasClocks: boolean;
  /** What is known about the scenario from having watched it; grows while exploring. */
  readonly watched: Watched;
}

/** What a search has to know of a scenario before it may leave anything out. Learned by watching; learning more begins the search anew. */
export interface Watched {
  /** 1: a word whose writes an invariant may notice; behind the words, 1 if it notices frames. */
  readonly visible: Uint8Array;
  /** Whether threads write words together with other steps (note). */
  hasNotes: boolean;
}

/** Nothing is known yet. */
export function nothingWatched(wordCount: number): Watched {
  return { visible: new Uint8Array(wordCount + 1), hasNotes: false };
}
