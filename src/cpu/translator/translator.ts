/**
 * The translator of one vCPU: asks for regions of what has become hot, and puts the functions in the place of the traces. The translation
 * itself (translate.ts) is somebody else's work, while the vCPU goes on in the interpreter.
 */
import { HEAT_OF_LOOK, HEAT_OF_SAMPLE, HOT_TRACES_MAX, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { RecipeBook } from "./recipe-book.js";
import { GLOBAL, TRACE_ADDRESS_SIZE } from "./region-layout.js";
import { HANDLER_REGION, HANDLER_REGION_AWAITED, TRACE_HEADER_SIZE, TRACE_HEAT, TRACE_HEAT_ASKED, TraceReader } from "./traces.js";
import { ENTRY_BITS, writeGoOnModule } from "./wasm-writer.js";
import { arenaFlushes, type RegionRequest, type Translation, type TranslationService } from "./translate.js";

/** Ops and traces of one region at most: V8 makes slower code of larger functions, and an entry is told in so many bits. */
const OPS_MAX = 1000;
const TRACES_MAX = 1 << ENTRY_BITS;
/** For so many ops of a region a sample of its traces is asked for: about as long as it takes to translate them, the interpreter has run them then. */
const OPS_OF_SAMPLE = 4;
/** A mix of programs has some 500; each takes some 60 KiB of V8's memory. */
const REGIONS_MAX_DEFAULT = 1500;
const TURNS_BETWEEN_NEWS = 64;
const TABLE_STEP = 256;
/** Regions given up, behind which it pays to collect garbage (some 10 ms): some 20 MiB. */
const GIVEN_UP_MAX = 300;
/** For so long the vCPU collects regions at a time, and finishes the one that it has begun. */
const SUBMIT_MS_MAX = 1;

/** What the core exports for it. */
export interface TranslatorExports {
  /** The core's table of functions (WebAssembly.Table). */
  readonly table: { readonly length: number; grow(by: number): number; set(slot: number, code: unknown): void };
  makeRegionTrace(trace: number): number;
  reserveTraceList(count: number): number;
  callFromRegion(trace: number, op: number): number;
  flushCode(): void;
}

/** When to translate, and who does it. */
export interface TranslatorOptions {
  /** Instructions between two samples of what is executed, in the mean. */
  readonly samplePart: number;
  /** Samples that make a trace hot. */
  readonly hotSamples: number;
  /** Heat that a trace needs to be taken into the region of another: HEAT_OF_SAMPLE for a sample, 1 for each time that a region was left for it. */
  readonly warmHeat: number;
  /** Regions at most (default 1500); then all are given up with the traces that lead to them, and what is hot is translated anew. */
  readonly regionsMax?: number;
  readonly service: TranslationService;
  /** Has garbage collected, if there is a way: called when many regions have been given up, for V8 counts their code for nothing and this thread makes little other garbage. */
  readonly collectGarbage?: () => void;
}

/** The translator of the vCPU whose state begins at `base`; used by its thread, outside guest mode. */
export class Translator {
  readonly #view: DataView;
  readonly #reader: TraceReader;
  /** How a region goes on in another one. */
  readonly #goOn: unknown;
  readonly #firstSlot: number;
  #nextSlot: number;
  #flushes: number;
  /** Regions given up since garbage was collected. */
  #givenUp = 0;
  /** Traces that regions have in the middle of a loop, where they cannot be entered. */
  readonly #shut = new Set<number>();
  /** Traces that are in a region with all that they lead to; others are, when they go on being hot. */
  readonly #complete = new Set<number>();
  /** Regions that others have made already. */
  readonly #recipes: RecipeBook;
  #turn = 0;
  /** Regions that are entered, by their places. */
  readonly #regions = new Map<number, RegionRequest>();
  /** Regions of which nothing has been heard yet, by their places, and where the lists of their traces are. */
  readonly #awaited = new Map<number, RegionRequest & { readonly list: number }>();

  constructor(readonly memory: WebAssembly.Memory, readonly base: number, readonly core: TranslatorExports, readonly options: TranslatorOptions) {
    this.#view = new DataView(memory.buffer);
    this.#reader = new TraceReader(memory, base);
    this.#recipes = new RecipeBook(memory, base);
    this.#goOn = new WebAssembly.Instance(new WebAssembly.Module(writeGoOnModule()), { env: { table: core.table } }).exports["goOn"];
    this.#firstSlot = this.#nextSlot = core.table.length;
    this.#flushes = arenaFlushes(memory, base);
    this.#view.setUint32(base + VCPU.samplePart, options.samplePart, true);
    this.#view.setUint32(base + VCPU.hotSamples, options.hotSamples, true);
  }

  /**
   * Takes what has been translated, and asks for what has become hot, which waits while there is a job: it would wait for the translator's
   * thread all the same. No trace may be executing.
   */
  translateHot(): void {
    const count = this.#view.getUint32(this.base + VCPU.hotTraces, true);
    if (count !== 0 && this.#awaited.size === 0) this.#paused(() => this.#submit(count));
    // News of what others have translated can wait.
    if (this.#awaited.size !== 0 || this.#turn++ % TURNS_BETWEEN_NEWS === 0) this.#takeDone();
  }

  /** Does `work`, and remembers how long the vCPU stood still for it if that was the longest time so far. */
  #paused(work: () => void): void {
    const begun = performance.now();
    work();
    const pauseNs = BigInt(Math.round((performance.now() - begun) * 1e6));
    if (pauseNs > this.#view.getBigUint64(this.base + VCPU.counterTranslationPauseNs, true)) this.#view.setBigUint64(this.base + VCPU.counterTranslationPauseNs, pauseNs, true);
  }

  #submit(count: number): void {
    if (this.#nextSlot - this.#firstSlot >= (this.options.regionsMax ?? REGIONS_MAX_DEFAULT)) {
      this.#count(VCPU.counterRegionEvictions, 1);
      this.core.flushCode();
    }
    this.#noticeFlush();
    count = Math.min(this.#view.getUint32(this.base + VCPU.hotTraces, true), HOT_TRACES_MAX);
    const list = this.base + VCPU_AREA.hotTraces;
    const until = performance.now() + SUBMIT_MS_MAX;
    const regions: RegionRequest[] = [];
    let taken = 0;
    while (taken < count && performance.now() < until) {
      const region = this.#collect(this.#view.getUint32(list + taken++ * 4, true));
      if (region !== undefined) regions.push(region);
    }
    // What is left comes with the next job.
    for (let index = taken; index < count; index++) this.#view.setUint32(list + (index - taken) * 4, this.#view.getUint32(list + index * 4, true), true);
    this.#view.setUint32(this.base + VCPU.hotTraces, count - taken, true);
    if (regions.length === 0) return;
    this.options.service.submit({ base: this.base, flushes: this.#flushes, regions });
  }

  /** Where the traces are gone nothing leads to the regions any more: their places are free. */
  #noticeFlush(): void {
    const flushes = arenaFlushes(this.memory, this.base);
    if (flushes === this.#flushes) return;
    this.#flushes = flushes;
    // The regions' code can be collected.
    this.#givenUp += this.#nextSlot - this.#firstSlot;
    while (this.#nextSlot > this.#firstSlot) this.core.table.set(--this.#nextSlot, null);
    this.#shut.clear();
    this.#complete.clear();
    this.#awaited.clear();
    this.#regions.clear();
    if (this.#givenUp < GIVEN_UP_MAX) return;
    this.#givenUp = 0;
    this.options.collectGarbage?.();
  }

  /**
   * The region of `trace`: one that is known, or, if `trace` is hot, alone or with what it leads to, what belongs together. What regions have already is left to them at first, for most of it
   * would be compiled many times; when `trace` goes on being hot, it gets a region with all of it, so that nothing on its way leads from region to region.
   */
  #collect(trace: number): RegionRequest | undefined {
    const reader = this.#reader;
    if (!reader.isTranslatable(trace)) return undefined;
    const again = reader.isOfRegion(trace);
    const missedIn = again ? reader.takeMissedIn(trace) : 0;
    if (missedIn !== 0) return this.#remake(missedIn);
    const isHot = reader.heat(trace) === TRACE_HEAT_ASKED;
    // One that is hot though a region has it is come to in the middle of a loop, or it is due for more.
    const isShut = isHot && this.#shut.delete(trace);
    if (again && (!isHot || (!isShut && this.#complete.has(trace)))) return undefined;
    const known = again ? undefined : this.#recipes.match(trace, reader);
    if (known !== undefined) return this.#request(known.traces, known.first, false);
    if (!isHot && reader.heat(trace) < HEAT_OF_LOOK) return undefined;
    const { traces, isPart, ops, heat } = reader.collect(trace, { opsMax: OPS_MAX, tracesMax: TRACES_MAX, warmHeat: this.options.warmHeat, again });
    if (!isHot && heat < Math.max(this.options.hotSamples, ops / OPS_OF_SAMPLE) * HEAT_OF_SAMPLE) return undefined;
    return this.#request(traces, trace, !isPart);
  }

  /** The region in `slot` once more: what its traces have missed since is minded now. */
  #remake(slot: number): RegionRequest | undefined {
    const region = this.#regions.get(slot);
    if (region === undefined) return undefined;
    this.#regions.delete(slot);
    const traces = region.traces.filter((trace) => this.#reader.isOfRegion(trace));
    return this.#request(traces, region.traces[region.first]!, false);
  }

  /** Asks for a region of `originals` that begins at `first`: copies of the traces that no region has yet, and those that another has, to be done here once more. */
  #request(originals: readonly number[], first: number, isComplete: boolean): RegionRequest | undefined {
    const reader = this.#reader;
    const copies = new Map<number, number>();
    const traces = originals.flatMap((old) => {
      if (reader.isOfRegion(old)) return [old];
      const copy = this.core.makeRegionTrace(old);
      if (copy === 0) return [];
      copies.set(old, copy);
      return [copy];
    });
    const begin = copies.get(first) ?? first;
    const list = this.core.reserveTraceList(traces.length);
    if (!traces.includes(begin) || list === 0) return undefined;
    reader.relink(traces, copies);
    traces.sort((a, b) => (reader.rip(a) < reader.rip(b) ? -1 : 1));
    traces.forEach((each, block) => this.#view.setUint32(list + block * TRACE_ADDRESS_SIZE, each, true));
    if (isComplete) for (const trace of traces) this.#complete.add(trace);
    const request = { slot: this.#takeSlot(), first: traces.indexOf(begin), traces };
    this.#awaited.set(request.slot, { ...request, list });
    return request;
  }

  #takeSlot(): number {
    const slot = this.#nextSlot++;
    if (slot === this.core.table.length) this.core.table.grow(TABLE_STEP);
    return slot;
  }

  #takeDone(): void {
    for (let done = this.options.service.receive(); done !== undefined; done = this.options.service.receive()) {
      if ("length" in done) {
        this.#recipes.add(done);
        continue;
      }
      this.#count(VCPU.counterTranslationNs, Math.round(done.milliseconds * 1e6));
      // Places are given anew when all traces have been dropped, and then asked for anew.
      if (done.flushes !== arenaFlushes(this.memory, this.base)) {
        this.#noticeFlush();
        continue;
      }
      const request = this.#awaited.get(done.slot)!;
      this.#awaited.delete(done.slot);
      const { module } = done;
      if (module === undefined) continue;
      this.#regions.set(done.slot, request);
      this.#paused(() => this.#install(done, module, request));
    }
  }

  #install({ slot, entries, bytes, isKnown }: Translation, module: WebAssembly.Module, { traces, list }: { traces: readonly number[]; list: number }): void {
    const globals: Record<keyof typeof GLOBAL, number> = { base: this.base, traces: list, slot };
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory, call: this.core.callFromRegion, goOn: this.#goOn, ...globals } });
    this.core.table.set(slot, exports["region"]);
    traces.forEach((trace, block) => {
      if (entries.includes(block)) this.#enter(trace, slot, block);
      else this.#shutIn(trace);
    });
    this.#count(VCPU.counterRegions, 1);
    if (isKnown) this.#count(VCPU.counterRegionsKnown, 1);
    this.#count(VCPU.counterRegionBytes, bytes);
  }

  /** Lets the op in front of `trace` call the region, unless the trace has been dropped. What another region had is entered here from now on: it returns to it. */
  #enter(trace: number, slot: number, entry: number): void {
    const op = trace + TRACE_HEADER_SIZE;
    const handler = this.#view.getUint16(op, true);
    if (handler !== HANDLER_REGION_AWAITED && handler !== HANDLER_REGION) return;
    this.#shut.delete(trace);
    this.#view.setUint32(trace + TRACE_HEAT, this.#complete.has(trace) ? TRACE_HEAT_ASKED : 0, true);
    this.#view.setUint32(op + 4, slot, true);
    this.#view.setUint32(op + 8, entry, true);
    this.#view.setUint16(op, HANDLER_REGION, true);
    this.#count(VCPU.counterRegionTraces, 1);
  }

  /** Lets `trace`, at which its region cannot be entered, become hot once more. */
  #shutIn(trace: number): void {
    this.#shut.add(trace);
    this.#view.setUint32(trace + TRACE_HEAT, this.options.warmHeat, true);
  }

  #count(counter: number, amount: number): void {
    this.#view.setBigUint64(this.base + counter, this.#view.getBigUint64(this.base + counter, true) + BigInt(amount), true);
  }
}
