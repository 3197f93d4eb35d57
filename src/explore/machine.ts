/**
 * One scenario being carried out, step by step, along a path that can be taken back. A step is one operation of a thread together with
 * what follows it up to the thread's next operation, or (memory model TSO) one delayed store that reaches memory.
 *
 * Processes are what a scheduler chooses among: 0 .. threads - 1 are the threads, behind them each thread's store buffer.
 */
import type { EngineChecks } from "./checks.js";
import { DataRaces } from "./data-races.js";
import { carryOut, cells, drainOldest } from "./effects.js";
import { goOn } from "./going-on.js";
import { LiveThreads } from "./live-threads.js";
import type { MachineOptions } from "./machine-options.js";
import type { Finding, ModelView, Operation } from "./model.js";
import { FLAG_STEPS_DONE, RegionLayout } from "./region.js";
import { canGoOn } from "./standing.js";
import { ScenarioError } from "./scenario-error.js";

const DEPTH_START = 64;
/** Steps of a thread that goes on alone, in which it must have come back to a retry or got somewhere. */
const PROBED_STEPS_MAX = 100_000;
const DIGEST_FACTOR_A = 0x9e3779b1 | 0;
const DIGEST_FACTOR_B = 0x85ebca6b | 0;

/** Marks an access to a cell in a footprint: twice the cell, and 1 for a write. */
export type Footprint = readonly number[];

/** The state after each step of the present path, and the threads that walk it. */
export class Machine implements ModelView {
  readonly layout: RegionLayout;
  readonly checks: EngineChecks;
  readonly live: LiveThreads;
  readonly threadNames: readonly string[];
  readonly wordNames: readonly string[];
  readonly isDaemon: readonly boolean[];
  readonly processCount: number;
  readonly races: DataRaces | undefined;
  readonly options: MachineOptions;
  /** Regions, one a depth. */
  slab: Float64Array;
  /** Where the present region begins. */
  base = 0;
  depth = 0;
  /** Of the last step: the cells it touched, twice the number, plus 1 where it wrote. The next step at this depth uses it again. */
  footprint: number[] = [];
  /** What the last step, or the start, has shown to be wrong. */
  readonly found: Finding[] = [];
  /** Whether something was learned since the start that the search relied on knowing. */
  hasLearned = false;
  /** Of a step in which a delayed store reached memory: the step in which it was made. */
  drainedEvent = -1;
  /** Told of operations that may be no steps of their own. For pictures. */
  onLocal: ((thread: number, operation: Operation) => void) | undefined;
  /** All steps ever made. */
  stepCount = 0;
  readonly #visible: Uint8Array;
  readonly #framesAtStart: number;
  #capacity = DEPTH_START;
  #choices = new Int32Array(DEPTH_START);
  #results = new Float64Array(DEPTH_START);
  #given = new Int32Array(DEPTH_START + 1);
  #enabled = new Int32Array(DEPTH_START + 1);
  #pending: (Operation | undefined)[] = [];
  #updated: Float64Array;
  readonly #footprints: number[][] = [];
  /** Thread that runs beyond its retries because nobody else can; -1 = none. */
  #probed = -1;
  /** Whether the invariant is being asked, so that what it looks at is noted. */
  #isAsking = false;

  constructor(options: MachineOptions) {
    this.options = options;
    this.checks = options.checks;
    this.live = new LiveThreads(options.create);
    const { words, threads, framesAtStart = 0 } = this.live.scenario;
    if (threads.length > 12) throw new ScenarioError(`a scenario has at most 12 threads, this one has ${threads.length}`);
    this.#framesAtStart = framesAtStart;
    this.threadNames = threads.map(({ name }) => name);
    this.wordNames = words.map(({ name }) => name);
    this.isDaemon = threads.map(({ isDaemon = false }) => isDaemon);
    const { isTso, hasClocks } = options;
    this.layout = new RegionLayout({ wordCount: words.length, threadCount: threads.length, isTso, hasClocks });
    this.processCount = isTso ? 2 * threads.length : threads.length;
    this.races = hasClocks ? new DataRaces(this) : undefined;
    this.slab = new Float64Array(this.layout.length * (DEPTH_START + 1));
    this.#updated = new Float64Array(threads.length * (DEPTH_START + 1));
    this.#visible = options.watched.visible;
    this.#start();
  }

  /** The step last made, or about to be told of: whose, and what it gave. */
  choiceAt(depth: number): number {
    return this.#choices[depth]!;
  }

  resultAt(depth: number): number {
    return this.#results[depth]!;
  }

  /** What a thread wants to do at a depth of the present path; undefined: it has ended. */
  pendingAt(depth: number, thread: number): Operation | undefined {
    return this.#pending[depth * this.layout.threadCount + thread];
  }

