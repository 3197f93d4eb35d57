/** Written by src/cpu/generate at build time: what each handler does, by its number; null for those that the dispatch loop has by hand. */
import type { HandlerMeaning } from "./meaning.js";

export const HANDLERS: readonly (HandlerMeaning | null)[];
