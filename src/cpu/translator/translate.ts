/** Translation itself: from the traces of a region to a compiled module. Runs in whatever thread; the traces' vCPU may go on meanwhile. */
import { VCPU } from "../../abi/layout.js";
import { GLOBAL } from "./region-layout.js";
import { writeRegion } from "./region.js";
import type { Recipe, TranslationLibrary } from "./library.js";
import { type Trace, TraceReader } from "./traces.js";
import { writeModule } from "./wasm-writer.js";

const MEMORY_PAGES_MAX = 65_536;
const GLOBAL_NAMES = Object.keys(GLOBAL);

/** A region that a vCPU wants: its place in the core's table, and the traces that it is made of, in the order of their addresses (RIP). */
export interface RegionRequest {
  readonly slot: number;
  /** The one of them (a place in the list) at which the region has to be entered. */
  readonly first: number;
  readonly traces: readonly number[];
}

/** Regions that a vCPU wants. */
export interface TranslationJob {
  /** Address of the vCPU's state. */
  readonly base: number;
  /** How often the vCPU's traces had been dropped altogether when the job was made. */
  readonly flushes: number;
  readonly regions: readonly RegionRequest[];
}

/** What became of one region of a job. */
export interface Translation {
  readonly flushes: number;
  readonly slot: number;
  /** Exports the function "region"; undefined when the traces were dropped before they had been read. */
  readonly module: WebAssembly.Module | undefined;
  /** The traces (places in the list) at which it can be entered. */
  readonly entries: readonly number[];
  /** Whether the module had been made before. */
  readonly isKnown: boolean;
  /** Bytes of WebAssembly, and the time that writing and compiling them took. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Who does the jobs of one vCPU: a thread of the machine's, or the vCPU's own. */
export interface TranslationService {
  submit(job: TranslationJob): void;
  /** A region that is done, or what regions there are besides (an array); does not wait. */
  receive(): Translation | readonly Recipe[] | undefined;
}

/** Who writes a region's function: `writeRegion`, or one that does it wrong, to test what checks it. */
export type WriteRegion = typeof writeRegion;

/** How often the traces of the vCPU whose state begins at `base` have been dropped altogether. */
export function arenaFlushes(memory: WebAssembly.Memory, base: number): number {
  return Number(new DataView(memory.buffer).getBigUint64(base + VCPU.counterArenaFlushes, true));
}

/** How a job is done. */
export interface TranslateOptions {
  /** Where to look first, and to put what is new. */
  readonly library?: TranslationLibrary | undefined;
  /** Told of each new region of the library. */
  readonly onNew?: (recipe: Recipe) => void;
  readonly write?: WriteRegion | undefined;
  /** Calls `compile` so that the hints of the module that it compiles are taken (writeModule). */
  readonly withHints?: <T>(compile: () => T) => T;
}

/**
 * Does one job, and answers its regions as they are done. The vCPU may drop traces, or all of them, while they are read: what is read then makes no sense, and is
 * not entered by the vCPU, whatever comes of it.
 */
export function translate(memory: WebAssembly.Memory, job: TranslationJob, answer: (translation: Translation) => void, options: TranslateOptions = {}): void {
  const { flushes, base } = job;
  const reader = new TraceReader(memory, base);
  for (const { slot, first, traces } of job.regions) {
    const begun = performance.now();
    try {
      const made = translateRegion(traces.map((trace) => reader.read(trace)), first, options);
      answer({ flushes, slot, ...made, milliseconds: performance.now() - begun });
    } catch (error) {
      if (arenaFlushes(memory, base) === flushes) throw error;
      answer({ flushes, slot, module: undefined, entries: [], isKnown: false, bytes: 0, milliseconds: performance.now() - begun });
    }
  }
}

/** The region of `traces`, which were read while their vCPU may have dropped them: what has been made of a mixture is in the library under a digest that no others have. */
function translateRegion(traces: readonly Trace[], first: number, { library, onNew, write = writeRegion, withHints = (compile) => compile() }: TranslateOptions): Pick<Translation, "module" | "entries" | "isKnown" | "bytes"> {
  const digest = library?.digest(traces, first);
  const known = digest === undefined ? undefined : library!.find(digest, withHints);
  if (known !== undefined) return { ...known, isKnown: true };
  const { code, entries } = write(traces, first);
  const bytes = writeModule(code, GLOBAL_NAMES, MEMORY_PAGES_MAX);
  const module = withHints(() => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>));
  if (digest !== undefined) {
    const recipe = library!.add(digest, traces, first, { module, entries, bytes });
    onNew?.(recipe);
  }
  return { module, entries, isKnown: false, bytes: bytes.length };
}

/** A service without a thread: the vCPU waits for its translations. */
export class ImmediateTranslations implements TranslationService {
  readonly #done: (Translation | readonly Recipe[])[] = [];

  constructor(readonly memory: WebAssembly.Memory, readonly options: TranslateOptions = {}) {
    if (options.library !== undefined) this.#done.push(options.library.recipes());
  }

  submit(job: TranslationJob): void { translate(this.memory, job, (translation) => this.#done.push(translation), this.options); }
  receive(): Translation | readonly Recipe[] | undefined { return this.#done.shift(); }
}
