/** Faults to plant, one at a time, into copies of the compiled code, and who must notice each. */
import type { Edit } from "./mutant-tree.js";

/** What notices a fault: a scenario or check of a module (path from dist/), and how long it may take. */
export interface Catcher {
  readonly module: string;
  readonly name: string;
  readonly timeMs: number;
  /** Seed to begin with: where a schedule is known that shows the fault, so that it need not be looked for each time. */
  readonly firstSeed?: number;
}

/** A fault of the list of historic ones, or one of our own. */
export interface Mutation {
  readonly id: string;
  /** The fault, in general words. */
  readonly what: string;
  readonly fate:
    | { readonly kind: "caught"; readonly edits: readonly Edit[]; readonly by: Catcher }
    /** Planted, and nothing can come of it; the catcher must stay content. */
    | { readonly kind: "harmless"; readonly edits: readonly Edit[]; readonly by: Catcher; readonly why: string }
    | { readonly kind: "impossible"; readonly why: string };
}

/** Time that a fault may take to be noticed. Most take a second or two; on a busy machine an unlucky one takes longer. */
const CATCH_MS = 45_000;
/** Time for which a harmless fault, and the code without any, is watched. */
export const WATCH_MS = 1500;

const PAGE_SCENARIOS = "guest-page/testing/page-scenarios.js";

/** Makes a catcher of the page scenarios. */
export function pageScenario(name: string): Catcher {
  return { module: PAGE_SCENARIOS, name, timeMs: CATCH_MS };
}

/** Makes a catcher of another module's scenario or check. */
export function catcher(module: string, name: string): Catcher {
  return { module, name, timeMs: CATCH_MS };
}

/** A fault that is noticed. */
export function caught(id: string, what: string, by: Catcher, ...edits: readonly Edit[]): Mutation {
  return { id, what, fate: { kind: "caught", edits, by } };
}

/** A fault that changes nothing, and why. */
export function harmless(id: string, what: string, why: string, by: Catcher, ...edits: readonly Edit[]): Mutation {
  return { id, what, fate: { kind: "harmless", edits, by: { ...by, timeMs: WATCH_MS }, why } };
}

/** A fault for which there is no line here, and why. */
export function impossible(id: string, what: string, why: string): Mutation {
  return { id, what, fate: { kind: "impossible", why } };
}

/** Replaces `find` in a file of dist/. */
export function edit(file: string, find: string, replace: string): Edit {
  return { file, find, replace };
}

/** A scenario that begins with the seeds behind `firstSeed`. */
export function from(firstSeed: number, by: Catcher): Catcher {
  return { ...by, firstSeed };
}
