/** Translation itself: from the traces of a job to a compiled module. Runs in whatever thread; the traces' vCPU may go on meanwhile. */
import { VCPU } from "../../abi/layout.js";
import { writeRegion } from "./region.js";
import { TraceReader } from "./traces.js";
import { writeModule } from "./wasm-writer.js";

const MEMORY_PAGES_MAX = 65_536;

/** A region that a vCPU wants: its place in the core's table, and the traces that it is made of. */
export interface RegionRequest {
  readonly slot: number;
  /** The one of them at which the region has to be entered. */
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

/** A region that was translated: which of its traces it can be entered at, and which not. */
export interface TranslatedRegion {
  readonly slot: number;
  readonly entries: readonly { readonly trace: number; readonly entry: number }[];
  readonly shut: readonly number[];
}

/** What became of a job. */
export interface Translation {
  readonly flushes: number;
  /** Exports a function for each region, by its place in the job; undefined when the traces were dropped before they had been read. */
  readonly module: WebAssembly.Module | undefined;
  readonly regions: readonly TranslatedRegion[];
  /** Bytes of WebAssembly, and the time that writing and compiling them took. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Who does the jobs of one vCPU: a thread of the machine's, or the vCPU's own. */
export interface TranslationService {
  submit(job: TranslationJob): void;
  /** A job that is done, if there is one; does not wait. */
  receive(): Translation | undefined;
}

/** Who writes a region's function: `writeRegion`, or one that does it wrong, to test what checks it. */
export type WriteRegion = typeof writeRegion;

/** How often the traces of the vCPU whose state begins at `base` have been dropped altogether. */
export function arenaFlushes(memory: WebAssembly.Memory, base: number): number {
  return Number(new DataView(memory.buffer).getBigUint64(base + VCPU.counterArenaFlushes, true));
}

/**
 * Does one job. The vCPU may drop traces, or all of them, while they are read: what is read then makes no sense, and is not entered by the vCPU, whatever
 * comes of it.
 */
export function translate(memory: WebAssembly.Memory, job: TranslationJob, write: WriteRegion = writeRegion): Translation {
  const begun = performance.now();
  const { flushes, base } = job;
  const answer = (module: WebAssembly.Module | undefined, regions: Translation["regions"], bytes: number): Translation =>
    ({ flushes, module, regions, bytes, milliseconds: performance.now() - begun });
  try {
    const reader = new TraceReader(memory, base);
    const regions = job.regions.map(({ slot, first, traces }) => {
      const read = traces.map((trace) => reader.read(trace)).sort((a, b) => (a.rip < b.rip ? -1 : 1));
      const { code, entries } = write(read, { slot, base, first: read.findIndex(({ address }) => address === first) });
      const shut = read.map(({ address }) => address).filter((_, block) => !entries.includes(block));
      return { region: { slot, entries: entries.map((entry) => ({ trace: read[entry]!.address, entry })), shut }, code };
    });
    const bytes = writeModule(regions.map(({ code }) => code), MEMORY_PAGES_MAX);
    return answer(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), regions.map(({ region }) => region), bytes.length);
  } catch (error) {
    if (arenaFlushes(memory, base) === flushes) throw error;
    return answer(undefined, [], 0);
  }
}

/** A service without a thread: the vCPU waits for its translations. */
export class ImmediateTranslations implements TranslationService {
  readonly #done: Translation[] = [];

  constructor(readonly memory: WebAssembly.Memory, readonly write: WriteRegion = writeRegion) {}

  submit(job: TranslationJob): void { this.#done.push(translate(this.memory, job, this.write)); }
  receive(): Translation | undefined { return this.#done.shift(); }
}