  /** What a thread wants to do now. */
  pending(thread: number): Operation | undefined {
    return this.#pending[this.depth * this.layout.threadCount + thread];
  }

  /** Processes that can go on, a bit each. */
  get enabled(): number {
    return this.#enabled[this.depth]!;
  }

  /** Whether threads of this scenario may write words together with other steps. */
  get hasNotes(): boolean {
    return this.options.watched.hasNotes;
  }

  /** Processes that could go on at a depth of the present path. */
  enabledAt(depth: number): number {
    return this.#enabled[depth]!;
  }

  /** Footprint of a step of the present path. */
  footprintAt(depth: number): Footprint {
    return this.#footprints[depth]!;
  }

  /** What a thread that cannot go on would touch if it could. */
  footprintOfWaiting(thread: number): Footprint {
    const operation = this.pending(thread);
    if (operation === undefined || !("cell" in operation) || this.hasFlag(thread, FLAG_STEPS_DONE)) return [];
    const { cell, kind } = operation;
    if (kind !== "await" && kind !== "lock" && kind !== "read-lock" && kind !== "write-lock") return [];
    const marks = [cell * 2 + (kind === "await" ? 0 : 1)];
    if (this.layout.isTso) marks.push(cells.buffer(this, thread) * 2);
    if (kind !== "await" && this.#visible[cell] !== 0 && this.checks.ordersVisibleSteps) marks.push(cells.view(this) * 2 + 1);
    return marks;
  }

  /** Whether a thread is behind its last operation, or stands still for having used up its retries or steps. */
  hasFlag(thread: number, flag: number): boolean {
    return (this.slab[this.base + this.layout.flags(thread)]! & flag) !== 0;
  }

  /** What an `update` that is about to be made will write. */
  updateOf(thread: number): number {
    return this.#updated[(this.depth - 1) * this.layout.threadCount + thread]!;
  }

  value(cell: number): number {
    this.#see(cell);
    return this.slab[this.base + cell]!;
  }

  isAllocated(frame: number): boolean {
    this.#see(this.layout.wordCount);
    return ((this.slab[this.base + this.layout.framesAllocated]! >>> frame) & 1) !== 0;
  }

  get framesInUse(): number {
    this.#see(this.layout.wordCount);
    return this.countFrames();
  }

  countFrames(): number {
    let count = 0;
    for (let bits = this.slab[this.base + this.layout.framesAllocated]!; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  #see(place: number): void {
    if (this.#visible[place] === 1) return;
    if (!(place in this.#visible)) throw new ScenarioError(`there is no word ${place}`);
    if (!this.#isAsking) return;
    this.#visible[place] = 1;
    this.hasLearned = true;
  }

  /** Notes a finding of the step that is being made. */
  report(kind: Finding["kind"], says: string): void {
    this.found.push({ kind, says });
  }

  /** Goes back to an earlier depth of the present path. */
  backTo(depth: number): void {
    this.depth = depth;
    this.base = depth * this.layout.length;
    this.live.backTo(this.#given[depth]!);
    this.#probed = -1;
  }

  /** Makes a step of a process that can go on. What it shows to be wrong is in `found`. */
  step(process: number): void {
    this.perform(process);
    this.advance();
  }

  /** First half of a step: what it does to memory. Behind it the state is that after the step, but for what threads do by themselves. */
  perform(process: number): void {
    const { layout } = this;
    const from = this.base;
    this.#reserve(this.depth + 2);
    this.stepCount++;
    this.#choices[this.depth++] = process;
    this.base = from + layout.length;
    this.slab.copyWithin(this.base, from, this.base);
    this.footprint = this.#footprints[this.depth - 1] ??= [];
    this.footprint.length = 0;
    this.found.length = 0;
    if (process >= layout.threadCount) {
      drainOldest(this, process - layout.threadCount);
      this.#results[this.depth - 1] = NaN;
      return;
    }
    const result = carryOut(this, process, this.#pending[(this.depth - 1) * layout.threadCount + process]!);
    this.#results[this.depth - 1] = result;
    if (result === result) this.#digest(process, result);
  }

  /** Second half of a step: its thread goes on to its next operation. */
  advance(): void {
    const process = this.#choices[this.depth - 1]!;
    const result = this.#results[this.depth - 1]!;
    if (result === result) goOn(this, process, result);
    else this.live.catchUp();
    this.#settle();
  }

  /** Asks the scenario's invariant about the present state. */
  askInvariant(): void {
    const { invariant } = this.live.scenario;
    if (invariant === undefined) return;
    this.#isAsking = true;
    const says = invariant(this);
    this.#isAsking = false;
    if (says !== undefined) this.report("invariant", says);
  }

  /** Adds an access to the footprint of the step that is being made. */
  touch(mark: number): void {
    this.footprint.push(mark);
    const cell = mark >> 1;
    if ((mark & 1) !== 0 && cell <= this.layout.wordCount && this.#visible[cell] !== 0 && this.checks.ordersVisibleSteps) {
      const view = cells.view(this) * 2 + 1;
      if (!this.footprint.includes(view)) this.footprint.push(view);
    }
  }

  /**
   * Lets a thread that stands still for its retries go on alone, as nobody else can: it gets somewhere, or still retries, which is a
   * livelock. Precondition: no process can go on.
   */
  probe(thread: number): void {
    const own = (1 << thread) | (this.layout.isTso ? 1 << (this.layout.threadCount + thread) : 0);
    this.#probed = thread;
    this.#settle();
    for (let steps = 0; steps < PROBED_STEPS_MAX && this.enabled !== 0 && (this.enabled & ~own) === 0; steps++) {
      this.step((this.enabled >>> thread) & 1 ? thread : this.layout.threadCount + thread);
      if (this.found.length > 0) return;
    }
  }

  /** Whether a thread that has used up its retries goes on all the same. */
  isProbed(thread: number): boolean {
    return this.#probed === thread;
  }

  #start(): void {
    const { layout } = this;
    const { words } = this.live.scenario;
    if (this.#framesAtStart >= 30) throw new ScenarioError("at most 29 frames at the start");
    words.forEach(({ value }, cell) => (this.slab[cell] = value));
    this.slab[layout.framesHighest] = this.#framesAtStart;
    this.slab[layout.framesAllocated] = 2 ** (this.#framesAtStart + 1) - 2;
    for (let thread = 0; thread < layout.threadCount; thread++) {
      this.slab[layout.digest(thread)] = thread + 1;
      this.races?.begin(thread);
      goOn(this, thread, 0);
    }
    this.#settle();
    this.askInvariant();
    // No step was made without knowing these.
    this.hasLearned = false;
  }

  /** A process in words. */
  processName(process: number): string {
    const { threadCount } = this.layout;
    return process < threadCount ? this.threadNames[process]! : `${this.threadNames[process - threadCount] ?? "nobody"}'s store buffer`;
  }

  /** An operation in words, without its result. */
  describe(operation: Operation): string {
    return "cell" in operation ? `${operation.kind} ${this.wordNames[operation.cell] ?? "?"}` : "frame" in operation ? `${operation.kind} ${operation.frame}` : operation.kind;
  }

  /** Takes down what everybody wants to do next, and who can. */
  #settle(): void {
    const { layout, depth } = this;
    const first = depth * layout.threadCount;
    this.#given[depth] = this.live.count;
    let enabled = 0;
    for (let thread = 0; thread < layout.threadCount; thread++) {
      const operation = this.live.operations[thread];
      this.#pending[first + thread] = operation;
      if (operation !== undefined && canGoOn(this, thread, operation)) enabled |= 1 << thread;
      if (operation?.kind === "update") this.#updated[first + thread] = operation.by(this.slab[this.base + operation.cell]!);
      if (layout.isTso && this.slab[this.base + layout.buffer(thread)]! > 0) enabled |= 1 << (layout.threadCount + thread);
    }
    this.#enabled[depth] = enabled;
  }

  #digest(thread: number, result: number): void {
    if (!this.checks.hashesHistories) return;
    const at = this.base + this.layout.digest(thread);
    const low = result | 0;
    const high = low === result ? 0 : Math.floor(result / 2 ** 32) | 0;
    let a = Math.imul((this.slab[at]! ^ low) + 0x165667b1, DIGEST_FACTOR_A);
    let b = Math.imul((this.slab[at + 1]! + low) ^ 0x27d4eb2f, DIGEST_FACTOR_B);
    a = Math.imul(a ^ (a >>> 15) ^ high, DIGEST_FACTOR_B);
    b = Math.imul(b ^ (b >>> 13) ^ (high << 1), DIGEST_FACTOR_A);
    this.slab[at] = a ^ (a >>> 13);
    this.slab[at + 1] = b ^ (b >>> 16);
  }

  #reserve(depths: number): void {
    if (depths < this.#capacity) return;
    this.#capacity *= 2;
    const grow = <T extends Float64Array | Int32Array>(from: T, to: T): T => (to.set(from as never), to);
    this.slab = grow(this.slab, new Float64Array(this.layout.length * (this.#capacity + 1)));
    this.#choices = grow(this.#choices, new Int32Array(this.#capacity));
    this.#results = grow(this.#results, new Float64Array(this.#capacity));
    this.#given = grow(this.#given, new Int32Array(this.#capacity + 1));
    this.#enabled = grow(this.#enabled, new Int32Array(this.#capacity + 1));
    this.#updated = grow(this.#updated, new Float64Array(this.layout.threadCount * (this.#capacity + 1)));
  }
}
