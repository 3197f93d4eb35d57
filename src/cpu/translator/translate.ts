/** Translation itself: from the traces of a region to a compiled module. Runs in whatever thread; the traces' vCPU may go on meanwhile. */
import { VCPU } from "../../abi/layout.js";
import { GLOBAL } from "./region-layout.js";
import { writeRegion } from "./region.js";
import { TraceReader } from "./traces.js";
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
  /** Bytes of WebAssembly, and the time that writing and compiling them took. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Who does the jobs of one vCPU: a thread of the machine's, or the vCPU's own. */
export interface TranslationService {
  submit(job: TranslationJob): void;
  /** A region that is done, if there is one; does not wait. */
  receive(): Translation | undefined;
}

/** Who writes a region's function: `writeRegion`, or one that does it wrong, to test what checks it. */
export type WriteRegion = typeof writeRegion;

/** How often the traces of the vCPU whose state begins at `base` have been dropped altogether. */
export function arenaFlushes(memory: WebAssembly.Memory, base: number): number {
  return Number(new DataView(memory.buffer).getBigUint64(base + VCPU.counterArenaFlushes, true));
}

/**
 * Does one job, and answers its regions as they are done. The vCPU may drop traces, or all of them, while they are read: what is read then makes no sense, and is
 * not entered by the vCPU, whatever comes of it.
 */
export function translate(memory: WebAssembly.Memory, job: TranslationJob, answer: (translation: Translation) => void, write: WriteRegion = writeRegion): void {
  const { flushes, base } = job;
  const reader = new TraceReader(memory, base);
  for (const { slot, first, traces } of job.regions) {
    const begun = performance.now();
    const done = (module: WebAssembly.Module | undefined, entries: readonly number[], bytes: number): void =>
      answer({ flushes, slot, module, entries, bytes, milliseconds: performance.now() - begun });
    try {
      const { code, entries } = write(traces.map((trace) => reader.read(trace)), first);
      const bytes = writeModule(code, GLOBAL_NAMES, MEMORY_PAGES_MAX);
      done(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), entries, bytes.length);
    } catch (error) {
      if (arenaFlushes(memory, base) === flushes) throw error;
      done(undefined, [], 0);
    }
  }
}

/** A service without a thread: the vCPU waits for its translations. */
export class ImmediateTranslations implements TranslationService {
  readonly #done: Translation[] = [];

  constructor(readonly memory: WebAssembly.Memory, readonly write: WriteRegion = writeRegion) {}

  submit(job: TranslationJob): void { translate(this.memory, job, (translation) => this.#done.push(translation), this.write); }
  receive(): Translation | undefined { return this.#done.shift(); }
}
