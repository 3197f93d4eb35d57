/** Regions that have been made already, for one vCPU: which of them may be had for a trace that has just been seen. */
import { KNOWN_ENTRY_BITS, VCPU_AREA } from "../../abi/layout.js";
import { LIBRARY_REGIONS_MAX, type Recipe } from "./library.js";
import { checkOf } from "./signature.js";
import type { TraceReader } from "./traces.js";

const PAGE_SHIFT = 12n;

/** The traces of a region that is known, and which of them it begins with. */
export interface KnownRegion {
  readonly traces: readonly number[];
  readonly first: number;
}

/** A recipe with its addresses as numbers: it is looked at each time that an entry of it is sampled. */
interface ReadRecipe {
  readonly rips: readonly bigint[];
  readonly checks: readonly number[];
  readonly first: number;
  readonly entries: readonly number[];
}

/** The recipes that the vCPU whose state begins at `base` has been told of, or the later half of them. It marks their entries for the core, which brings samples of these at once (code-cache.ts, sampleTrace). */
export class RecipeBook {
  readonly #byEntry = new Map<bigint, ReadRecipe[]>();
  readonly #marks: Uint8Array;
  #recipes: ReadRecipe[] = [];

  constructor(memory: WebAssembly.Memory, base: number) {
    this.#marks = new Uint8Array(memory.buffer, base + VCPU_AREA.knownEntries, KNOWN_ENTRY_BITS / 8);
  }

  add(recipes: readonly Recipe[]): void {
    for (const { rips, checks, first, entries } of recipes) this.#add({ rips: rips.map((text) => BigInt(`0x${text}`)), checks, first, entries });
    if (this.#recipes.length <= LIBRARY_REGIONS_MAX) return;
    // The library has dropped old ones, too. Marks are shared, so that they are made anew.
    const kept = this.#recipes.slice(-LIBRARY_REGIONS_MAX / 2);
    this.#recipes = [];
    this.#byEntry.clear();
    this.#marks.fill(0);
    for (const recipe of kept) this.#add(recipe);
  }

  #add(recipe: ReadRecipe): void {
    this.#recipes.push(recipe);
    for (const entry of recipe.entries) {
      const rip = recipe.rips[entry]!;
      const known = this.#byEntry.get(rip);
      if (known === undefined) this.#byEntry.set(rip, [recipe]);
      else known.push(recipe);
      const bit = Number((rip ^ (rip >> 16n)) & BigInt(KNOWN_ENTRY_BITS - 1));
      this.#marks[bit >> 3]! |= 1 << (bit & 7);
    }
  }

  /** A region with the entry `trace` whose traces are all there; the largest one. */
  match(trace: number, reader: TraceReader): KnownRegion | undefined {
    let best: KnownRegion | undefined;
    for (const recipe of this.#byEntry.get(reader.rip(trace)) ?? []) {
      if (best !== undefined && best.traces.length >= recipe.rips.length) continue;
      best = matchRecipe(recipe, trace, reader) ?? best;
    }
    return best;
  }
}

function matchRecipe({ rips, checks, first }: ReadRecipe, trace: number, reader: TraceReader): KnownRegion | undefined {
  const page = reader.rip(trace) >> PAGE_SHIFT;
  const gfn = reader.gfn(trace);
  const traces: number[] = [];
  // First whether all are there, which is quick, then whether they are the same.
  for (const rip of rips) {
    const found = reader.find(rip, (candidate) => rip >> PAGE_SHIFT !== page || reader.gfn(candidate) === gfn);
    if (found === undefined) return undefined;
    traces.push(found);
  }
  return traces.every((found, block) => checkOf(reader.read(found)) === checks[block]) ? { traces, first: traces[first]! } : undefined;
}
